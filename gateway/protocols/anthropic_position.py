"""Where a frame of an Anthropic stream stands: clients count blocks, and a refusal goes on counting where they are."""

from __future__ import annotations

from typing import NamedTuple

from gateway.protocols.frame_edit import Pieces


class Position(NamedTuple):
    """What a client knows of the message's blocks at one point of the stream."""

    started: bool = False  # has had message_start
    open: tuple[int, ...] = ()  # numbers of the blocks that it was not told the end of
    following: int = 0  # the number that the next block gets
    output_tokens: int = 0  # as it was told last


class Note:
    """What a frame's editor must know: where it stands, and which of its texts are views of JSON documents."""

    __slots__ = ("after", "before", "pieces", "plain")

    def __init__(self, before: Position, after: Position, pieces: Pieces = None, *, plain: bool = False) -> None:
        self.before = before
        self.after = after
        self.pieces = pieces
        self.plain = plain

    def __bool__(self) -> bool:
        """Whether the frame is more than text that goes on in the block that is open: then it is no template."""
        return not self.plain


__all__ = ["Note", "Position"]
