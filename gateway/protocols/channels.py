"""Which texts of a stream are still being written.

A channel's last characters can be held back because they may be the beginning of a match. Frames leave in order, so a
channel that never speaks again would hold everything behind it. Hence channels are closed: with their choice, and, for
all but the answer itself, after ``IDLE_FRAMES`` frames without them. Counting frames keeps this independent of clocks
and of how bytes were cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.protocols.types import ChannelKey

IDLE_FRAMES = 16
"""Frames with text of the same choice but not of this channel, after which a channel counts as over."""

MAX_CHANNELS = 512
"""Channels of one stream; past it the frame is not understood and the policy decides."""


class TooManyChannels(ValueError):  # noqa: N818 - named for what happened
    """A stream spreads its text over more places than are followed."""


class Channels:
    """The open channels of one stream."""

    def __init__(self, *, lasting: str | None = "content") -> None:
        """Args: lasting: kind of channel that only its choice's end closes."""
        self._lasting = lasting
        self._last: dict[ChannelKey, int] = {}  # open channel -> tick of its choice at its last text
        self._renamed: dict[ChannelKey, ChannelKey] = {}  # a channel that spoke again after it was closed
        self._closed: dict[ChannelKey, ChannelKey] = {}  # key under which it spoke -> the key that it had first
        self._ticks: dict[int, int] = {}  # choice -> frames of it that carried text

    def speak(self, key: ChannelKey) -> ChannelKey:
        """Text of ``key`` came: the key to report it under (another one if that text was closed before).

        Raises:
            TooManyChannels: it would be one too many.
        """
        if self._renamed:
            key = self._renamed.get(key, key)
        last = self._last
        if key not in last and len(last) + len(self._renamed) >= MAX_CHANNELS:
            raise TooManyChannels
        last[key] = self._ticks.get(key.choice, 0)
        return key

    def after_frame(self, spoke: Iterable[int], ends: Collection[int] = ()) -> tuple[ChannelKey, ...]:
        """A frame is over: the channels that are over with it.

        Args:
            spoke: choices of which the frame carried text.
            ends: choices that ended with it.
        """
        if len(self._last) < 2 and not ends:
            return ()
        for choice in set(spoke):
            self._ticks[choice] = self._ticks.get(choice, 0) + 1
        over = tuple(key for key, tick in self._last.items() if key.choice in ends or self._is_idle(key, tick))
        for key in over:
            self._close(key)
        return over

    def over(self, keys: Iterable[ChannelKey]) -> tuple[ChannelKey, ...]:
        """The API says that nothing more comes in these: the keys under which those that are open were reported."""
        open_keys = dict.fromkeys(self._renamed.get(key, key) for key in keys)
        found = tuple(key for key in open_keys if key in self._last)
        for key in found:
            self._close(key)
        return found

    def _is_idle(self, key: ChannelKey, tick: int) -> bool:
        return key.channel != self._lasting and self._ticks.get(key.choice, 0) - tick > IDLE_FRAMES

    def _close(self, key: ChannelKey) -> None:
        del self._last[key]
        first = self._closed.pop(key, key)
        successor = key._replace(index=f"{key.index}+")
        self._renamed[first] = successor
        self._closed[successor] = first


__all__ = ["IDLE_FRAMES", "MAX_CHANNELS", "Channels", "TooManyChannels"]
