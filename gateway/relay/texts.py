"""The texts of one stream: their engines, the scores they wait for, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from filters.types import Action, Blocked, Cleared, Event, Flagged, Masked, ScoreNeeded, Scores
from gateway.protocols.types import ChannelKey
from gateway.relay.channel import EVERYTHING, Channel, Want
from gateway.relay.events import Degraded, RelayEvent, Score, Send, TextStream, Verdict


class Outbox:
    """Events in order, with neighbouring bytes joined into one ``Send``."""

    __slots__ = ("_events", "ready")

    def __init__(self) -> None:
        self._events: list[RelayEvent] = []
        self.ready: list[bytes] = []

    def put(self, event: RelayEvent) -> None:
        """Append an event behind the bytes that are ready."""
        if self.ready:
            self._seal()
        self._events.append(event)

    def flush(self) -> list[RelayEvent]:
        """Everything since the last call."""
        if self.ready:
            self._seal()
        events, self._events = self._events, []
        return events

    def clear(self) -> None:
        """Forget everything since the last ``flush``."""
        self._events.clear()
        self.ready.clear()

    def _seal(self) -> None:
        ready = self.ready
        data = ready[0] if len(ready) == 1 else b"".join(ready)
        if data:
            self._events.append(Send(data))
        ready.clear()


class Texts:
    """Every channel of one stream.

    Args:
        open_text: begins the moderation of one more text.
        outbox: where questions and verdicts go.
        on_block: told of each text that is blocked.
    """

    def __init__(
        self, open_text: Callable[[], TextStream], outbox: Outbox, on_block: Callable[[Channel, Blocked], None]
    ) -> None:
        self._open_text = open_text
        self._outbox = outbox
        self._on_block = on_block
        self._tickets: dict[int, tuple[Channel, int]] = {}
        self._next_ticket = 0
        self._told_rest = False
        self.channels: dict[ChannelKey, Channel] = {}

    @property
    def pending(self) -> int:
        """Scores that are still awaited."""
        return len(self._tickets)

    def open(self, key: ChannelKey) -> Channel:
        """The channel of a key, opened with its first use."""
        channel = self.channels.get(key)
        if channel is None:
            channel = self.channels[key] = Channel(key, self._open_text())
        return channel

    def hear(self, channel: Channel, path: tuple[str | int, ...], text: str, held: int) -> Want:
        """Give one delta to its engine; the result says what the delta's frame waits for."""
        start = channel.fed
        want = Want(channel, path, text, start, start + len(text) + held)
        if channel.open_wants and text:
            channel.open_wants = [open_want for open_want in channel.open_wants if not open_want.complete(text)]
        if held:
            channel.open_wants.append(want)
        if text:
            channel.fed += len(text)
            channel.recent.add(text)
            self.run(channel, lambda: channel.stream.feed(text))
        return want

    def run(self, channel: Channel, step: Callable[[], Sequence[Event]]) -> None:
        """Take one step of a channel's engine; where it raises, the policy's ``on_error`` goes on in its place."""
        try:
            events = step()
        except Exception:  # noqa: BLE001 - whatever a filter raises, the policy decides; it is never a silent pass
            events = channel.stream.fail()
        for event in events:
            self.apply(channel, event)

    def close(self, channels: Iterable[Channel]) -> None:
        """Tell these engines that no more text comes."""
        for channel in list(channels):
            if not channel.final:
                channel.final = True
                self.run(channel, channel.stream.finish)
                if channel.blocked_at is None and channel.cleared >= channel.fed:
                    channel.cleared = EVERYTHING

    def of_choices(self, choices: Iterable[int]) -> list[Channel]:
        """The channels of these choices."""
        wanted = frozenset(choices)
        return [channel for key, channel in self.channels.items() if key.choice in wanted]

    def answer(self, ticket: int, scores: Scores | None) -> None:
        """Give an engine the scores it asked for, or ``None`` for no scores. Unknown tickets are ignored."""
        found = self._tickets.pop(ticket, None)
        if found is None:
            return
        channel, number = found
        if scores is None:
            self.run(channel, lambda: channel.stream.fail(number))
        else:
            self.run(channel, lambda: channel.stream.resolve(number, scores))

    def drop_tickets(self, channel: Channel | None = None) -> None:
        """Await no more scores, of one channel or of all."""
        if channel is None:
            self._tickets.clear()
        else:
            self._tickets = {key: found for key, found in self._tickets.items() if found[0] is not channel}

    def apply(self, channel: Channel, event: Event) -> None:
        """Take one event of an engine."""
        if isinstance(event, Cleared):
            upto = event.upto
            channel.cleared = EVERYTHING if channel.final and upto >= channel.fed else upto
        elif isinstance(event, ScoreNeeded):
            self._next_ticket += 1
            self._tickets[self._next_ticket] = (channel, event.ticket)
            self._outbox.put(Score(self._next_ticket, event.text, event.context))
        elif isinstance(event, Masked):
            channel.masks.append(event.match.span)
            channel.dirty = True
            channel.recent.note(event.match)
        elif isinstance(event, Flagged):
            channel.dirty = True
            channel.recent.note(event.match)
        elif isinstance(event, Blocked):
            self._block(channel, event)

    def _block(self, channel: Channel, event: Blocked) -> None:
        channel.blocked_at = event.at
        channel.cleared = max(channel.cleared, event.at)
        channel.final = True
        for match in event.decision.matches:
            channel.recent.note(match)
        self.drop_tickets(channel)
        self._on_block(channel, event)

    # --- verdicts ----------------------------------------------------------------------------------------------------

    def verdict(self, channel: Channel, delivered: int, *, cancelled: bool) -> None:
        """Tell what was decided on a channel so far."""
        channel.dirty = False
        channel.told = True
        recent = channel.recent
        decision = channel.stream.decision()
        self._outbox.put(Verdict(channel.key, decision, delivered, recent.window, recent.start, recent.end, cancelled))

    def tell_rest(self, dead: Iterable[int], delivered: Callable[[Channel], int], *, cancelled: bool) -> None:
        """Tell, once, everything that was found and not told in full, with what was delivered in the end.

        Args:
            dead: choices that ended with a refusal; blocks in their other texts stay untold, for nobody saw any of it.
            delivered: how many characters of a channel left.
            cancelled: the upstream was told to stop.
        """
        if self._told_rest:
            return
        self._told_rest = True
        degraded = False
        for channel in self.channels.values():
            decision = channel.stream.decision()
            degraded = degraded or decision.degraded
            if channel.blocked_at is not None:
                if not channel.told and channel.key.choice not in dead:
                    self.verdict(channel, delivered(channel), cancelled=cancelled)
            elif decision.would_action > Action.ALLOW or decision.degraded:
                self.verdict(channel, delivered(channel), cancelled=cancelled)
        if degraded:
            self._outbox.put(Degraded())
