"""The connection to the model API: one pool, raw bytes, and errors that say how far a request came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Sequence

import aiohttp
from aiohttp.client_exceptions import ClientConnectorCertificateError, ClientConnectorError
from multidict import CIMultiDict
from yarl import URL

Headers = Sequence[tuple[bytes, bytes]]

KEEP_ALIVE_S = 4.0
"""Idle connections are closed before servers close theirs (five seconds is common), so that none goes stale in use."""
MAX_LINE = 32 * 1024
"""Bytes of one header line of an answer."""
BUFFER = 64 * 1024
"""Bytes of an answer that are read ahead of a slow client, doubled by aiohttp before it stops the socket."""
RECONNECT_AFTER_S = 0.1

# aiohttp repeats requests of the methods that HTTP calls idempotent when a kept connection proves closed. Right for
# GET, HEAD and OPTIONS; these change something at the other side, so they are sent once, as POST is.
_REPEATED_BY_AIOHTTP = frozenset({"DELETE", "PUT", "TRACE"})
_CREDENTIALS = (b"x-api-key", b"api-key", b"x-goog-api-key")


class UpstreamError(Exception):
    """The upstream did not answer as an HTTP server does."""

    status = 502
    kind = "broken"
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):  # noqa: N818 - names what happened
    """No connection; nothing was sent."""

    kind = "unreachable"
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):  # noqa: N818 - the same
    """No connection, or no byte, in time."""

    status = 504
    kind = "timeout"
    code = "upstream_timeout"


class UpstreamBroken(UpstreamError):  # noqa: N818 - the same
    """The connection ended before the answer did, or what came is not HTTP."""


class Response:
    """An answer whose head has arrived."""

    def __init__(self, response: aiohttp.ClientResponse, idle_timeout: float) -> None:
        self._response = response
        self._idle_timeout = idle_timeout
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.raw_headers]

    async def read(self) -> bytes:
        """The next bytes of the body, still encoded; ``b""`` once it is complete.

        Raises:
            UpstreamTimeout: no byte came for the idle timeout.
            UpstreamBroken: the connection ended before the body did.
        """
        try:
            return await self._response.content.readany()
        except TimeoutError:
            msg = f"The upstream sent nothing for {self._idle_timeout:g} s."
            raise UpstreamTimeout(msg) from None
        except (aiohttp.ClientError, OSError) as error:
            msg = f"The upstream closed the connection in the middle of its answer ({type(error).__name__})."
            raise UpstreamBroken(msg) from None

    def cancel(self) -> None:
        """Close the connection at once, unless the body was read to its end."""
        self._response.close()


class Upstream:
    """One model API behind one pool of connections. Belongs to one event loop.

    Args:
        base_url: scheme, host and optional path prefix; the client's path is appended unchanged.
        key: replaces the client's credential.
        connect_timeout: seconds to connect, name resolution and TLS included.
        idle_timeout: seconds without a byte from the upstream.
        tls: verification; the system's certificates where it is ``True``.

    Raises:
        ValueError: the base URL is none.
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
        url = URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            msg = f"{base_url!r} is not a base URL: use http://host:port or https://host"
            raise ValueError(msg)
        self._base = base_url.rstrip("/")
        self._key = key.encode() if key else None
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def open(self, method: str, raw_path: str, headers: Headers, body: bytes | AsyncIterable[bytes]) -> Response:
        """Send a request and wait for the head of the answer.

        A refused connection is tried once more, for nothing was sent on it; a request that may have been sent is not.

        Raises:
            UpstreamUnreachable: no connection.
            UpstreamTimeout: no connection or no answer in time.
            UpstreamBroken: the connection ended before the head of the answer, or it is not HTTP.
        """
        try:
            return await self._send(method, raw_path, headers, body)
        except UpstreamUnreachable:
            await asyncio.sleep(RECONNECT_AFTER_S)
            return await self._send(method, raw_path, headers, body)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, method: str, raw_path: str, headers: Headers, body: bytes | AsyncIterable[bytes]) -> Response:
        session = self._session or self._connect()
        if not raw_path.startswith("/"):
            raw_path = f"/{raw_path}"  # a target such as "@host/" or "*" must not become part of the authority
        try:
            response = await session.request(
                method,
                URL(self._base + raw_path, encoded=True),
                headers=self._head(headers),
                data=body or None,
                allow_redirects=False,
                ssl=self._tls,
                middlewares=(_once,) if method in _REPEATED_BY_AIOHTTP else None,
            )
        except (ClientConnectorError, ClientConnectorCertificateError) as error:
            raise UpstreamUnreachable(_reason(error)) from None
        except aiohttp.ConnectionTimeoutError:
            msg = f"No connection to the upstream within {self._connect_timeout:g} s."
            raise UpstreamTimeout(msg) from None
        except TimeoutError:
            msg = f"The upstream did not answer within {self._idle_timeout:g} s."
            raise UpstreamTimeout(msg) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            msg = f"The upstream closed the connection or sent no HTTP ({type(error).__name__})."
            raise UpstreamBroken(msg) from None
        return Response(response, self._idle_timeout)

    def _connect(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=30),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout, sock_read=self._idle_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            read_bufsize=BUFFER,
            trust_env=False,
        )
        return self._session

    def _head(self, headers: Headers) -> CIMultiDict[str]:
        lines: CIMultiDict[str] = CIMultiDict()
        named = False  # the key went where the client had put its own
        for name, value in headers:
            if self._key is not None and name in _CREDENTIALS:
                value, named = self._key, True  # noqa: PLW2901 - the credential's place, our value
            elif self._key is not None and name == b"authorization":
                continue
            lines.add(name.decode("latin-1"), _text(value))
        if self._key is not None and not named:
            lines["authorization"] = f"Bearer {self._key.decode()}"
        return lines


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a request that changes something: it may have arrived."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        msg = f"The upstream closed the connection ({type(error).__name__})."
        raise UpstreamBroken(msg) from None


def _text(value: bytes) -> str:
    """A header value as aiohttp sends it back unchanged: it encodes as UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _reason(error: ClientConnectorError) -> str:
    if isinstance(error, ClientConnectorCertificateError):
        return f"The upstream's certificate is not trusted: {error.certificate_error}"
    return f"The upstream cannot be reached: {error.os_error.strerror or type(error.os_error).__name__}"
