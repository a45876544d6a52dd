"""Which adapter reads a path.

The path is normalised for this choice only (what is forwarded stays as sent), and as far as any server might: percent
signs, also double ones, letter case, empty and dot segments, parameters after ``;``, trailing slashes. Whoever spells a
path oddly gets the same adapter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from gateway.protocols.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from gateway.protocols.gemini import Gemini
from gateway.protocols.generic_json import GenericJSON
from gateway.protocols.ollama import Ollama
from gateway.protocols.openai_chat import OpenAIChat
from gateway.protocols.openai_completions import OpenAICompletions
from gateway.protocols.types import ProtocolAdapter

_CHAT = OpenAIChat()
_COMPLETIONS = OpenAICompletions()
_GENERIC = GenericJSON()
# Last segments of a path -> adapter, the longest first. A prefix may be anything: /v1, /openai/deployments/x, /api/v3.
_KNOWN: tuple[tuple[tuple[str, ...], ProtocolAdapter], ...] = (
    (("chat", "completions"), _CHAT),
    (("completions",), _COMPLETIONS),
    (("v1", "messages", "count_tokens"), AnthropicCountTokens()),
    (("v1", "messages"), AnthropicMessages()),
    (("api", "chat"), Ollama(chat=True)),
    (("api", "generate"), Ollama(chat=False)),
)
# What stands behind the colon of a last segment -> adapter.
_METHODS: dict[str, ProtocolAdapter] = {
    method: Gemini(method)
    for method in ("generatecontent", "streamgeneratecontent", "counttokens", "embedcontent", "batchembedcontents")
}
_MAX_UNQUOTES = 5
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


def segments(raw_path: str) -> tuple[str, ...]:
    """The segments of a path as any server might read them."""
    path = _SCHEME.sub("", raw_path)  # absolute-form request targets
    for _ in range(_MAX_UNQUOTES):
        path = path.partition("?")[0].partition("#")[0]
        unquoted = unquote(path, errors="replace")
        if unquoted == path:
            break
        path = unquoted
    kept: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        name = "".join(char for char in part.partition(";")[0] if char.isprintable()).strip().casefold()
        if name == "..":
            del kept[-1:]
        elif name not in ("", "."):
            kept.append(name)
    return tuple(kept)


@lru_cache(maxsize=1024)
def adapter_for(method: str, raw_path: str) -> ProtocolAdapter:  # noqa: ARG001 - later APIs differ by method
    """The adapter for a request line.

    Args:
        method: the HTTP method.
        raw_path: the path exactly as the client sent it, with or without query.
    """
    parts = segments(raw_path)
    for suffix, adapter in _KNOWN:
        if parts[-len(suffix) :] == suffix:
            return adapter
    method = parts[-1].rpartition(":")[2] if parts else ""
    return _METHODS.get(method, _GENERIC)


__all__ = ["adapter_for", "segments"]
