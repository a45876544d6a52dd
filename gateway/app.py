"""The composition root: the one place that builds every part and joins them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from filters.ruleset import Ruleset
from gateway import keyfiles, logs, serving
from gateway.asgi import App
from gateway.auth import Authenticator
from gateway.classifier_loading import ClassifierLoader, ClassifierWatch
from gateway.crypto import Cipher
from gateway.databases import migrated
from gateway.dataplane import DataPlane, Readiness
from gateway.declared_apis import DeclaredAPIs
from gateway.guard import Guard
from gateway.metrics import Metrics
from gateway.moderation import Moderation
from gateway.moderator import Moderator
from gateway.problems import explain
from gateway.proxy import Proxy
from gateway.proxy.ports import UpstreamClient
from gateway.recorder import Recorder
from gateway.scoring import Scoring
from gateway.settings import Settings, SettingsError
from gateway.store import Store, StoreError
from gateway.upstreams import Upstreams
from gateway.workers import Job, Role, run_group
from models.types import Classifier

_STORE_AWAY = "store unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the two planes of one process share."""

    settings: Settings
    metrics: Metrics
    cipher: Cipher
    store: Store
    recorder: Recorder
    moderator: Moderator
    inference: Scoring
    upstream: UpstreamClient
    upstreams: Upstreams
    apis: DeclaredAPIs

    async def reasons(self) -> Sequence[str]:
        """Why this process cannot do its work; empty where it can.

        Everybody who reaches the port may ask, so the database's own words, with its address, stay in the log, and
        those of a refused policy on the control plane.
        """
        self.inference.probe()
        found = [
            *self.moderator.states,
            *self.inference.problems,
            *self.apis.problems,
            *self.recorder.problems,
        ]
        if not found:
            try:
                await asyncio.to_thread(self.store.ping)
            except StoreError:
                found.append(_STORE_AWAY)
        short = (_STORE_AWAY if reason.startswith(_STORE_AWAY) else reason for reason in found)
        return list(dict.fromkeys(short))


def open_upstream(settings: Settings) -> UpstreamClient:
    """The model API that the settings name, or the built-in demo."""
    if settings.upstream is None:
        from gateway.demo import DemoUpstream

        return DemoUpstream()
    from gateway.upstream import Upstream

    return Upstream(
        settings.upstream,
        key=settings.upstream_key,
        connect_timeout=settings.upstream_connect_timeout,
        idle_timeout=settings.upstream_timeout,
    )


@contextlib.asynccontextmanager
async def services(settings: Settings, classifier: Classifier | None = None) -> AsyncIterator[Services]:
    """Open everything in the order of need; close it in reverse, the records last.

    Args:
        settings: what to open.
        classifier: in place of what policy and settings name.
    """
    metrics = Metrics()
    cipher = Cipher(keyfiles.secret_key(settings))
    async with contextlib.AsyncExitStack() as stack:
        store = Store(settings.database_url, cipher)
        stack.callback(store.close)
        recorder = Recorder(store, settings.spool_dir, cipher, on_spooled=metrics.spool)
        stack.push_async_callback(recorder.close)
        recorder.start()
        upstreams = Upstreams(
            settings.upstream_key_of,
            places=settings.upstream_key_places,
            connect_timeout=settings.upstream_connect_timeout,
            timeout=settings.upstream_timeout,
        )
        stack.push_async_callback(upstreams.close)
        inference = Scoring(
            deadline_s=settings.inference_deadline_ms / 1000,
            observe=metrics.inference,
            on_failure=metrics.inference_failed,
        )
        stack.push_async_callback(inference.close)
        inference.watch()

        def activated(ruleset: Ruleset) -> None:
            inference.use(ruleset, moderator.classifier)
            _activated(ruleset, metrics, upstreams)

        loader = ClassifierLoader(settings, ClassifierWatch(metrics))
        moderator = Moderator(
            store,
            policy=settings.policy,
            base_lexicon=settings.base_lexicon,
            classifier=classifier,
            load_classifier=None if classifier else loader.load,
            promoted=loader.promoted,
            compiled=settings.compiled_dir,
            cipher=cipher,
            on_change=activated,
        )
        stack.push_async_callback(moderator.close)
        await moderator.start()
        apis = DeclaredAPIs(settings.apis)
        stack.push_async_callback(apis.close)
        await apis.start()
        upstream = open_upstream(settings)
        stack.push_async_callback(upstream.close)
        yield Services(
            settings=settings,
            metrics=metrics,
            cipher=cipher,
            store=store,
            recorder=recorder,
            moderator=moderator,
            inference=inference,
            upstream=upstream,
            upstreams=upstreams,
            apis=apis,
        )


def _activated(ruleset: Ruleset, metrics: Metrics, upstreams: Upstreams) -> None:
    metrics.ruleset(ruleset.version, ruleset.model_version)
    upstreams.use(ruleset.policy.upstreams)
    # A lexicon is a million objects that live for days. Taken out of the collector's sight, they cost no request
    # its time: a full collection would stop everything for a tenth of a second and more.
    gc.freeze()


