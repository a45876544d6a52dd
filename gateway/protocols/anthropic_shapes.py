"""The shapes that Anthropic's messages API answers in: messages, stream events, errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.protocols.openai_shapes import sluice
from gateway.protocols.types import Refusal

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
REFUSED: dict[str, Any] = {
    "stop_reason": "refusal",
    "stop_sequence": None,
    "stop_details": {"type": "refusal", "category": None, "explanation": None},
}
"""How an answer ends that was refused."""


def event(name: str, **fields: Any) -> bytes:
    """One named event of a stream."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps({"type": name, **fields}) + b"\n\n"


def message(model: str, refusal: Refusal) -> dict[str, Any]:
    """A message of ours, still empty."""
    return {
        "id": f"msg_{refusal.decision_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def refused(said: dict[str, Any], refusal: Refusal) -> dict[str, Any]:
    """A message with nothing in it but the refusal text, ended as the API ends a refusal."""
    return {**said, "content": [{"type": "text", "text": refusal.message}], **REFUSED}


def refusal_events(still_open: Iterable[int], number: int, output_tokens: int, text: str) -> bytes:
    """The events that end a message with a refusal, save ``message_stop``.

    Args:
        still_open: blocks to close.
        number: of the block that says the refusal text.
        output_tokens: what the upstream counted last.
        text: the refusal text.
    """
    events = [event("content_block_stop", index=index) for index in still_open]
    events += [
        event("content_block_start", index=number, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=number, delta={"type": "text_delta", "text": text}),
        event("content_block_stop", index=number),
        event("message_delta", delta=REFUSED, usage={"output_tokens": output_tokens}),
    ]
    return b"".join(events)


def error(status: int, text: str, code: str, refusal: Refusal | None = None) -> dict[str, Any]:
    """The API's error object; of a refusal with what the contract promises about the decision."""
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    told: dict[str, Any] = {"type": kind, "message": text, "code": code}
    if refusal is not None:
        told["sluice"] = sluice(refusal)
    return {"type": "error", "error": told}


__all__ = ["REFUSED", "error", "event", "message", "refusal_events", "refused"]
