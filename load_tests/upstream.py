"""A fake model API on a real socket: whole answers, and streams whose tokens come at a set pace.

``python upstream.py PORT`` serves OpenAI-shaped answers. The request chooses its answer by the header ``x-bench``:
``chunks=100;tick=2`` (tick in milliseconds, 0: all at once), ``stamp=1`` adds the send time of each frame.
It parses only what it must, so that it is never the bottleneck: ``run.py`` checks that it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time

import httptools
import uvloop
from apis import APIS
from texts import ANSWER, chosen, frame, whole_answer

WHOLE = whole_answer(ANSWER)
WHOLE_RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(WHOLE)
) + WHOLE
STREAM_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
BY_PATH = {api.path.encode(): api for api in APIS.values()}


def chunked(data: bytes) -> bytes:
    """One HTTP/1.1 chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start parsing."""
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.bench = b""
        self.tail = b""
        self.streams = False
        self.task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser; its callbacks do the rest."""
        self.parser.feed_data(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Stop a stream that nobody reads any more."""
        if self.task is not None:
            self.task.cancel()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self.bench, self.tail, self.streams = b"", b"", False
        self.url = b""

    def on_url(self, url: bytes) -> None:
        """Keep the path: it says in which API's way to answer."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the one header that chooses the answer."""
        if name.lower() == b"x-bench":
            self.bench = value

    def on_body(self, body: bytes) -> None:
        """Look for the stream switch, also where it is cut between two pieces of the body."""
        joined = self.tail + body
        self.streams = self.streams or b'"stream":true' in joined or b'"stream": true' in joined
        self.tail = joined[-16:]

    def on_message_complete(self) -> None:
        """Answer."""
        if not self.streams and self.url not in BY_PATH:
            self.transport.write(WHOLE_RESPONSE)
            return
        self.task = asyncio.get_running_loop().create_task(self.stream(chosen(self.bench.decode())))

    async def stream(self, options: dict[str, str]) -> None:
        """Send the frames at their pace."""
        count, tick = int(options["chunks"]), float(options.get("tick", 0)) / 1000
        size, stamp = int(options.get("size", 3)), options.get("stamp") == "1"
        tokens = [ANSWER[start % len(ANSWER) :][:size] for start in range(0, count * size, size)]
        api = BY_PATH.get(self.url)
        self.transport.write(STREAM_HEAD.format(api.content_type if api else "text/event-stream").encode())
        frames = api.frames(tokens) if api else []
        due = time.monotonic()
        for index, token in enumerate(tokens):
            if tick:
                due += tick
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic() if stamp else None
            self.transport.write(chunked(frames[index] if frames else frame(token, index, sent)))
        last = chunked(frames[-1]) if frames else chunked(frame("", count, None, last=True)) + chunked(DONE)
        self.transport.write(last + b"0\r\n\r\n")


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    sys.stdout.write(json.dumps({"ready": port}) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
