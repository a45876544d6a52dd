"""The shapes that OpenAI's APIs and those made after them answer in: errors, refusals, stream chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.protocols.types import Refusal, RequestView, StreamDecoder

DONE = b"data: [DONE]\n\n"
NO_USAGE: Mapping[str, int] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
MAX_REFUSED_CHOICES = 128
"""OpenAI's own limit of ``n``; a larger number in a refused request gets no more refusals than this."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
    """OpenAI's error object; of a refusal with what the contract promises about the decision."""
    error: dict[str, Any] = {
        "message": message,
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": None,
        "code": code,
    }
    if refusal is not None:
        error["type"] = error["code"] = "content_filter"
        error["sluice"] = sluice(refusal)
    return orjson.dumps({"error": error})


def error_event(status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
    """The error object as the end of a stream."""
    return event(error_body(status, message, code, refusal)) + DONE


def sluice(refusal: Refusal) -> dict[str, Any]:
    """What a client may know of a decision: never the matched text or the term."""
    return {"decision_id": refusal.decision_id, "categories": list(refusal.categories), "action": refusal.action}


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def chunk(header: Mapping[str, Any], choices: list[dict[str, Any]], **more: Any) -> bytes:
    """One stream chunk with these choices."""
    return event(orjson.dumps({**header, "choices": choices, **more}))


def refused_numbers(choices: int) -> range:
    """The choice numbers that a refusal of a whole request answers with."""
    return range(max(1, min(choices, MAX_REFUSED_CHOICES)))


def refused_stream(decoder: StreamDecoder, choices: int, refusal: Refusal) -> tuple[int, str, bytes]:
    """The answer to a refused request that asked for a stream: every choice refused, and the stream closed."""
    frames = [decoder.refuse_choice(number, refusal) for number in refused_numbers(choices)]
    return 200, "text/event-stream", b"".join(frames) + decoder.close(refusal)


def refused_whole(
    request: RequestView, refusal: Refusal, *, prefix: str, kind: str, choice: Callable[[int, Refusal], dict[str, Any]]
) -> tuple[int, str, bytes]:
    """The answer to a refused request that asked for a whole one. ``choice`` makes the API's refused choice."""
    body = {
        "id": f"{prefix}-{refusal.decision_id}",
        "object": kind,
        "created": refusal.created,
        "model": request.model or "",
        "choices": [choice(number, refusal) for number in refused_numbers(request.choices)],
        "usage": dict(NO_USAGE),
    }
    return 200, "application/json", orjson.dumps(body)


__all__ = [
    "DONE",
    "MAX_REFUSED_CHOICES",
    "NO_USAGE",
    "chunk",
    "error_body",
    "error_event",
    "event",
    "refused_numbers",
    "refused_stream",
    "refused_whole",
    "sluice",
]
