"""Editing a frame of an OpenAI stream: texts replaced, ended choices taken out, everything else as it was read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import orjson

from gateway.protocols import jsontext
from gateway.protocols.frame_edit import changing, edit_text, mapped
from gateway.protocols.types import WHOLE, Body, Edit, Frame
from gateway.sse import replace_data

Withhold = Callable[[Body], Body]
"""An edited choice without what repeats its text."""

Dropped = Callable[[int, Body], None]
"""Told of each choice whose part of a frame was left out."""


def edit_frame(
    frame: Frame, edits: Sequence[Edit], ended: Collection[int], withhold: Withhold, dropped: Dropped
) -> bytes:
    """The frame as ``StreamDecoder.edit`` promises it."""
    if frame.body is None:
        return edit_text(frame, edits, ended)
    gone = [number for number in frame.choices if number in ended or WHOLE in ended]
    changes = changing(frame, edits, frame.note)
    if not changes and not gone and WHOLE not in ended:
        return frame.raw
    kept = {edit.path for edit in edits if edit.text}
    if WHOLE in ended and not kept:
        return b""
    changes += [
        Edit(delta.path, "")
        for delta in frame.deltas
        if (delta.key.choice in gone or WHOLE in ended) and delta.path and delta.path not in kept
    ]
    body = jsontext.replace(frame.body, mapped(changes, frame.note))
    if frame.choices:
        touched = {edit.path[1] for edit in changes if edit.path[0] == "choices"}
        choices = []
        for position, number in enumerate(frame.choices):
            choice = body["choices"][position]
            if number in gone:
                if not any(path[:2] == ("choices", position) for path in kept):
                    dropped(number, choice)
                    continue
                choice = {**choice, "finish_reason": None}
            choices.append(withhold(choice) if position in touched or number in gone else choice)
        body = {**body, "choices": choices}
        if not choices and not body.get("usage"):
            return b""
    return replace_data(frame.raw, orjson.dumps(body))


__all__ = ["edit_frame"]
