"""One moderated text of a stream: its engine, how far it is cleared, and what is kept of it for the record."""

from __future__ import annotations

import sys

from filters.types import Action, Match, Span
from gateway.protocols.types import ChannelKey
from gateway.relay.events import TextStream

EVERYTHING = sys.maxsize
"""A cleared offset past every text: the channel ended and nothing of it is withheld."""

_KEPT = 512  # characters of the channel kept for excerpts
_TRIMMED = 4 * _KEPT  # trimmed once they are so many
_AROUND = 160  # characters of an excerpt's window on either side of its match


class Recent:
    """The last characters of a text and the window round the gravest match found in it."""

    __slots__ = ("_base", "_length", "_pieces", "_weight", "end", "start", "window")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0  # of all pieces
        self._base = 0  # offset of the first piece in the whole text
        self._weight = -1
        self.window, self.start, self.end = "", 0, 0

    def add(self, text: str) -> None:
        """Append; cheap, for every delta of a clean stream comes through here."""
        self._pieces.append(text)
        self._length += len(text)
        if self._length > _TRIMMED:
            kept = "".join(self._pieces)[-_KEPT:]
            self._base += self._length - len(kept)
            self._pieces, self._length = [kept], len(kept)

    def note(self, match: Match) -> None:
        """Remember the text round a match, unless a graver one is remembered already."""
        weight = Action.BLOCK if match.action is None else match.action
        if weight <= self._weight:
            return
        self._weight = weight
        text = "".join(self._pieces)
        start = max(0, match.span.start - self._base)
        end = max(start, match.span.end - self._base)
        left = max(0, start - _AROUND)
        self.window = text[left : min(end, start + _KEPT) + _AROUND]
        self.start, self.end = start - left, end - left


class Channel:
    """State of one ``ChannelKey``. Offsets are characters of the channel's text."""

    __slots__ = (
        "blocked_at",
        "cleared",
        "dirty",
        "fed",
        "final",
        "key",
        "masks",
        "masks_left",
        "open_wants",
        "recent",
        "stream",
        "tickets",
        "told",
    )

    def __init__(self, key: ChannelKey, stream: TextStream) -> None:
        self.key = key
        self.stream = stream
        self.fed = 0
        self.cleared = 0
        self.final = False  # no more text comes
        self.blocked_at: int | None = None
        self.masks: list[Span] = []
        self.masks_left: list[Span] = []  # of text that left; a later frame may repeat it
        self.recent = Recent()
        self.tickets = 0  # scores that are still awaited
        self.dirty = False  # something was found that no verdict told yet
        self.told = False  # a verdict was told, to be completed at the end
        self.open_wants: list[Want] = []  # wants whose held characters were not read yet

    def masked(self, text: str, start: int, *, again: bool = False) -> str:
        """``text``, which stands at ``start``, with every masked character replaced by ``*``.

        Args:
            text: some of the channel's text.
            start: where it stands.
            again: it left before and is repeated.
        """
        end = start + len(text)
        inside = [span for span in self._masks(again=again) if span.start < end and start < span.end]
        if not inside:
            return text
        chars = list(text)
        for span in inside:
            left, right = max(span.start - start, 0), min(span.end - start, len(chars))
            chars[left:right] = "*" * (right - left)
        return "".join(chars)

    def touches_mask(self, start: int, end: int, *, again: bool = False) -> bool:
        """Whether any character of ``[start, end)`` is masked."""
        return any(span.start < end and start < span.end for span in self._masks(again=again))

    def forget_masks(self, before: int) -> None:
        """Put masks of text that left aside: only who repeats it asks for them."""
        self.masks_left += [span for span in self.masks if span.end <= before]
        self.masks = [span for span in self.masks if span.end > before]

    def _masks(self, *, again: bool) -> list[Span]:
        return [*self.masks_left, *self.masks] if again else self.masks


class Want:
    """What one delta of a queued frame waits for: its channel cleared past ``end``.

    ``again`` says that it is no delta: the channel said that text before.
    """

    __slots__ = ("again", "channel", "end", "path", "start", "text")

    def __init__(
        self, channel: Channel, path: tuple[str | int, ...], text: str, start: int, end: int, *, again: bool = False
    ) -> None:
        self.again = again
        self.channel = channel
        self.path = path
        self.text = text  # grows by the held characters once they are read
        self.start = start
        self.end = end

    def complete(self, text: str) -> bool:
        """Take the held characters from the channel's next text; false while some are missing."""
        missing = self.end - self.start - len(self.text)
        self.text += text[:missing]
        return len(text) >= missing
