"""Editing one frame of a stream, whatever its API: which edits change something, and how they stand in the frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gateway.protocols.arguments import Piece
from gateway.protocols.types import WHOLE, Edit, Frame, FrameKind, Path
from gateway.sse import replace_data

Pieces = Mapping[Path, Piece] | None
"""Where in a frame fragments of JSON documents stand, whose texts are views."""


def edit_text(frame: Frame, edits: Sequence[Edit], ended: Collection[int]) -> bytes:
    """A frame whose data is no JSON, or that has none."""
    if not frame.deltas or not frame.raw or frame.kind is FrameKind.END:
        return frame.raw
    text = edits[0].text if edits else ("" if WHOLE in ended else frame.deltas[0].text)
    if text == frame.deltas[0].text:
        return frame.raw
    return retold(frame, text) if text else b""


def retold(frame: Frame, text: str) -> bytes:
    """A frame that is one text, with that text replaced: its data, or all of it where it is no event."""
    is_event = frame.raw.lstrip(b"\xef\xbb\xbf").startswith((b"data", b"event", b"id", b"retry", b":"))
    if is_event and frame.deltas[0].text != frame.raw.decode("utf-8", "replace"):
        return replace_data(frame.raw, text.encode())
    return text.encode() + frame.raw[len(frame.raw.rstrip(b"\r\n")) :]


def changing(frame: Frame, edits: Sequence[Edit], pieces: Pieces) -> list[Edit]:
    """The edits that change what stands in the frame."""
    return [edit for edit in edits if stands(frame, edit.path) and _changes(frame, edit, pieces)]


def stands(frame: Frame, path: Path) -> bool:
    """Whether anything stands at a path: the empty one is the whole of a JSON string, else nowhere."""
    return bool(path) or isinstance(frame.body, str)


def mapped(edits: Sequence[Edit], pieces: Pieces) -> list[Edit]:
    """Edits of views as edits of the strings that hold the documents."""
    if not pieces:
        return list(edits)
    return [
        edit if (piece := pieces.get(edit.path)) is None else Edit(edit.path, piece.rewrite(edit.text))
        for edit in edits
    ]


def _changes(frame: Frame, edit: Edit, pieces: Pieces) -> bool:
    piece = pieces.get(edit.path) if pieces else None
    if piece is None:
        return all(delta.path != edit.path or delta.text != edit.text for delta in frame.deltas) and all(
            repeat.path != edit.path or repeat.text != edit.text for repeat in frame.repeats
        )
    return bool(piece.text + (piece.tail or "" if piece.held else "") != edit.text)


__all__ = ["Pieces", "changing", "edit_text", "mapped", "retold", "stands"]
