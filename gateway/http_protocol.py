"""uvicorn's HTTP protocol with the two bounds that it lacks: how large a request's head may be, and how slow."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 128 * 1024
"""Bytes of request line and headers, give or take one read from the socket."""
HEAD_S = 60.0
"""Seconds from the first byte of a connection or request until its head must be complete."""

LINGER_S = 1.0

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose head grows or waits without end; everything else is uvicorn's."""

    head_s = HEAD_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that says nothing is not kept."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._head_complete()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins: its head is counted and timed."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._give_up)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete; bodies have bounds of their own."""
        self._head_complete()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what belongs to a head that is still incomplete."""
        if self._refused:
            return
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
                self._refuse()

    def _head_complete(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        """Answer and close, but read on a little: closing on unread bytes would take the answer back."""
        self._head_complete()
        self._refused = True
        self.transport.write(_TOO_LARGE)
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _give_up(self) -> None:
        self._head_complete()
        self.transport.close()
