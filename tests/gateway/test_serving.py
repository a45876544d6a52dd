import asyncio
import contextlib
import socket

import pytest

from gateway import serving
from gateway.asgi import respond
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


@pytest.fixture
async def served(monkeypatch):
    """A served application's address, with little patience for heads."""
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.4)
    listener = serving.bind("127.0.0.1", 0, "PORT")
    stop, started = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serving.serve([serving.Plane(answer_ok, listener, 1)], stop, started.set))
    await started.wait()
    yield listener.getsockname()
    stop.set()
    await task


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
