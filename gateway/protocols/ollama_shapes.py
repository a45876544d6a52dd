"""The shapes that Ollama answers in: answers, refusals, errors, and its times."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.protocols.openai_shapes import sluice
from gateway.protocols.types import Refusal

_COUNTS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


def rfc3339(seconds: int) -> str:
    """Unix seconds as the API writes times. The calendar is the proleptic Gregorian one (H. Hinnant, 2013)."""
    days, rest = divmod(seconds, 86400)
    era, day = divmod(days + 719468, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month += 3 if month < 10 else -9
    year += era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def saying(text: str, *, chat: bool) -> dict[str, Any]:
    """The part of an answer that holds its text."""
    return {"message": {"role": "assistant", "content": text}} if chat else {"response": text}


def header(model: str | None, refusal: Refusal) -> dict[str, Any]:
    """How every answer begins."""
    return {"model": model or "", "created_at": rfc3339(refusal.created)}


def ended() -> dict[str, Any]:
    """How an answer ends that was refused."""
    return {"done": True, "done_reason": "content_filter", **dict.fromkeys(_COUNTS, 0)}


def error_body(message: str, code: str, refusal: Refusal | None) -> bytes:
    """The API's error object; of a refusal with what the contract promises about the decision."""
    body: dict[str, Any] = {"error": message}
    if refusal is not None:
        body["code"] = code
        body["sluice"] = sluice(refusal)
    return orjson.dumps(body)


__all__ = ["ended", "error_body", "header", "rfc3339", "saying"]
