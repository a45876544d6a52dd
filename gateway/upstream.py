"""The way to the model API: one pool of connections, raw bytes, and errors that say how far a request came."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterable, Iterable
from urllib.parse import SplitResult, urlsplit

import aiohappyeyeballs

from gateway.upstream_connection import Connection, Headers, Response
from gateway.upstream_errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable

KEEP_ALIVE_S = 4.0
"""Idle connections are closed before servers close theirs (five seconds is common), so that none goes stale in use."""
RECONNECT_AFTER_S = 0.1
SECOND_ADDRESS_S = 0.25
"""Seconds that the first address of a name gets before the second is tried beside it (RFC 8305)."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""What may be asked twice: it changes nothing at the other side."""
_BODILESS = _SAFE | {"TRACE"}
_OWN_LINES = frozenset({b"host", b"content-length", b"transfer-encoding"})
_CREDENTIALS = (b"x-api-key", b"api-key", b"x-goog-api-key")
_UNSENDABLE = re.compile(rb"[\x00-\x20\x7f]")
_PORTS = {"http": 80, "https": 443}


class Upstream:
    """One model API behind one pool of connections. Belongs to one event loop.

    Args:
        base_url: scheme, host and optional path prefix; the client's path is appended unchanged.
        key: replaces the client's credential.
        connect_timeout: seconds to connect, name resolution and TLS included.
        idle_timeout: seconds without a byte from the upstream.
        tls: verification; the system's certificates where it is ``True``.

    Raises:
        ValueError: the base URL is none, or the key cannot be a header's value.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        connect_timeout: float = 10.0,
        idle_timeout: float = 300.0,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        url = _split(base_url)
        self._name = url.hostname or ""
        self._port = url.port or _PORTS[url.scheme]
        self._prefix = url.path.rstrip("/").encode()
        self._host_line = b"host: %b\r\n" % _authority(url)
        self._key = key.encode() if key else None
        if self._key is not None and _UNSENDABLE.search(self._key):
            msg = "the upstream's key has a character that no header may have"
            raise ValueError(msg)
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._tls = _context(tls) if url.scheme == "https" else None
        self._open: set[Connection] = set()
        self._free: list[Connection] = []  # the one that was used last stands last
        self._sweeper: asyncio.TimerHandle | None = None

    async def open(self, method: str, raw_path: str, headers: Headers, body: bytes | AsyncIterable[bytes]) -> Response:
        """Send a request and wait for the head of the answer.

        A refused connection is tried once more, for nothing was sent on it; a request that may have been sent is not,
        unless it changes nothing at the other side.

        Raises:
            UpstreamUnreachable: no connection.
            UpstreamTimeout: no connection or no answer in time.
            UpstreamBroken: the connection ended before the head of the answer, or it is not HTTP.
        """
        head, chunked = self._head(method, raw_path, headers, body)
        connection = self._kept()
        if connection is not None:
            try:
                return await connection.ask(method, head, body, chunked=chunked)
            except UpstreamBroken:
                if connection.heard or method not in _SAFE or not isinstance(body, bytes):
                    raise
        try:
            connection = await self._connect()
        except UpstreamUnreachable:
            await asyncio.sleep(RECONNECT_AFTER_S)
            connection = await self._connect()
        return await connection.ask(method, head, body, chunked=chunked)

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        await asyncio.sleep(0)  # the sockets close at the loop's next turn

    # --- the pool ----------------------------------------------------------------------------------------------------

    def _kept(self) -> Connection | None:
        """A connection that is open and not too old."""
        free = self._free
        while free:
            connection = free.pop()
            if connection.usable and asyncio.get_running_loop().time() - connection.free_since < KEEP_ALIVE_S:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        self._free.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._sweep)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def _sweep(self) -> None:
        """Close what nobody used for long; the oldest stand first."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        while self._free and self._free[0].free_since + KEEP_ALIVE_S <= loop.time() + 0.01:
            self._free.pop(0).close()
        if self._free:
            self._sweeper = loop.call_at(self._free[0].free_since + KEEP_ALIVE_S, self._sweep)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        plain: socket.socket | None = None
        try:
            async with asyncio.timeout(self._connect_timeout) as limit:
                infos = await loop.getaddrinfo(self._name, self._port, type=socket.SOCK_STREAM)
                plain = await aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=SECOND_ADDRESS_S)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._idle_timeout, self._keep, self._forget),
                    sock=plain,
                    ssl=self._tls,
                    server_hostname=self._name if self._tls else None,
                )
        except BaseException as error:
            if plain is not None:
                plain.close()
            if isinstance(error, TimeoutError) and limit.expired():
                msg = f"No connection to the upstream within {self._connect_timeout:g} s."
                raise UpstreamTimeout(msg) from None
            if isinstance(error, (OSError, RuntimeError, UnicodeError)):
                raise UpstreamUnreachable(_reason(error)) from None
            raise
        self._open.add(connection)
        return connection

    # --- the request's head ------------------------------------------------------------------------------------------

    def _head(
        self, method: str, raw_path: str, headers: Headers, body: bytes | AsyncIterable[bytes]
    ) -> tuple[bytes, bool]:
        """The head's bytes, and whether the body follows in chunks."""
        target = self._prefix + raw_path.encode("latin-1")
        if not raw_path.startswith("/"):
            target = b"%b/%b" % (self._prefix, raw_path.encode("latin-1"))  # "@host/" or "*" is a path here
        pieces = [b"%b %b HTTP/1.1\r\n" % (method.encode("latin-1"), target), self._host_line]
        for name, value in headers if self._key is None else self._with_key(headers, self._key):
            if name not in _OWN_LINES:
                pieces.append(b"%b: %b\r\n" % (name, value))
        chunked = False
        if not isinstance(body, bytes):
            length = next((value for name, value in headers if name == b"content-length"), None)
            chunked = length is None
            pieces.append(b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %b\r\n" % length)
        elif body or method not in _BODILESS:
            pieces.append(b"content-length: %d\r\n" % len(body))
        pieces.append(b"\r\n")
        head = b"".join(pieces)
        # a line break inside a line would let a client write lines of its own, or a second request
        if not len(pieces) == head.count(b"\n") == head.count(b"\r") or b"\0" in head or _UNSENDABLE.search(target):
            msg = "The request's head has a character that cannot be sent."
            raise UpstreamBroken(msg)
        return head, chunked

    @staticmethod
    def _with_key(headers: Headers, key: bytes) -> Iterable[tuple[bytes, bytes]]:
        named = False  # the key went where the client had put its own
        for name, value in headers:
            if name in _CREDENTIALS:
                named = True
                yield name, key
            elif name != b"authorization":
                yield name, value
        if not named:
            yield b"authorization", b"Bearer " + key


def _split(base_url: str) -> SplitResult:
    try:
        url = urlsplit(base_url)
        usable = url.scheme in _PORTS and bool(url.hostname) and (url.port is None or url.port > 0)
        usable = usable and url.path.isascii() and not _UNSENDABLE.search(url.path.encode())
    except ValueError:
        usable = False
    if not usable or url.username is not None:
        msg = f"{base_url!r} is not a base URL: use http://host:port or https://host"
        raise ValueError(msg)
    return url


def _authority(url: SplitResult) -> bytes:
    """What the ``Host`` line says: the port only where it is not the scheme's own."""
    name = url.hostname or ""
    host = b"[%b]" % name.encode() if ":" in name else name.encode("ascii" if name.isascii() else "idna")
    return host if url.port in (None, _PORTS[url.scheme]) else b"%b:%d" % (host, url.port)


def _context(tls: ssl.SSLContext | bool) -> ssl.SSLContext:
    if isinstance(tls, ssl.SSLContext):
        return tls
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The upstream's certificate is not trusted: {error}"
    text = error.strerror if isinstance(error, OSError) else None
    return f"The upstream cannot be reached: {text or type(error).__name__}"


__all__ = [
    "Headers",
    "Response",
    "Upstream",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]
