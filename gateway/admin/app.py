"""The control plane as one application."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.admin import errors, history, lexicon, lexicon_pages, pages, policy, proposals, violations
from gateway.admin.parts import Moderator, Parts, PartsOf
from gateway.auth import Authenticator
from gateway.store import Store

MAX_BODY = 64 * 1024 * 1024
"""Of any request. The framework reads a JSON body before it asks for a key."""

_STATIC = Path(__file__).parent / "static"
_SECURITY = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


class ControlSettings(Protocol):
    """What the control plane reads of the settings."""

    @property
    def policy(self) -> Path | None:
        """``SLUICE_POLICY``."""


def create_app(
    *,
    store: Store,
    authenticator: Authenticator,
    moderator: Moderator,
    settings: ControlSettings,
    render_metrics: Callable[[], bytes],
) -> ASGIApp:
    """Build the control plane.

    Args:
        store: what it shows and changes.
        authenticator: whose keys it takes.
        moderator: the ruleset in force, in this process.
        settings: where the policy file is.
        render_metrics: what ``/metrics`` answers.
    """
    app = FastAPI(
        title="Sluice control plane",
        version=_version(),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.parts = Parts(
        store=store,
        authenticator=authenticator,
        moderator=moderator,
        policy_file=settings.policy,
        render_metrics=render_metrics,
    )
    errors.install(app)
    for module in (violations, policy, lexicon, history, proposals):
        app.include_router(module.router)
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.include_router(pages.router)
    app.include_router(lexicon_pages.router)
    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return _Guarded(app)


def _healthz() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _icon() -> FileResponse:
    """Browsers ask for it by this name wherever they show no page of ours, as with JSON."""
    return FileResponse(_STATIC / "icon.svg", media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})


def _metrics(parts: PartsOf) -> Response:
    # Open, as scrapers expect: numbers only, and the port is not the clients'.
    return Response(parts.render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Guarded:
    """Ends requests that are too long, and adds the headers that keep browsers from what no page of ours asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise errors.ApiError(413, f"the body is longer than {MAX_BODY} bytes", code="body_too_large")
            return message

        await self._app(scope, counted, guarded)


def _version() -> str:
    try:
        return version("sluice")
    except PackageNotFoundError:
        return "0"
