"""The few lines that Sluice's own raw ASGI endpoints share."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import brotli

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]


class BodyTooLarge(Exception):  # noqa: N818 - what happened, not whose fault it is
    """The request body, as sent or decoded, is larger than allowed."""


class UnsupportedEncoding(Exception):  # noqa: N818 - the same
    """The content encoding is none that Sluice reads, or the body is not in it."""


class ClientGone(Exception):  # noqa: N818 - the same
    """The client left before it had sent its request."""


class Request:
    """One request of a raw ASGI scope."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive

    @property
    def method(self) -> str:
        """The method in capitals."""
        return str(self._scope["method"])

    def header(self, name: bytes) -> bytes:
        """The value of a header by its lower-case name; empty where it is absent."""
        for key, value in self._scope["headers"]:
            if key == name:
                return bytes(value)
        return b""

    async def body(self, limit: int) -> bytes:
        """The whole body, decoded.

        Raises:
            BodyTooLarge: more than ``limit`` bytes, as sent or decoded.
            UnsupportedEncoding: a content encoding other than gzip, deflate, br or identity, or a broken one.
            ClientGone: the client disconnected.
        """
        pieces, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise BodyTooLarge
            pieces.append(piece)
            more = message.get("more_body", False)
        return decode(b"".join(pieces), self.header(b"content-encoding"), limit)


def decode(data: bytes, encoding: bytes, limit: int) -> bytes:
    """Undo a content encoding without ever holding more than ``limit`` bytes of the result."""
    for name in reversed([part.strip().lower() for part in encoding.split(b",") if part.strip()]):
        if name == b"identity":
            continue
        if name not in {b"gzip", b"x-gzip", b"deflate", b"br"}:
            message = f"Unsupported content encoding {name.decode('latin-1')!r}. Use gzip, deflate, br or none."
            raise UnsupportedEncoding(message)
        try:
            data = _brotli(data, limit) if name == b"br" else _zlib(data, limit, gzip=name != b"deflate")
        except (zlib.error, brotli.error) as error:
            message = f"The request body is not {name.decode()}: {error}"
            raise UnsupportedEncoding(message) from None
    return data


def _zlib(data: bytes, limit: int, *, gzip: bool) -> bytes:
    # deflate means zlib's format, but some senders leave its two header bytes out
    raw = not gzip and (len(data) < 2 or (data[0] * 256 + data[1]) % 31 or data[0] & 15 != 8)
    decoder = zlib.decompressobj(31 if gzip else (-15 if raw else 15))
    plain = decoder.decompress(data, limit + 1)
    if len(plain) > limit or decoder.unconsumed_tail:
        raise BodyTooLarge
    if not decoder.eof or decoder.unused_data:
        message = "it ends too early or goes on too long"
        raise zlib.error(message)
    return plain


def _brotli(data: bytes, limit: int) -> bytes:
    decoder = brotli.Decompressor()
    plain = bytes(decoder.process(data, output_buffer_limit=limit + 1))
    if len(plain) > limit or not decoder.can_accept_more_data():
        raise BodyTooLarge
    if not decoder.is_finished():
        message = "it ends too early"
        raise brotli.error(message)
    return plain


async def respond(
    send: Send, status: int, body: bytes, headers: Iterable[Header] = (), kind: bytes = b"application/json"
) -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), length, *headers]}
    )
    await send({"type": "http.response.body", "body": body})
