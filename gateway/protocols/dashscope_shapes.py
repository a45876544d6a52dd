"""The shapes that DashScope answers in: answers, refusals, errors, and its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.protocols.openai_shapes import sluice
from gateway.protocols.types import Refusal

FINISH = "content_filter"
_CODES = {
    400: "InvalidParameter",
    401: "InvalidApiKey",
    403: "AccessDenied",
    404: "ModelNotFound",
    429: "Throttling",
    502: "ServiceUnavailable",
    503: "ServiceUnavailable",
    504: "RequestTimeOut",
}
TEXT, MESSAGE, PARTS = "text", "message", "parts"
"""How an answer holds its text: ``output.text``, a message's string, a message's list of parts."""


def said(texts: Iterable[tuple[int, str]], forms: Iterable[str], finish: str) -> dict[str, Any]:
    """The ``output`` of an answer.

    Args:
        texts: number and text of each choice.
        forms: how it is held; more than one where the client may look in either.
        finish: why it ended.
    """
    output: dict[str, Any] = {"text": None, "finish_reason": None}
    for form in forms:
        if form == TEXT:
            output |= {"text": next(iter(texts))[1], "finish_reason": finish}
        else:
            output["choices"] = [_choice(number, text, form, finish) for number, text in texts]
    return output


def _choice(number: int, text: str, form: str, finish: str) -> dict[str, Any]:
    content: Any = [{"text": text}] if form == PARTS else text
    more = {"index": number} if number else {}
    return {"finish_reason": finish, **more, "message": {"role": "assistant", "content": content}}


def answer(output: dict[str, Any], request_id: str) -> dict[str, Any]:
    """A whole answer, or one event's."""
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return {"output": output, "usage": usage, "request_id": request_id}


def error_body(status: int, message: str, code: str, refusal: Refusal | None = None, request_id: str = "") -> bytes:
    """The API's error object; a refusal has the code of the vendor's own filter."""
    name = _CODES.get(status, "InternalError" if status >= 500 else "InvalidParameter")
    body: dict[str, Any] = {"code": name, "message": message, "request_id": request_id}
    if code == "content_filter":
        body["code"] = "DataInspectionFailed"
    if refusal is not None:
        body["request_id"] = request_id or refusal.decision_id
        body["sluice"] = sluice(refusal)
    return orjson.dumps(body)


def event(number: int, data: bytes, *, status: int = 200) -> bytes:
    """One event as the server writes it: without spaces, which its own client relies on."""
    name = "result" if status == 200 else "error"
    return f"id:{number}\nevent:{name}\n:HTTP_STATUS/{status}\ndata:".encode() + data + b"\n\n"


__all__ = ["FINISH", "MESSAGE", "PARTS", "TEXT", "answer", "error_body", "event", "said"]
