"""Pure text filters: no I/O, no clock, no logging, no asyncio."""
