"""The connection to the model API, over real sockets."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

import pytest

from gateway.upstream import Upstream, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Peer:
    """A server that answers each request on a connection with the next of its scripts."""

    scripts: list = field(default_factory=list)
    connections: int = 0
    requests: list = field(default_factory=list)
    writers: list = field(default_factory=list)
    port: int = 0

    async def serve(self, reader, writer):
        """Read requests and play scripts: bytes to send, or None to close."""
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(
                    (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
                )
                body = await reader.readexactly(length)
                self.requests.append((head, body))
                script = self.scripts.pop(0) if self.scripts else OK
                if script is None:
                    break
                writer.write(script)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def peer(*scripts, **more):
    """A server with these scripts."""
    one = Peer(list(scripts))
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, **more)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for writer in one.writers:
            writer.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def connected(port, **more):
    """An upstream client, closed at the end."""
    base = more.pop("base", f"http://127.0.0.1:{port}")
    one = Upstream(base, **{"connect_timeout": 1, "idle_timeout": 0.3, **more})
    try:
        yield one
    finally:
        await one.close()


async def whole(response):
    """The whole body."""
    data = b""
    while piece := await response.read():
        data += piece
    return data


async def test_connections_are_reused():
    """Ten requests, one connection."""
    async with peer() as server, connected(server.port) as upstream:
        for _ in range(10):
            assert await whole(await upstream.open("GET", "/x", [], b"")) == b"ok"
        assert (server.connections, len(server.requests)) == (1, 10)


async def test_base_url_has_a_path_prefix_and_paths_stay_as_spelt():
    """The client's path and query are appended unchanged, whatever they look like."""
    async with peer() as server, connected(server.port, base=f"http://127.0.0.1:{server.port}/prefix/") as upstream:
        for path in ("/v1/chat", "//a//b", "/%63%2f", "/a/../b", "/./a", "/a;b=c?d=%20e&f=+g", "/x?a=b?c"):
            await whole(await upstream.open("GET", path, [], b""))
            assert server.requests[-1][0].split(" ")[1] == "/prefix" + path


@pytest.mark.parametrize("target", ["@elsewhere.invalid/x", "*", ".elsewhere.invalid/", ":1/"])
async def test_no_request_target_changes_the_host(target):
    """Whatever a client writes as its target, the request, and the key in it, goes to the configured upstream."""
    async with peer() as server, connected(server.port, key="sk-secret") as upstream:
        await whole(await upstream.open("GET", target, [], b""))
        assert server.requests[-1][0].split(" ")[1] == f"/{target}"


async def test_nothing_is_added_to_a_request():
    """No user agent, no accept, no cookies kept from one client for the next."""
    cookie = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with peer(cookie) as server, connected(server.port) as upstream:
        for _ in range(2):
            response = await upstream.open("POST", "/", [(b"x-a", "né".encode()), (b"x-a", b"2")], b"{}")
            await whole(response)
        head = server.requests[1][0].lower()
    names = sorted(line.split(":")[0] for line in head.strip().split("\r\n")[1:])
    assert names == ["content-length", "host", "x-a", "x-a"]
    assert "né".encode().decode("latin-1") in server.requests[1][0]


async def test_a_post_is_never_sent_twice():
    """A kept connection that closes under a POST fails it: it may have arrived."""
    async with peer(OK, None) as server, connected(server.port) as upstream:
        await whole(await upstream.open("POST", "/", [], b"1"))
        with pytest.raises(UpstreamBroken):
            await upstream.open("POST", "/", [], b"2")
        assert [body for _, body in server.requests] == [b"1", b"2"]


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 1), ("DELETE", 1)])
async def test_only_what_changes_nothing_is_repeated(method, times):
    """A GET on a stale connection is asked again; PUT and DELETE are not."""
    async with peer(OK, None) as server, connected(server.port) as upstream:
        await whole(await upstream.open("GET", "/first", [], b""))
        with contextlib.suppress(UpstreamBroken):
            await whole(await upstream.open(method, "/second", [], b""))
        assert sum("/second" in head for head, _ in server.requests) == times


