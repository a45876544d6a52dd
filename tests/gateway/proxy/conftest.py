# ruff: noqa: D102 - the rig's methods are named for what they do
"""A whole data plane over real sockets: client, proxy under uvicorn, and an upstream that tests script byte by byte."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn

from filters.lexicon import Lexicon, Term
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action
from gateway.proxy import Proxy
from gateway.upstream import Upstream

CATEGORY = "A1.h.gambling"
TERMS = (
    Term("炸药", "A1.h.weapons_cbrne"),
    Term("傻瓜", "A4.a.bullying", Action.MASK),
    Term("广告词", "X.spam", Action.FLAG),
    Term("forbidden", CATEGORY),
)


def ruleset(policy=None, **more):
    """Four terms: 炸药 and forbidden block, 傻瓜 is masked, 广告词 is flagged."""
    return Ruleset(Policy.parse({"version": 1, **(policy or {})}), Lexicon(TERMS), **more)


@dataclass
class Request:
    """What the upstream received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Peer:
    """One connection of the fake upstream, to be written to as a test likes."""

    def __init__(self, reader, writer, number):
        self.reader = reader
        self.writer = writer
        self.number = number
        self.closed = asyncio.Event()

    async def send(self, data: bytes):
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, value, status="200 OK", headers=""):
        await self.whole(
            json.dumps(value, ensure_ascii=False).encode(), status, f"content-type: application/json\r\n{headers}"
        )

    async def whole(self, body: bytes, status="200 OK", headers="content-type: application/json\r\n"):
        await self.send(f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def start_stream(self, headers="content-type: text/event-stream\r\n"):
        await self.send(f"HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode())

    async def chunk(self, data: bytes):
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end_stream(self):
        await self.send(b"0\r\n\r\n")

    async def gone(self):
        """Wait until the other side closes; true when it did."""
        while await self.reader.read(4096):
            pass
        self.closed.set()
        return True


class FakeUpstream:
    """A raw HTTP/1.1 server; ``handler(peer, request)`` answers."""

    def __init__(self):
        self.requests: list[Request] = []
        self.peers: list[Peer] = []
        self.handler: Callable[[Peer, Request], Awaitable[None]] = self.say_nothing
        self.url = ""

    async def say_nothing(self, peer, request):
        if request.method == "HEAD":
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n")
        else:
            await peer.json({"ok": True})

    async def serve(self, reader, writer):
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await self.read(peer)
                if request is None:
                    break
                self.requests.append(request)
                await self.handler(peer, request)
        peer.closed.set()
        writer.close()

    async def read(self, peer):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = await peer.reader.readline()
            if not line:
                return None
            head += line
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {}
        for line in filter(None, lines):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if "content-length" in headers:
            body = await peer.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await peer.reader.readline(), 16):
                body += await peer.reader.readexactly(size)
                await peer.reader.readline()
            await peer.reader.readline()
        return Request(method, target, headers, body, peer.number)


class Records:
    """A recorder that keeps what it is given, in order, and can be told to fail or to take its time."""

    def __init__(self):
        self.items = []
        self.error = None
        self.pause = 0.0

    async def record(self, violation):
        if self.pause:
            await asyncio.sleep(self.pause)
        if self.error:
            raise self.error
        self.items.append(violation)

    @property
    def latest(self):
        """The last version of each record, by id."""
        return list({item.id: item for item in self.items}.values())


class NoScores:
    """Nothing asks for scores where there is no classifier."""

    async def score(self, segments, deadline_s=None):
        raise AssertionError


@dataclass
class Moderator:
    current: Ruleset


class Counted:
    """Counters as a list of what was told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args: self.told.append((name, *args))


@dataclass
class Plane:
    """The running data plane and everything round it."""

    upstream: FakeUpstream
    records: Records
    moderator: Moderator
    metrics: Counted
    url: str = ""
    client: httpx.AsyncClient = None
    port: int = 0
    server: uvicorn.Server = None
    forwarder: Upstream = None
    extra: dict = field(default_factory=dict)

    async def chat(self, text="你好", **more):
        """POST a chat completion."""
        return await self.client.post("/v1/chat/completions", json=chat(text, **more))


def chat(text="你好", **more):
    """A chat request."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def answer(*texts):
    """A chat answer with one choice for each text."""
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for n, text in enumerate(texts)
    ]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}


def frame(text=None, choice=0, finish=None, **delta):
    """One chunk of a streamed chat answer."""
    if text is not None:
        delta["content"] = text
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": choice, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def said(body: bytes, choice=0, field="content"):
    """The text that a client reads out of a stream for one choice."""
    text = ""
    for line in body.decode().split("\n"):
        if line.startswith("data: {"):
            for one in json.loads(line[6:]).get("choices", []):
                if one["index"] == choice:
                    text += one.get("delta", {}).get(field) or ""
    return text


@contextlib.asynccontextmanager
async def serving(app):
    """Run an ASGI application on a free port of loopback."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", log_level="critical", access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        server.force_exit = True
        await asyncio.wait_for(task, 10)


@contextlib.asynccontextmanager
async def running(policy=None, *, rules=None, scorer=None, idle=5.0, **more):
    """A data plane with a policy, in front of a fake upstream."""
    fake = FakeUpstream()
    listener = await asyncio.start_server(fake.serve, "127.0.0.1", 0, limit=2**20)
    fake.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    forwarder = Upstream(fake.url, connect_timeout=2, idle_timeout=idle, key=more.pop("key", None))
    plane = Plane(fake, Records(), Moderator(rules or ruleset(policy)), Counted(), forwarder=forwarder)
    app = Proxy(
        upstream=more.pop("upstream", forwarder),
        moderator=plane.moderator,
        inference=scorer or NoScores(),
        recorder=plane.records,
        pseudonym=lambda raw: f"sub_{len(raw)}",
        metrics=plane.metrics,
        **more,
    )
    try:
        async with serving(app) as (server, port):
            plane.server, plane.port, plane.url = server, port, f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=plane.url, timeout=30, limits=httpx.Limits()) as client:
                plane.client = client
                yield plane
    finally:
        await forwarder.close()
        listener.close()
        for peer in fake.peers:
            peer.writer.close()


@dataclass
class Kit:
    """The tools above, for tests that may not import a conftest."""

    running: object = staticmethod(running)
    serving: object = staticmethod(serving)
    ruleset: object = staticmethod(ruleset)
    chat: object = staticmethod(chat)
    answer: object = staticmethod(answer)
    frame: object = staticmethod(frame)
    said: object = staticmethod(said)
    done: bytes = DONE
    Term: object = Term


@pytest.fixture
def kit():
    """Everything that a test of the proxy needs."""
    return Kit()


@pytest.fixture
async def plane():
    """A data plane with the default policy."""
    async with running() as one:
        yield one
