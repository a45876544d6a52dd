"""The data plane's ASGI application: joins client, moderation and upstream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.protocols.types import AdapterFor
from gateway.proxy.ports import NoMetrics, ProxyMetrics, Recorder, Scorer, UpstreamClient
from gateway.store.records import new_id as sortable_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Proxy:
    """Forwards every path to the upstream and moderates both ways.

    Args:
        upstream: where requests go (``Upstream`` or ``DemoUpstream``); closed by its owner.
        moderator: ``current`` is the active ruleset, ``classifier`` is ``None`` where there is none.
        inference: scores segments.
        recorder: commits violations.
        pseudonym: turns a raw user id into what may be stored (``Cipher.pseudonym``).
        max_body: largest request body in bytes, after decoding.
        metrics: counters.
        new_id: makes decision ids and violation ids.
        adapter_for: picks the adapter of a path; the shipped ones where it is ``None``.
    """

    def __init__(
        self,
        *,
        upstream: UpstreamClient,
        moderator: Any,
        inference: Scorer,
        recorder: Recorder,
        pseudonym: Callable[[str], str],
        max_body: int = 16 * 2**20,
        metrics: ProxyMetrics | None = None,
        new_id: Callable[[], str] = sortable_id,
        adapter_for: AdapterFor | None = None,
    ) -> None:
        self._upstream = upstream
        self._moderator = moderator
        self._inference = inference
        self._recorder = recorder
        self._pseudonym = pseudonym
        self._max_body = max_body
        self._metrics = metrics or NoMetrics()
        self._new_id = new_id
        self._adapter_for = adapter_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ``http`` scope; refuse a ``websocket`` one. ``lifespan`` belongs to the application outside."""
        raise NotImplementedError
