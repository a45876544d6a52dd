"""What plays the users: wrk for whole answers, a lean reader for streams, a stop-watch for single requests."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apis import Api
from processes import RIG_CORE, Server, cpu_ns
from texts import QUESTION, chosen, request_body

PATH = "/v1/chat/completions"
_COUNTED = 0.9  # of a stream's frames at least: a mark that two reads tear apart is not counted
WRK = """
local bad = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer bench"
local bodies = {{ {bodies} }}
local number = 0
function request()
  number = number + 1
  local which = 1
  if {every} > 0 and number % {every} == 0 then which = 2 end
  return wrk.format(nil, nil, nil, bodies[which])
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{{"requests": %d, "us": %d, "bad": %d, "p50": %f, "p99": %f}}\\n', summary.requests,
    summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Load:
    """What a run of whole requests showed. CPU is the server's, in microseconds a request."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    bad: int


def lua_string(data: bytes) -> str:
    """Any bytes as a Lua string literal."""
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


def wrk(server: Server, work: Path, connections: int, seconds: float, *bodies: bytes, every: int = 0) -> Load:
    """Whole requests as fast as they are answered; each ``every``-th one sends the second body."""
    script = work / "wrk.lua"
    script.write_text(WRK.format(bodies=", ".join(map(lua_string, bodies)), every=every))
    command = ["taskset", "-c", str(RIG_CORE), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    before = cpu_ns(server.pids)
    output = subprocess.run(
        [*command, "-s", str(script), server.url + PATH], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    spent = cpu_ns(server.pids) - before
    seen = json.loads(output.strip().splitlines()[-1])
    count = max(1, int(seen["requests"]))
    rate = count / (seen["us"] / 1e6)
    return Load(count, rate, seen["p50"], seen["p99"], spent / 1000 / count, int(seen["bad"]))


@dataclass(frozen=True)
class Latencies:
    """Milliseconds of requests, the first tenth left out, and how many of all were refused."""

    ms: list[float]
    refused: int


def latencies(server: Server, count: int, *, vary: bool = False) -> Latencies:
    """Send ``count`` requests, one after the other on one kept connection.

    ``vary`` writes each question anew, so that no cache of scores answers in the classifier's place.
    """
    address = urllib.parse.urlsplit(server.url)
    head = f"POST {PATH} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
    head += "authorization: Bearer bench\r\ncontent-length: "
    taken, refusals = [], 0
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(count):
            question = QUESTION.replace("，", f"，{number}") if vary else QUESTION
            body = request_body(stream=False, question=question)
            message = f"{head}{len(body)}\r\n\r\n".encode() + body
            begin = time.perf_counter()
            connection.sendall(message)
            answer = connection.recv(65536)
            while b"\r\n\r\n" not in answer or len(answer) < length_of(answer):
                answer += connection.recv(65536)
            taken.append((time.perf_counter() - begin) * 1000)
            refusals += refused(answer)
    return Latencies(taken[count // 10 :], refusals)


def refused(answer: bytes) -> bool:
    """Whether the head of an answer says that a gateway stopped the request; what is no gateway says nothing."""
    decision = re.search(rb"^x-sluice-decision: *(\w+)", answer.partition(b"\r\n\r\n")[0], re.MULTILINE)
    return decision is not None and decision[1] != b"allow"


def length_of(answer: bytes) -> int:
    """Bytes of a whole answer, from its content-length."""
    head, _, _ = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line.split(b":")[1])
    return len(head) + 4


class StreamReader(asyncio.Protocol):
    """Reads one stream: counts events, notes when each stamped one came."""

    def __init__(self, request: bytes, *, stamps: bool, mark: bytes = b"data: {", end: bytes = b"[DONE]") -> None:
        self.request, self.stamps, self.mark, self.end = request, stamps, mark, end
        self.seen: list[tuple[float, float]] = []
        self.rest = b""
        self.events = 0
        self.whole = False
        self.refused = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count, and read the stamps where they are wanted."""
        if not self.events:
            self.refused |= refused(data)
        self.events += data.count(self.mark)
        if self.stamps:
            self.read_stamps(data)
        self.rest = (self.rest + data)[-32:] if not self.stamps else self.rest
        if self.end in data:
            self.whole = True
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def read_stamps(self, data: bytes) -> None:
        """Take the send time out of each event that is complete."""
        now = time.monotonic()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            _, found, sent = line.rpartition(b'"t":')
            if found:
                self.seen.append((float(sent.rstrip(b"}\r")), now))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The stream ended, one way or the other."""
        if not self.done.done():
            self.done.set_result(None)


@dataclass(frozen=True)
class Streams:
    """What a run of streams showed."""

    streams: int
    lost: int
    chunks: int
    cpu_us_chunk: float
    seen: list[list[tuple[float, float]]]
    seconds: float


async def read_stream(server: Server, options: str, *, stamps: bool, api: Api | None = None) -> StreamReader:
    """One stream on a connection of its own; without ``api`` a chat completion."""
    address = urllib.parse.urlsplit(server.url)
    body = json.dumps(api.body).encode() if api else request_body(stream=True)
    head = (
        f"POST {api.path if api else PATH} HTTP/1.1\r\nhost: {address.netloc}\r\n"
        f"content-type: application/json\r\nconnection: close\r\n{api.headers if api else ''}"
        f"authorization: Bearer bench\r\nx-bench: {options}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()

    def reader_of() -> StreamReader:
        if api is None:
            return StreamReader(head + body, stamps=stamps)
        return StreamReader(head + body, stamps=stamps, mark=api.mark, end=api.end)

    _, reader = await loop.create_connection(reader_of, address.hostname, address.port)
    await asyncio.wait_for(reader.done, 120)
    return reader


async def run_streams(
    server: Server, at_once: int, rounds: int, options: str, *, stamps: bool = False, api: Api | None = None
) -> Streams:
    """``rounds`` times ``at_once`` streams.

    A stream counts as lost where its end never came, and where it was refused or cut short: a refusal ends well, too,
    and costs something else than what is to be measured.
    """
    before, begin = cpu_ns(server.pids), time.monotonic()
    readers: list[StreamReader] = []
    for _ in range(rounds):
        readers += await asyncio.gather(*(read_stream(server, options, stamps=stamps, api=api) for _ in range(at_once)))
    spent = cpu_ns(server.pids) - before
    chunks = sum(reader.events for reader in readers)
    wanted = int(chosen(options)["chunks"]) * _COUNTED
    lost = sum(not reader.whole or reader.refused or reader.events < wanted for reader in readers)
    seen = [reader.seen for reader in readers]
    return Streams(len(readers), lost, chunks, spent / 1000 / max(1, chunks), seen, time.monotonic() - begin)


def held_back(seen: list[tuple[float, float]], slack: float) -> list[int]:
    """For each delivered frame: how many later frames had already been sent (``slack`` seconds for the way)."""
    sent = [moment for moment, _ in seen]
    held, ahead = [], 0
    for index, (_, arrived) in enumerate(seen):
        while ahead < len(sent) and sent[ahead] <= arrived - slack:
            ahead += 1
        held.append(max(0, ahead - index - 1))
    return held


class Heartbeat:
    """Asks a cheap page again and again while something else happens; the longest answer shows a stalled loop."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.times: list[float] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.beat)

    def beat(self) -> None:
        """Runs in its own thread until it is told to stop."""
        address = urllib.parse.urlsplit(self.server.url)
        request = f"GET /healthz HTTP/1.1\r\nhost: {address.netloc}\r\n\r\n".encode()
        with socket.create_connection((address.hostname, address.port)) as connection:
            while not self.stop.is_set():
                begin = time.perf_counter()
                connection.sendall(request)
                connection.recv(4096)
                self.times.append((time.perf_counter() - begin) * 1000)
                time.sleep(0.002)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)
