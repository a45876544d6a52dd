"""Request bodies that are files: policies and lexicons."""

from __future__ import annotations

from fastapi import Request

from gateway.admin.errors import ApiError


async def read_text(request: Request, limit: int) -> str:
    """The body as text.

    Raises:
        ApiError: it is longer than ``limit`` bytes, or not UTF-8.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise ApiError(413, f"the body is longer than {limit} bytes", code="body_too_large")
        pieces.append(piece)
    try:
        return b"".join(pieces).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"the body is not UTF-8: byte {error.start} cannot be read", code="invalid_body") from None


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
