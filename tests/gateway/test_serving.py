import asyncio
import contextlib
import socket

import pytest

from gateway import serving
from gateway.asgi import ON_DISCONNECT, respond
from gateway.http_protocol import BoundedProtocol
from gateway.settings import Settings, SettingsError


def test_a_port_in_use_names_the_setting():
    """The message says which setting to change, for both planes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=r"SLUICE_PORT: 127\.0\.0\.1:\d+ is in use"):
            serving.bind("127.0.0.1", port, "PORT")
        with pytest.raises(SettingsError, match="SLUICE_ADMIN_PORT"):
            serving.bind_planes(Settings(port=0, admin_port=port))


def test_two_gateways_never_share_a_port():
    """A second start on the same port fails, even before the first one answers."""
    first = serving.bind("127.0.0.1", 0, "PORT")
    with first, pytest.raises(SettingsError, match="in use"):
        serving.bind("127.0.0.1", first.getsockname()[1], "PORT")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_refused(host):
    """A host that is not ours is named."""
    with pytest.raises(SettingsError, match=r"SLUICE_(HOST|PORT)"):
        serving.bind(host, 0, "PORT")


def test_the_printed_url_can_be_opened():
    """Wildcard addresses are shown as loopback, IPv6 in brackets, port 0 as the port that was given."""
    with serving.bind("0.0.0.0", 0, "PORT") as listener:
        assert serving.url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    if socket.has_ipv6:
        with serving.bind("::1", 0, "PORT") as listener:
            assert serving.url_of(listener).startswith("http://[::1]:")


async def answer_ok(scope, receive, send):
    """An application that reads nothing."""
    await respond(send, 200, b"{}")


@contextlib.asynccontextmanager
async def serve(application):
    """Serve an application; its address."""
    listener = serving.bind("127.0.0.1", 0, "PORT")
    stop, started = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serving.serve([serving.Plane(application, listener, 1)], stop, started.set))
    await started.wait()
    yield listener.getsockname()
    stop.set()
    await task


@pytest.fixture
async def served(monkeypatch):
    """A served application's address, with little patience for heads."""
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.4)
    async with serve(answer_ok) as address:
        yield address


async def talk(address, *pieces, pause=0.0):
    """What the server answers to these bytes until it closes."""
    reader, writer = await asyncio.open_connection(*address)
    answer = bytearray()

    async def listen():
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                answer.extend(data)

    listening = asyncio.create_task(listen())
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    await asyncio.wait_for(listening, 10)
    writer.close()
    return bytes(answer)


@pytest.mark.anyio
async def test_a_head_without_end_is_refused(served):
    """Headers are bounded in bytes, whether in one header or in many."""
    many = [b"x-h%d: %s\r\n" % (n, b"y" * 1000) for n in range(1000)]
    assert b" 431 " in (await talk(served, b"GET / HTTP/1.1\r\n", *many))[:20]
    assert b" 431 " in (await talk(served, b"GET / HTTP/1.1\r\nx: ", *[b"y" * 4096] * 256))[:20]


@pytest.mark.anyio
async def test_a_head_that_never_comes_is_not_waited_for(served):
    """A silent connection, or half a request, is closed; also on a connection that was used before."""
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    assert await talk(served) == b""
    assert await talk(served, b"GET / HTTP/1.1\r\nhost:") == b""
    assert (await talk(served, request, b"GET /", pause=0.1)).count(b"200 OK") == 1


@pytest.mark.anyio
async def test_ordinary_requests_are_not_bothered(served):
    """A connection that is used again and again stays open past the time of one head."""
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert (await talk(served, request, request, request, last, pause=0.2)).count(b"200 OK") == 4


async def told(scope, receive, send):
    """An application that answers as the path says: /304, /head, /pieces, /short, /long, /evil, /sleep."""
    path = scope["path"]
    if path == "/sleep":
        scope["extensions"][ON_DISCONNECT](lambda task: task.cancel())
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            scope["state"]["left"].set()
        return
    length = {"/short": b"9", "/long": b"2"}.get(path, b"5")
    headers = [(b"content-length", length)]
    if path == "/evil":
        headers.append((b"x-evil", b"a\r\nset-cookie: b"))
    if path == "/chunks":
        headers = []
    await send({"type": "http.response.start", "status": 304 if path == "/304" else 200, "headers": headers})
    for piece in (b"he", b"llo") if path in ("/pieces", "/chunks") else (b"" if path == "/304" else b"hello",):
        await send({"type": "http.response.body", "body": piece, "more_body": piece == b"he"})


