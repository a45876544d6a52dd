"""The commands of ``sluice``, one module a noun."""
