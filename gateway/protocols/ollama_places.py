"""The places of Ollama's bodies: which strings are texts, of what kind, and which nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.protocols.base64_media import is_base64
from gateway.protocols.event_stream import is_identifier
from gateway.protocols.openai_places import SCHEMA_KEYS
from gateway.protocols.types import KEY, Path

ROLES = {"user": "content", "assistant": "content", "system": "system", "developer": "system", "tool": "tool"}
HEADER = ("model", "created_at", "remote_model", "remote_host")
_FIELDS = {
    "prompt": "content",
    "suffix": "content",
    "response": "content",
    "content": "content",
    "system": "system",
    "template": "system",
    "thinking": "reasoning",
    "tools": "tool",
    "tool_calls": "tool",
    "tool_name": "tool",
}
_SCHEMA_TYPES = frozenset(("function", "object", "string", "array", "number", "integer", "boolean", "null"))
_DONE = frozenset(("stop", "length", "load", "unload", "tool_calls"))


def is_plumbing(path: Path, text: str) -> bool:
    """Whether a string is a name, a word of the API's own vocabulary or a picture: nothing that anybody reads."""
    last = path[-1]
    if len(path) == 1:
        if last in HEADER or last in ("keep_alive", "think"):
            return is_identifier(text)
        return (last == "done_reason" and text in _DONE) or (last == "format" and text == "json")
    if last == "role":
        return text in ROLES
    if last == "type":
        return text in _SCHEMA_TYPES
    if last in ("id", "tool_call_id") and "arguments" not in path:
        return is_identifier(text)
    return len(path) > 1 and path[-2] == "images" and is_base64(text)


def is_known_key(path: Path, text: str) -> bool:
    """Whether a key is one of the API's own; the keys of schemas and arguments are text."""
    if "arguments" in path:
        return False
    return path[:1] not in (("tools",), ("format",)) or text in SCHEMA_KEYS


def channel(path: Path, roles: Sequence[Any]) -> str:
    """The channel of a text of a request or a whole answer.

    Args:
        path: where it stands.
        roles: of the request's messages.
    """
    if path[0] == "messages" and len(path) > 2 and isinstance(path[1], int):
        if path[2] == "content":
            role = roles[path[1]]
            return ROLES.get(role, "other") if isinstance(role, str) else "other"
        return _FIELDS.get(str(path[2]), "other")
    if path[0] == "message" and len(path) > 1:
        return _FIELDS.get(str(path[1]), "other")
    return _FIELDS.get(str(path[0]), "other") if path[0] != KEY else "other"


__all__ = ["HEADER", "ROLES", "channel", "is_known_key", "is_plumbing"]