@pytest.fixture
async def telling():
    """``told`` served; its address, and the event of a client that left."""
    listener = serving.bind("127.0.0.1", 0, "PORT")
    stop, started, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        scope["state"]["left"] = left
        await told(scope, receive, send)

    task = asyncio.create_task(serving.serve([serving.Plane(app, listener, 1)], stop, started.set))
    await started.wait()
    yield listener.getsockname(), left
    stop.set()
    await task


def asking(target, method="GET", version="1.1", last=True):
    """The bytes of a request."""
    close = "connection: close\r\n" if last else ""
    return f"{method} {target} HTTP/{version}\r\nhost: x\r\n{close}\r\n".encode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (asking("/"), b"hello"),
        (asking("/pieces"), b"hello"),
        (asking("/chunks"), b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        (asking("/pieces", "HEAD"), b""),
        (asking("/304"), b""),
        (asking("/", version="1.0", last=False), b"hello"),
        (asking("/chunks", version="1.0", last=False), b"hello"),
    ],
    ids=["whole", "pieces", "chunks", "head", "not modified", "http 1.0", "http 1.0 of no length"],
)
async def test_answers_are_framed_as_http_has_it(telling, request_bytes, body):
    """A head is complete, a body has the length or the chunks that it promises, and the connection closes after it."""
    address, _ = telling
    head, _, rest = (await talk(address, request_bytes)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert rest == body


@pytest.mark.anyio
async def test_pipelined_requests_are_answered_in_their_order(telling):
    """Two requests in one packet get two answers, the second after the first."""
    address, _ = telling
    answer = await talk(address, asking("/pieces", last=False) + asking("/chunks"))
    assert answer.index(b"hello") < answer.index(b"2\r\nhe\r\n3\r\nllo")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/short", "/long", "/evil"])
async def test_a_broken_answer_is_never_passed_off_as_whole(telling, path):
    """A body of another length than its head says, or a header that would split the head, ends in an error."""
    address, _ = telling
    answer = await talk(address, asking(path))
    assert b"set-cookie" not in answer
    assert not answer.endswith(b"\r\n\r\nhello")


@pytest.mark.anyio
async def test_a_client_that_leaves_is_told_of(telling):
    """An application that waits for something else hears at once that nobody waits for it."""
    address, left = telling
    _reader, writer = await asyncio.open_connection(*address)
    writer.write(asking("/sleep", last=False))
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.wait_for(left.wait(), 5)


CHUNKED = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


async def echo(scope, receive, send):
    """An application that reads the body, and answers with its length and the names of the headers it then has."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    names = b" ".join(name for name, _ in scope["headers"])
    await respond(send, 200, b"%d %b" % (size, names))


@pytest.fixture
async def echoing():
    """The address of ``echo``."""
    async with serve(echo) as address:
        yield address


@pytest.mark.anyio
async def test_lines_after_a_body_are_no_headers(echoing):
    """What was decided by the headers is not undone by trailers."""
    answer = await talk(echoing, CHUNKED + b"2\r\nhi\r\n0\r\n", b"x-sluice-profile: lax\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n2 host connection transfer-encoding")


@pytest.mark.anyio
@pytest.mark.parametrize("start", [b"0\r\nx: ", b"5;x="], ids=["trailer", "chunk extension"])
async def test_what_is_sent_beside_a_body_has_bounds(echoing, start):
    """A trailer, or what else may stand between pieces of a body, does not grow without end."""
    assert await talk(echoing, CHUNKED + start, *[b"y" * 16384] * 64) == b""


@pytest.mark.anyio
async def test_a_large_body_in_pieces_is_taken(echoing):
    """The bound is on what is no content."""
    pieces = [b"4000\r\n" + b"y" * 0x4000 + b"\r\n"] * 32
    assert b"\r\n\r\n524288 " in await talk(echoing, CHUNKED, *pieces, b"0\r\n\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "second",
    [b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000, b"\x00\x01 no HTTP\r\n\r\n"],
    ids=["endless head", "no http"],
)
async def test_nothing_is_written_into_an_answer_under_way(second):
    """A broken request behind another never puts its error where the rest of the answer before it belongs."""
    going = asyncio.Event()

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.wait_for(going.wait(), 0.5)

    listener = serving.bind("127.0.0.1", 0, "PORT")
    stop, started = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serving.serve([serving.Plane(app, listener, 1)], stop, started.set))
    await started.wait()
    answer = await talk(listener.getsockname(), asking("/", last=False), second, pause=0.1)
    assert answer.endswith(b"begun\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    stop.set()
    await task
