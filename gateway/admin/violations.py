"""Violations as JSON: list, get, follow, review."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_type_hints

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from filters import taxonomy
from gateway.admin.access import COOKIE, Reader, Reviewer
from gateway.admin.errors import ApiError
from gateway.admin.parts import Parts, PartsOf
from gateway.store import StoreUnavailable, Violation, ViolationFilter

router = APIRouter(prefix="/api/v1/violations", tags=["violations"])

LOOK_S = 0.5
"""How often an open feed asks the store for news."""
QUIET_S = 15.0
"""After this long without news a feed says that it is alive, and checks that its key still is."""


def _known_category(code: str) -> str:
    if code not in taxonomy.GROUPS:
        taxonomy.get(code)
    return code


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]
Code = Annotated[str, AfterValidator(_known_category)]


class ViolationQuery(BaseModel):
    """Which violations to list. A parameter that does not exist is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="From this time on (RFC 3339; UTC where it names no zone).")
    until: Moment | None = Field(None, description="Before this time.")
    category: Code | None = Field(None, description="A code, with everything below it: A1.h holds A1.h.drugs.")
    action: Literal["flag", "mask", "block"] | None = None
    direction: Literal["input", "output"] | None = None
    status: Literal["open", "confirmed", "false_positive"] | None = None
    subject: str | None = Field(None, description="Pseudonym of a user (`sub_…`).")
    q: str | None = Field(None, min_length=1, max_length=200, description="Words in excerpt, rule, ids, path or model.")
    limit: int = Field(50, ge=1, le=1000)
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")

    def where(self) -> ViolationFilter:
        """The filter alone."""
        return ViolationFilter(**self.model_dump(exclude={"limit", "cursor"}))


class Review(BaseModel):
    """A person's verdict."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["confirmed", "false_positive"]
    category: Code | None = Field(None, description="The right category, where another one was found.")
    note: str = Field("", max_length=2000)


# The record's own fields, so that the documentation cannot fall behind them.
ViolationOut: Any = create_model(
    "Violation",
    **{  # type: ignore[call-overload]
        name: (dict[str, float] if name == "categories" else list[dict[str, Any]] if name == "matches" else kind, ...)
        for name, kind in get_type_hints(Violation).items()
    },
)


class ViolationList(BaseModel):
    """One page, newest first. With ``q`` it may be short or empty and still have a ``next_cursor``."""

    items: list[ViolationOut]
    next_cursor: str | None


@router.get("", response_model=ViolationList)
def list_violations(parts: PartsOf, _: Reader, query: Annotated[ViolationQuery, Query()]) -> JSONResponse:
    """List violations, newest first."""
    page = parts.store.violations.list(query.where(), limit=query.limit, cursor=query.cursor)
    return JSONResponse({"items": [item.as_json() for item in page.items], "next_cursor": page.next_cursor})


@router.get("/stream", response_class=StreamingResponse)
def stream_violations(
    request: Request,
    parts: PartsOf,
    _: Reader,
    last_event_id: Annotated[str | None, Header(description="The id of the last event that arrived.")] = None,
) -> StreamingResponse:
    """Follow violations as server-sent events: new ones, and changed ones again. Resumes after `Last-Event-ID`."""
    if last_event_id is None:
        position = parts.store.violations.position()
    elif last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        position = int(last_event_id)
    else:
        raise ApiError(400, "Last-Event-ID must be the id of an event of this feed", code="invalid_event_id")
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_follow(request, parts, position), media_type="text/event-stream", headers=headers)


@router.get("/{violation_id}", response_model=ViolationOut)
def get_violation(parts: PartsOf, _: Reader, violation_id: Annotated[str, Path(max_length=64)]) -> JSONResponse:
    """One violation."""
    return JSONResponse(_found(parts.store.violations.get(violation_id), violation_id).as_json())


@router.post("/{violation_id}/review", response_model=ViolationOut)
def review_violation(
    parts: PartsOf, identity: Reviewer, violation_id: Annotated[str, Path(max_length=64)], review: Review
) -> JSONResponse:
    """Confirm a violation or call it a false positive."""
    changed = parts.store.violations.review(
        violation_id, review.verdict, reviewer=identity.name, category=review.category, note=review.note
    )
    found = _found(changed, violation_id)
    parts.store.audit.append(identity.name, "review", violation_id, {"verdict": review.verdict})
    return JSONResponse(found.as_json())


def _found(violation: Violation | None, violation_id: str) -> Violation:
    if violation is None:
        raise ApiError(404, f"there is no violation {violation_id!r}", code="not_found", param="id")
    return violation


async def _follow(request: Request, parts: Parts, position: int) -> AsyncIterator[bytes]:
    yield f"retry: 2000\nid: {position}\n\n".encode()
    quiet = 0.0
    while True:
        try:
            news = await asyncio.to_thread(parts.store.violations.since, position)
        except StoreUnavailable:
            news = ()  # it may come back; the position is kept
        for position, violation in news:  # noqa: PLR1704 - the position moves with the events
            data = json.dumps(violation.as_json(), ensure_ascii=False)
            yield f"id: {position}\nevent: violation\ndata: {data}\n\n".encode("utf-8", "replace")
        if news:
            quiet = 0.0
            continue
        await asyncio.sleep(LOOK_S)
        quiet += LOOK_S
        if quiet >= QUIET_S:
            quiet = 0.0
            if not await asyncio.to_thread(_still_allowed, request, parts):
                return
            yield b": quiet\n\n"


def _still_allowed(request: Request, parts: Parts) -> bool:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "bearer":
            return parts.authenticator.identify(key.strip()) is not None
        return parts.authenticator.resume(request.cookies.get(COOKIE, "")) is not None
    except StoreUnavailable:
        return True  # nobody can be told from anybody now, and nothing is sent either
