"""The shapes that Gemini answers in: refusals and errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.protocols.openai_shapes import sluice
from gateway.protocols.types import Refusal

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def refused_candidate(number: int, refusal: Refusal) -> dict[str, Any]:
    """A candidate that says the refusal text and ends as one that the vendor's own filter stopped."""
    content = {"parts": [{"text": refusal.message}], "role": "model"}
    return {"content": content, "finishReason": "SAFETY", "index": number}


def refused_answer(numbers: Iterable[int], refusal: Refusal, **more: Any) -> dict[str, Any]:
    """An answer of nothing but refused candidates."""
    candidates = [refused_candidate(number, refusal) for number in numbers]
    return {"candidates": candidates, "responseId": refusal.decision_id, **more}


def error_body(status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
    """Google's error object; of a refusal with what the contract promises about the decision."""
    kind = _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    info: dict[str, Any] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.upper(),
        "domain": "sluice",
    }
    error: dict[str, Any] = {"code": status, "message": message, "status": kind, "details": [info]}
    if refusal is not None:
        error["sluice"] = sluice(refusal)
    return orjson.dumps({"error": error})


__all__ = ["error_body", "refused_answer", "refused_candidate"]
