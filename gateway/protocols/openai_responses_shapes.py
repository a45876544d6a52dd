"""The shapes that OpenAI's responses API answers in: responses, items and events of a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.protocols.openai_shapes import sluice
from gateway.protocols.types import Refusal


def text_part(text: str) -> dict[str, Any]:
    """A part of a message that says a text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message(refusal: Refusal, content: Sequence[Any], status: str = "incomplete") -> dict[str, Any]:
    """A message of ours."""
    return {
        "id": f"msg_{refusal.decision_id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def response(model: str, refusal: Refusal) -> dict[str, Any]:
    """A response of ours that has just begun."""
    return {
        "id": f"resp_{refusal.decision_id}",
        "object": "response",
        "created_at": refusal.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def refused(answer: Mapping[str, Any], output: Sequence[Any]) -> dict[str, Any]:
    """A response that ends as the vendor's own filter ends one."""
    return {
        **answer,
        "status": "incomplete",
        "error": None,
        "incomplete_details": {"reason": "content_filter"},
        "output": list(output),
    }


def event(kind: str, sequence: int, **fields: Any) -> bytes:
    """One typed event."""
    body = {"type": kind, **fields, "sequence_number": sequence}
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"


def error_event(sequence: int, message: str, code: str, refusal: Refusal | None) -> bytes:
    """The API's error event."""
    more = {} if refusal is None else {"sluice": sluice(refusal)}
    code = code if refusal is None else "content_filter"
    return event("error", sequence, code=code, message=message, param=None, **more)


__all__ = ["error_event", "event", "message", "refused", "response", "text_part"]