async def test_refused_connection_is_tried_once_more():
    """Nothing was sent on a refused connection, so a restart of the upstream is survived."""
    async with peer() as server:
        port = server.port
    async with connected(port) as upstream:
        with pytest.raises(UpstreamUnreachable, match="cannot be reached"):
            await upstream.open("POST", "/", [], b"x")

        async def restart():
            await asyncio.sleep(0.03)
            one = Peer()
            return one, await asyncio.start_server(one.serve, "127.0.0.1", port)

        task = asyncio.create_task(restart())
        assert (await upstream.open("POST", "/", [], b"x")).status == 200
        one, listener = await task
        assert len(one.requests) == 1
        listener.close()


async def test_names_that_do_not_resolve():
    """A wrong host name is an error of its own kind."""
    async with connected(1, base="http://no-such-host.invalid") as upstream:
        with pytest.raises(UpstreamUnreachable):
            await upstream.open("GET", "/", [], b"")


async def test_idle_timeouts():
    """No head in time, and no byte in time in the middle of a body; a slow but steady one is no problem."""

    async def slow(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.1)
            writer.write(b"x")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with connected(listener.sockets[0].getsockname()[1]) as upstream:
        assert await whole(await upstream.open("GET", "/", [], b"")) == b"x" * 10
    listener.close()
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx"
    async with peer(b"", half) as server, connected(server.port) as upstream:
        with pytest.raises(UpstreamTimeout):
            await upstream.open("POST", "/", [], b"")
        response = await upstream.open("POST", "/", [], b"")
        with pytest.raises(UpstreamTimeout):
            await whole(response)
        response.cancel()


async def test_informational_answers_and_trailers_are_tolerated():
    """100 and 103 come before the answer, trailers after it; both are this hop's business."""
    script = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n"
    )
    async with peer(script, script) as server, connected(server.port) as upstream:
        for _ in range(2):
            response = await upstream.open("GET", "/", [], b"")
            assert (response.status, await whole(response)) == (200, b"ok")
        assert server.connections == 1


async def test_cancel_closes_the_connection_at_once():
    """The other side sees the close, and the connection is not used again."""
    closed = asyncio.Event()

    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await reader.read()
        closed.set()
        writer.close()

    listener = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with connected(listener.sockets[0].getsockname()[1]) as upstream:
        response = await upstream.open("GET", "/", [], b"")
        assert await response.read() == b"hi"
        response.cancel()
        response.cancel()
        await asyncio.wait_for(closed.wait(), 1)
    listener.close()


async def test_a_body_that_is_not_read_stops_the_sender():
    """What the caller does not read stays in the socket: bounded memory."""
    written = 0

    async def flood(reader, writer):
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                written += 65536

    listener = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with connected(listener.sockets[0].getsockname()[1], idle_timeout=5) as upstream:
        response = await upstream.open("GET", "/", [], b"")
        await asyncio.sleep(0.3)
        before = written
        await asyncio.sleep(0.2)
        assert written == before
        assert written < 16 * 2**20
        response.cancel()
    listener.close()


async def test_streamed_request_bodies():
    """A body may go out piece by piece."""

    async def pieces():
        yield b"one "
        yield b"two"

    async with peer() as server, connected(server.port) as upstream:
        await whole(await upstream.open("POST", "/", [(b"content-length", b"7")], pieces()))
        assert server.requests[0][1] == b"one two"


async def test_untrusted_certificates_are_refused(tmp_path):
    """TLS is verified: a certificate of nobody's is an error that says so."""
    certificate, key = self_signed()
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    trusting = ssl.create_default_context(cadata=certificate.decode())
    async with peer(ssl=context) as server:
        base = f"https://localhost:{server.port}"
        async with connected(server.port, base=base) as upstream:
            with pytest.raises(UpstreamUnreachable, match="certificate"):
                await upstream.open("GET", "/", [], b"")
        async with connected(server.port, base=base, tls=trusting) as upstream:
            assert await whole(await upstream.open("GET", "/", [], b"")) == b"ok"


def self_signed():
    """A certificate for localhost that nobody signed, and its key, as PEM."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), secret


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://", ""])
def test_what_is_no_base_url(url):
    """A base URL that cannot be used is refused at once, by name."""
    with pytest.raises(ValueError, match="not a base URL"):
        Upstream(url)
