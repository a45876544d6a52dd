"""The places of Anthropic's message bodies: which strings are texts, of what kind, and which nobody reads.

The walk goes by shape and leaves nothing out: what it does not know is text, and so is every object key that is no word
of the API. Only ids, the API's own vocabulary, signatures and base64 media are left out, each while it looks like such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.protocols import jsontext
from gateway.protocols.event_stream import is_identifier
from gateway.protocols.types import KEY, Body, Edit, Path, TextPart

_ROLES: Mapping[object, str] = {"user": "content", "assistant": "content", "system": "system"}
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_-]*", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*", re.ASCII)
_DATED = re.compile(r"_20\d{6}$", re.ASCII)
_IDS = frozenset(("id", "tool_use_id", "file_id", "container_id", "previous_message_id"))
_HEADER = frozenset(("id", "model", "container", "anthropic_version", "inference_geo"))
_OPAQUE_FIELDS = frozenset(
    ("signature", "encrypted_content", "encrypted_index", "encrypted_stdout", "encrypted_stderr", "data")
)
_MEDIA_BLOCKS = frozenset(("image", "container_upload"))
_MEDIA_SOURCES = frozenset(("base64", "url", "file"))
_WORD_FIELDS = frozenset(("type", "role", "stop_reason", "service_tier", "speed", "ttl", "effort", "error_code"))
_WORDS = frozenset(
    (
        *_ROLES,
        *_MEDIA_BLOCKS,
        *_MEDIA_SOURCES,
        *("text", "document", "search_result", "thinking", "redacted_thinking", "content", "message", "compaction"),
        *("tool_use", "tool_result", "server_tool_use", "tool_reference", "mcp_tool_use", "mcp_tool_result", "custom"),
        *("web_search_tool_result", "web_search_result", "web_fetch_tool_result", "web_fetch_result"),
        *("code_execution_tool_result", "code_execution_result", "code_execution_output", "direct", "ephemeral"),
        *("bash_code_execution_tool_result", "bash_code_execution_result", "bash_code_execution_output"),
        *("text_editor_code_execution_tool_result", "text_editor_code_execution_view_result"),
        *("text_editor_code_execution_create_result", "text_editor_code_execution_str_replace_result"),
        *("tool_search_tool_result", "tool_search_tool_search_result", "encrypted_code_execution_result"),
        *("tool_search_tool_regex", "tool_search_tool_bm25", "mcp_toolset", "bash", "text_editor", "computer"),
        *("web_search", "web_fetch", "code_execution", "memory", "char_location", "page_location"),
        *("content_block_location", "search_result_location", "web_search_result_location", "refusal", "approximate"),
        *("end_turn", "max_tokens", "stop_sequence", "pause_turn", "model_context_window_exceeded", "json_schema"),
        *("auto", "any", "tool", "none", "enabled", "disabled", "adaptive", "low", "medium", "high", "xhigh", "max"),
        *("standard", "standard_only", "priority", "batch", "fast", "5m", "1h", "not_available", "unavailable"),
        *("string", "object", "array", "number", "integer", "boolean", "null"),
    )
)
# Names of the API's own fields and of JSON Schema's: no text. Every other key is.
_KEYS = frozenset(
    (
        *(
            "model",
            "messages",
            "system",
            "max_tokens",
            "metadata",
            "user_id",
            "stop_sequences",
            "stream",
            "temperature",
        ),
        *("top_k", "top_p", "tools", "tool_choice", "thinking", "budget_tokens", "service_tier", "container"),
        *(
            "speed",
            "context_management",
            "edits",
            "mcp_servers",
            "output_config",
            "output_format",
            "effort",
            "inference_geo",
        ),
        *("role", "content", "type", "text", "cache_control", "ttl", "citations", "enabled", "source", "media_type"),
        *("data", "url", "file_id", "title", "context", "signature", "id", "name", "input", "tool_use_id", "is_error"),
        *("caller", "tool_id", "cited_text", "document_index", "document_title", "file", "start_char_index"),
        *("end_char_index", "start_page_number", "end_page_number", "start_block_index", "end_block_index"),
        *("search_result_index", "encrypted_index", "encrypted_content", "page_age", "retrieved_at", "stdout"),
        *("stderr", "return_code", "error_code", "server_name", "tool_name", "tool_references", "description"),
        *("input_schema", "input_examples", "allowed_callers", "defer_loading", "eager_input_streaming", "max_uses"),
        *("allowed_domains", "blocked_domains", "user_location", "city", "country", "region", "timezone"),
        *("display_width_px", "display_height_px", "display_number", "max_content_tokens", "disable_parallel_tool_use"),
        *("stop_reason", "stop_sequence", "stop_details", "category", "explanation", "usage", "input_tokens"),
        *(
            "output_tokens",
            "cache_creation",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "server_tool_use",
        ),
        *("web_search_requests", "web_fetch_requests", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
        *("output_tokens_details", "thinking_tokens", "expires_at", "diagnostics", "index", "delta", "content_block"),
        *("partial_json", "citation", "message", "anthropic_version", "anthropic_beta", "betas", "skills"),
        *("properties", "required", "strict", "items", "enum", "additionalProperties", "schema", "anyOf", "allOf"),
        *("oneOf", "not", "$ref", "$defs", "$schema", "default", "format", "minimum", "maximum", "const", "pattern"),
        *("minItems", "maxItems", "minLength", "maxLength", "examples", "json_schema"),
    )
)
_MAX_NESTING = 16  # blocks within blocks that are told apart; below that everything is text of the outer block's kind


class Places:
    """Collects the texts of a body.

    Args:
        root: what all paths lead into.

    Attributes:
        parts: the texts found so far.
        media: whether images or files were seen.
    """

    def __init__(self, root: Body) -> None:
        self._root = root
        self.parts: list[TextPart] = []
        self.media = False

    def message(self, message: Body, path: Path) -> None:
        """One message of a request."""
        if not isinstance(message, dict):
            self.strings(message, path, "other")
            return
        role = message.get("role")
        spoken = _ROLES.get(role, "other") if isinstance(role, str) else "other"
        for name, value in message.items():
            if name == "content":
                self.content(value, (*path, name), spoken)
            else:
                self.strings(value, (*path, name), "other")
            self._key(name, path, "other")

    def content(self, content: Body, path: Path, spoken: str) -> None:
        """What is said in a message: a string, or blocks whose texts are read as one.

        Args:
            content: the value of ``content``.
            path: where it stands.
            spoken: channel of its plain text.
        """
        if isinstance(content, str):
            self._text(path, spoken, content)
        elif isinstance(content, list):
            said = [
                TextPart((*path, number, "text"), spoken, block["text"])
                for number, block in enumerate(content)
                if is_text(block)
            ]
            self.parts += [part._replace(continues=number > 0) for number, part in enumerate(said)]
            for number, block in enumerate(content):
                self.block(block, (*path, number), spoken)
        else:
            self.block(content, path, spoken)

    def block(self, block: Body, path: Path, spoken: str) -> None:
        """One content block, save the text of a text block that stands in a list."""
        if not isinstance(block, dict):
            self.strings(block, path, "other")
            return
        kind = block.get("type")
        channel = _block_channel(kind, spoken)
        said = bool(path) and type(path[-1]) is int and is_text(block)
        for name, value in block.items():
            at = (*path, name)
            if name == "text" and said:
                pass
            elif name == "input" and channel == "tool":
                self.everything(value, at, channel)
            elif name == "content" and isinstance(value, list) and len(path) < _MAX_NESTING:
                self.content(value, at, channel)
            elif kind == "text" and name != "text":
                self.strings(value, at, "other")
            else:
                self.strings(value, at, channel)
            self._key(name, path, channel)

    def strings(self, value: Body, path: Path, channel: str) -> None:
        """Every string below ``value`` that is no plumbing, and every key that is no word of the API."""
        for at, text in jsontext.strings(value, path, keys=True):
            if KEY in at[len(path) : -1]:
                self._key(text, at[:-2], channel)
            elif not self._is_plumbing(at, text):
                self._text(at, channel, text)

    def everything(self, value: Body, path: Path, channel: str) -> None:
        """Every string and every key that is no word of the API: values of a tool's input are never plumbing."""
        for at, text in jsontext.strings(value, path, keys=True):
            if KEY in at[len(path) : -1]:
                self._key(text, at[:-2], channel)
            else:
                self._text(at, channel, text)

    def _text(self, path: Path, channel: str, text: str) -> None:
        if text:
            self.parts.append(TextPart(path, channel, text))

    def _key(self, name: str, path: Path, channel: str) -> None:
        if name and name not in _KEYS:
            self.parts.append(TextPart((*path, KEY, name), channel, name))

    def _is_plumbing(self, path: Path, text: str) -> bool:
        last = path[-1]
        if last == "type":
            self._note_media(path, text)
        if last in _WORD_FIELDS:
            return text in _WORDS or (last == "type" and _DATED.sub("", text) in _WORDS)
        if last in _IDS or (last in _HEADER and path[:-1] in ((), ("message",))):
            return is_identifier(text)
        if last == "media_type":
            return _MEDIA_TYPE.fullmatch(text) is not None
        if last in _OPAQUE_FIELDS:
            return self._is_opaque(path, text)
        return False

    def _is_opaque(self, path: Path, text: str) -> bool:
        if path[-1] != "data":
            return _OPAQUE.fullmatch(text) is not None
        kind = jsontext.get(self._root, path[:-1]).get("type")
        if kind == "base64":
            return _BASE64.fullmatch(text) is not None
        return kind == "redacted_thinking" and _OPAQUE.fullmatch(text) is not None

    def _note_media(self, path: Path, kind: str) -> None:
        if kind in _MEDIA_BLOCKS or (kind in _MEDIA_SOURCES and len(path) > 1 and path[-2] == "source"):
            self.media = True


def is_text(block: Body) -> bool:
    """Whether a content block is a text block."""
    return isinstance(block, dict) and block.get("type", "text") == "text" and isinstance(block.get("text"), str)


def unsigned(body: Body, edits: Sequence[Edit]) -> list[Edit]:
    """The edits that take the signatures from the thinking blocks that these edits change: they signed other words."""
    return [
        Edit((*edit.path[:-1], "signature"), "")
        for edit in edits
        if edit.path[-1:] == ("thinking",)
        and KEY not in edit.path
        and isinstance(jsontext.get(body, edit.path[:-1]).get("signature"), str)
    ]


def _block_channel(kind: Any, spoken: str) -> str:
    """The channel of the texts in a block of this type."""
    if kind in ("thinking", "redacted_thinking"):
        return "reasoning"
    if (
        spoken == "tool"
        or not isinstance(kind, str)
        or kind in ("text", "document", "search_result", "image", "compaction")
    ):
        return spoken
    return "tool" if kind.endswith(("tool_use", "tool_result")) else "other"


__all__ = ["Places", "is_text", "unsigned"]
