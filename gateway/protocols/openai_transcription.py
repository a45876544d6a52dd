"""OpenAI's transcriptions and translations of sound: a form in; JSON, text, subtitles or a stream out."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.protocols import bodies, jsontext
from gateway.protocols.about import ApiInfo
from gateway.protocols.event_stream import is_identifier
from gateway.protocols.media_stream import ErrorStreamDecoder
from gateway.protocols.openai_other import OpenAIFields
from gateway.protocols.types import (
    WHOLE,
    Body,
    ChannelKey,
    Coverage,
    Edit,
    Path,
    RequestView,
    ResponseView,
    StreamDecoder,
    TextPart,
)

ABOUT = ApiInfo(
    name="OpenAI transcriptions and translations",
    version_read="`openai` 3.54",
    paths="`…/audio/transcriptions`, `…/audio/translations`",
    channels="content (prompt, text, segments as one text), other (file names, words, tokens); the sound is not read; "
    "words and tokens of a masked text are withheld",
    refusal="none: always the error form",
    cut="error event",
    error='`{"error": {"message", "type", "code": "content_filter", "param", "sluice"}}`',
)

_REPEATING = ("words", "logprobs")
_LABELS = frozenset(("type", "language", "task", "id", "segment_id", "speaker"))


class OpenAITranscription(OpenAIFields):
    """``POST …/audio/transcriptions`` and ``…/audio/translations``."""

    name = "openai.transcription"
    fields = {"prompt": "content"}  # noqa: RUF012 - a constant of the class
    events = frozenset(("transcript.text.delta", "transcript.text.done", "transcript.text.segment"))

    def read_body(self, raw: bytes, content_type: str, *, strict: bool) -> Body:
        """Parse a form or JSON; an answer may be text or subtitles too."""
        kind = content_type.partition(";")[0].strip().lower()
        if raw and not strict and kind.startswith("text/") and not kind.endswith("json"):
            return bodies.read_text(raw, content_type)
        return super().read_body(raw, content_type, strict=strict)

    def read_response(self, body: Body) -> ResponseView:
        """The text; the segments as one text, for their reader sees one; words and tokens, each by itself."""
        if isinstance(body, bodies.PlainText):
            return ResponseView([TextPart((), "content", body.text, WHOLE)] if body.text else [], Coverage.FULL)
        if not isinstance(body, dict):
            return super().read_response(body)
        parts: list[TextPart] = []
        segments: list[TextPart] = []
        for path, text in jsontext.strings(body):
            if path[-1] in _LABELS and is_identifier(text):
                continue
            if path[0] == "segments" and len(path) == 3 and path[2] == "text":
                segments.append(TextPart(path, "content", text, WHOLE, continues=bool(segments)))
            else:
                parts.append(TextPart(path, "content" if path == ("text",) else "other", text, WHOLE))
        return ResponseView(parts + segments, Coverage.FULL)

    def edit(self, body: Body, edits: Sequence[Edit]) -> bytes:
        """The body with these texts replaced; words and tokens, which repeat it, are withheld."""
        if isinstance(body, bodies.PlainText):
            return body.edited(edits)
        if not isinstance(body, dict) or not edits:
            return super().edit(body, edits)
        return orjson.dumps(_withheld(jsontext.replace(body, edits)))

    def open_stream(
        self,
        request: RequestView,  # noqa: ARG002 - nothing in it changes the stream
        request_body: Body,  # noqa: ARG002
        content_type: str = "text/event-stream",  # noqa: ARG002 - this API streams in one way only
    ) -> StreamDecoder:
        """A decoder of a transcript."""
        return TranscriptStreamDecoder(self.events)


class TranscriptStreamDecoder(ErrorStreamDecoder):
    """Deltas of a transcript, and the whole of it at the end."""

    _key = ChannelKey(WHOLE, "content")
    _segments = ChannelKey(WHOLE, "content", "segments")

    def _read_event(self, kind: str, body: Body) -> None:
        said = body.get("delta", body.get("text"))
        for path, text in jsontext.strings(body):
            if path[0] == "logprobs" or (len(path) == 1 and path[0] in _LABELS and is_identifier(text)):
                continue
            self._read_text(kind, path, text)
        tokens = body.get("logprobs") or ()
        if tokens and "".join(entry["token"] for entry in tokens) != said:
            for place, entry in enumerate(tokens):
                self._hear(WHOLE, "other", ("logprobs", place, "token"), entry["token"])

    def _read_text(self, kind: str, path: Path, text: str) -> None:
        if kind == "transcript.text.delta" and path == ("delta",):
            self._speak(self._key, path, text)
        elif kind == "transcript.text.segment" and path == ("text",):
            self._speak(self._segments, path, text)
        else:
            self._hear(WHOLE, "content" if path == ("text",) else "other", path, text)

    def _withheld(self, body: Body) -> Body:
        return _withheld(body)


def _withheld(body: Body) -> Body:
    """An edited transcript without what repeats it word by word."""
    return {name: [] if name in _REPEATING and value else value for name, value in body.items()}


__all__ = ["ABOUT", "OpenAITranscription", "TranscriptStreamDecoder"]