def data_plane(parts: Services, readiness: Readiness) -> App:
    """The application on the data plane's port."""
    settings = parts.settings
    moderation = Moderation(
        moderator=parts.moderator,
        inference=parts.inference,
        recorder=parts.recorder,
        pseudonym=parts.cipher.pseudonym,
        keys=settings.moderation_keys,
        max_body=settings.max_body,
        metrics=parts.metrics,
    )
    guard = Guard(
        moderator=parts.moderator,
        inference=parts.inference,
        recorder=parts.recorder,
        pseudonym=parts.cipher.pseudonym,
        keys=settings.moderation_keys,
        max_body=settings.max_body,
        metrics=parts.metrics,
    )
    proxy = Proxy(
        upstream=parts.upstream,
        upstreams=parts.upstreams,
        moderator=parts.moderator,
        inference=parts.inference,
        recorder=parts.recorder,
        pseudonym=parts.cipher.pseudonym,
        max_body=settings.max_body,
        metrics=parts.metrics,
        adapter_for=parts.apis.adapter_for,
    )
    return DataPlane(
        proxy=proxy,
        moderation=moderation,
        guard=guard,
        reasons=readiness.reasons,
        upstreams=lambda: parts.upstreams.states,
        ruleset_version=lambda: parts.moderator.current.version,
    )


def control_plane(parts: Services) -> App:
    """The application on the control plane's port."""
    from gateway.admin import create_app

    app: App = create_app(
        store=parts.store,
        authenticator=Authenticator(parts.store, keyfiles.admin_key(parts.settings)[0]),
        moderator=parts.moderator,
        settings=parts.settings,
        render_metrics=parts.metrics.render,
    )
    return app


async def serve_planes(
    settings: Settings,
    data: socket.socket | None,
    control: socket.socket | None,
    on_started: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serve one or both planes of this process until ``stop``.

    Raises:
        StartError: something that is needed is missing or broken.
    """
    gc.set_threshold(20_000, 20, 20)  # the default of 700 looks for cycles several times a request and finds none
    async with contextlib.AsyncExitStack() as stack:
        try:
            parts = await stack.enter_async_context(services(settings))
        except Exception as error:
            if (problem := explain(error)) is None:
                raise
            raise serving.StartError(problem) from error
        readiness = Readiness(parts.reasons)
        planes = []
        if data is not None:
            planes.append(serving.Plane(data_plane(parts, readiness), data, settings.grace_s))
        if control is not None:
            planes.append(serving.Plane(control_plane(parts), control, serving.CONTROL_GRACE_S))
        draining = asyncio.create_task(_drain(stop, readiness))
        try:
            await serving.serve(planes, stop, on_started)
        finally:
            draining.cancel()


async def _drain(stop: asyncio.Event, readiness: Readiness) -> None:
    await stop.wait()
    readiness.draining = True


async def serve_job(job: Job, on_started: Callable[[], None], stop: asyncio.Event) -> None:
    """What a process of a group does."""
    data = job.listener if job.role is Role.DATA else None
    control = job.listener if job.role is Role.CONTROL else None
    await serve_planes(job.settings, data, control, on_started, stop)


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until a signal.

    Raises:
        SettingsError, StoreError, StartError: something is missing, broken or taken; the message says what to change.
    """
    logs.configure(settings.log_level)
    data, control = serving.bind_planes(settings)
    with data, control:
        new_key = prepare(settings)
        lines = banner(settings, serving.url_of(data), serving.url_of(control), new_key)

        def started() -> None:
            for line in lines:
                say(line)

        if settings.workers > 1:
            run_group(settings, data, control, serve_job, started)
        else:
            serving.run(lambda stop: serve_planes(settings, data, control, started, stop))


def prepare(settings: Settings) -> str | None:
    """Make data folder, secret, schema and first admin key, once for all processes; the key where it is new."""
    keyfiles.prepare_data_dir(settings)
    try:
        cipher = Cipher(keyfiles.secret_key(settings))
        store = Store(settings.database_url, cipher)
    except ValueError as error:
        raise SettingsError("SLUICE_DATABASE_URL", str(error)) from None
    try:
        migrated(store, settings)
    finally:
        store.close()
    key, fresh = keyfiles.admin_key(settings)
    return key if fresh else None


def banner(settings: Settings, data: str, control: str, new_key: str | None) -> list[str]:
    """What a newcomer sees: where things are, and one line to try."""
    upstream = settings.upstream or "built-in demo model (set SLUICE_UPSTREAM to moderate your own)"
    lines = [
        "Sluice is running.",
        f"  data plane     {data}   (point your client's base URL at {data}/v1)",
        f"  control plane  {control}",
        f"  upstream       {upstream}",
    ]
    if new_key is not None:
        lines.append(f"  admin key      {new_key}   (shown this once)")
    body = '{"model":"demo","messages":[{"role":"user","content":"你好"}]}'
    lines.append(f"Try: curl {data}/v1/chat/completions -H 'content-type: application/json' -d '{body}'")
    return lines
