"""The places of Anthropic's message bodies: which strings are texts, of what kind, and which nobody reads.

The walk goes by shape and leaves nothing out: what it does not know is text, and so is every object key that is no word
of the API. Only ids, the API's own vocabulary, signatures and base64 media are left out, each while it looks like such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.protocols import jsontext
from gateway.protocols.anthropic_vocabulary import KEYS, MEDIA_BLOCKS, MEDIA_SOURCES, WORD_FIELDS, WORDS
from gateway.protocols.base64_media import is_base64
from gateway.protocols.event_stream import is_identifier
from gateway.protocols.types import KEY, Body, Edit, Path, TextPart

_ROLES: Mapping[object, str] = {"user": "content", "assistant": "content", "system": "system"}
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_-]*", re.ASCII)
_DATED = re.compile(r"_20\d{6}$", re.ASCII)
_IDS = frozenset(("id", "tool_use_id", "file_id", "container_id", "previous_message_id"))
_HEADER = frozenset(("id", "model", "container", "anthropic_version", "inference_geo"))
_OPAQUE_FIELDS = frozenset(
    ("signature", "encrypted_content", "encrypted_index", "encrypted_stdout", "encrypted_stderr", "data")
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
        if name and name not in KEYS:
            self.parts.append(TextPart((*path, KEY, name), channel, name))

    def _is_plumbing(self, path: Path, text: str) -> bool:
        last = path[-1]
        if last == "type":
            self._note_media(path, text)
        if last in WORD_FIELDS:
            return text in WORDS or (last == "type" and _DATED.sub("", text) in WORDS)
        if path[0] == "tools":
            return False  # the model reads definitions of tools as they are, ids and all
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
            return is_base64(text)
        return kind == "redacted_thinking" and _OPAQUE.fullmatch(text) is not None

    def _note_media(self, path: Path, kind: str) -> None:
        if kind in MEDIA_BLOCKS or (kind in MEDIA_SOURCES and len(path) > 1 and path[-2] == "source"):
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
