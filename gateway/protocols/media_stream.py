"""Streams whose events carry pictures or sound in base64, with few texts beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson

from gateway.protocols import jsontext
from gateway.protocols.base64_media import is_long_base64
from gateway.protocols.event_stream import NotUnderstood, is_identifier
from gateway.protocols.frame_edit import changing, edit_text
from gateway.protocols.openai_shapes import error_event
from gateway.protocols.repeats import RepeatingStreamDecoder
from gateway.protocols.types import WHOLE, Body, Edit, Frame, FrameKind, Path, Refusal
from gateway.sse import SSEEvent, replace_data

_MEDIA = frozenset(("b64_json", "audio", "data", "delta"))
_LABELS = frozenset(("type", "background", "output_format", "quality", "size", "object", "model"))


class ErrorStreamDecoder(RepeatingStreamDecoder):
    """A stream of events in which a refusal is an error event. All of its texts belong to ``WHOLE``.

    Args:
        events: the types of events that are known.
    """

    def __init__(self, events: Collection[str]) -> None:
        super().__init__()
        self._events = events

    def _frame(self, event: SSEEvent) -> Frame:
        self._begin_frame()
        return super()._frame(event)

    def _read(self, event: SSEEvent, body: Body) -> Frame:
        kind = body.get("type") or event.event
        if kind == "error" or body.get("error"):
            return Frame(event.raw, FrameKind.ERROR, self._all_isolated(body, "error"), body)
        if kind not in self._events:
            raise NotUnderstood
        self._read_event(kind, body)
        closes = self._over()
        found = self._deltas or self._repeats
        what = FrameKind.DATA if found or self._media else FrameKind.PASS
        return Frame(event.raw, what, self._deltas, body, closes=closes, media=self._media, repeats=self._repeats)

    def _read_event(self, kind: str, body: Body) -> None:
        raise NotImplementedError

    def _no_json(self, event: SSEEvent, data: bytes) -> Frame:
        if data.strip() == b"[DONE]":
            return Frame(event.raw, FrameKind.END, self._deltas)
        return super()._no_json(event, data)

    def edit(self, frame: Frame, edits: Sequence[Edit], ended: Collection[int] = ()) -> bytes:
        """The frame with these texts replaced; once the stream is cut, nothing but them."""
        if frame.body is None:
            return edit_text(frame, edits, ended)
        kept = {edit.path for edit in edits if edit.text}
        if ended and not kept:
            return b""
        changes = changing(frame, edits, None)
        if ended:
            paths = [delta.path for delta in frame.deltas] + [repeat.path for repeat in frame.repeats]
            changes += [Edit(path, "") for path in paths if path not in kept]
        if not changes:
            return frame.raw
        return replace_data(frame.raw, orjson.dumps(self._withheld(jsontext.replace(frame.body, changes))))

    def _withheld(self, body: Body) -> Body:
        """An edited body without what repeats its text."""
        return body

    def refuse_choice(self, choice: int, refusal: Refusal) -> bytes:  # noqa: ARG002 - there is but one
        """The error event: this API has no place for a refusal text."""
        return error_event(400, refusal.message, "content_filter", refusal)

    def close(self, refusal: Refusal | None) -> bytes:  # noqa: ARG002 - the seam's
        """Nothing: the error event was the end."""
        return b""

    def error(self, status: int, message: str, code: str, refusal: Refusal | None = None) -> bytes:
        """The error object as a last event."""
        return error_event(status, message, code, refusal)


class MediaStreamDecoder(ErrorStreamDecoder):
    """Events of pictures or sound."""

    def _read_event(self, kind: str, body: Body) -> None:  # noqa: ARG002 - they are read alike
        for path, text in jsontext.strings(body):
            if path[-1] in _MEDIA and is_long_base64(text):
                self._media = True
            elif not self._is_plumbing(path, text):
                self._hear(WHOLE, "other", path, text)

    def _is_plumbing(self, path: Path, text: str) -> bool:
        return len(path) == 1 and path[0] in _LABELS and is_identifier(text)


__all__ = ["ErrorStreamDecoder", "MediaStreamDecoder"]
