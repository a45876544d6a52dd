"""Sockets, servers and signals of one process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from gateway.asgi import App
from gateway.http_protocol import BoundedProtocol
from gateway.settings import PREFIX, Settings, SettingsError

BACKLOG = 2048
KEEP_ALIVE_S = 75
"""Idle client connections are kept longer than load balancers keep theirs, so that these close first."""
CONTROL_GRACE_S = 1
"""The control plane's live feeds never end by themselves."""

_BIND_PROBLEMS = {
    errno.EADDRINUSE: "is in use by another program: stop that one, or choose another port",
    errno.EACCES: "may not be opened by this user: choose a port above 1023",
    errno.EADDRNOTAVAIL: "is not an address of this machine: use 127.0.0.1, 0.0.0.0 or one of its own",
}


class StartError(Exception):
    """Something that is needed to serve is missing or broken. The message says what to change."""


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Open a listening socket; port 0 takes any free one.

    Args:
        host: name or address.
        port: port number.
        setting: ``PORT`` or ``ADMIN_PORT``, named in errors.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    where = f"{PREFIX}{setting}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise SettingsError(where.replace("PORT", "HOST"), f"{host!r} is no address of this machine") from None
    family, kind, _, _, address = found[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        problem = _BIND_PROBLEMS.get(error.errno or 0, f"cannot be listened on: {error.strerror}")
        raise SettingsError(where, f"{host}:{port} {problem}") from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which a listener is reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Plane:
    """One application on one socket, and how long its open answers get to end."""

    app: App
    listener: socket.socket
    grace_s: float


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(planes: list[Plane], stop: asyncio.Event, on_started: Callable[[], None]) -> None:
    """Serve until ``stop``, then end the planes in their order, each within its grace."""
    servers = [_Server(_config(plane)) for plane in planes]
    tasks = [
        asyncio.create_task(server.serve(sockets=[plane.listener]))
        for server, plane in zip(servers, planes, strict=True)
    ]
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            break  # the failure is raised below
        await asyncio.sleep(0.005)
    else:
        on_started()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for server, task in zip(servers, tasks, strict=True):
        server.should_exit = True
        await task


def _config(plane: Plane) -> uvicorn.Config:
    return uvicorn.Config(
        plane.app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(plane.grace_s),
    )


Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def run(main: Main, parent: int | None = None) -> None:
    """Run ``main(stop)`` on uvloop; a signal sets ``stop``.

    A process of its own stops on SIGTERM and SIGINT, and ends at once on a second SIGINT, as an impatient operator
    wants. A worker (``parent`` is the sentinel of its parent process) stops on SIGTERM, however often it comes, and
    when its parent has ended; a SIGINT from the terminal is the parent's to pass on.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_with_signals(main, parent))


async def _with_signals(main: Main, parent: int | None) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def interrupt() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    def parent_ended(sentinel: int) -> None:
        loop.remove_reader(sentinel)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if parent is None:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_reader(parent, parent_ended, parent)
    await main(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def bind_planes(settings: Settings) -> tuple[socket.socket, socket.socket]:
    """The data plane's and the control plane's listener.

    Raises:
        SettingsError: one of them cannot be opened.
    """
    data = bind(settings.host, settings.port, "PORT")
    try:
        return data, bind(settings.admin_host, settings.admin_port, "ADMIN_PORT")
    except SettingsError:
        data.close()
        raise
