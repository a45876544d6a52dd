"""The stream relay: frames wait in order until every text that they carry is cleared, then leave as they came.

Pure: bytes, scores and failures in, events out. No clock, no event loop, no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from filters.types import Action, Blocked, Cleared, Decision, OnError, Scores
from gateway.protocols.types import (
    WHOLE,
    ChannelKey,
    CountingDecoder,
    Coverage,
    Edit,
    Frame,
    FrameKind,
    Refusal,
    StreamDecoder,
)
from gateway.relay.channel import Channel, Want
from gateway.relay.events import CancelUpstream, Degraded, Done, RelayEvent, RelayPolicy, TextStream, Unknown, Verdict
from gateway.relay.texts import Outbox, Texts
from gateway.sse import FrameTooLarge

MAX_BACKLOG = 4 * 2**20
"""Bytes of held frames past which ``on_error`` decides: a last guard, far above what texts and scores can hold back."""

_OWN = ChannelKey(WHOLE, "other")  # the key of verdicts on frames and failures, which belong to no text
_Problem = tuple[int, str, str]  # status, message, code of an error frame


class _Held:
    """A frame in the queue. ``problem`` is set where the stream must end in its place."""

    __slots__ = ("frame", "problem", "wants")

    def __init__(self, frame: Frame, wants: Sequence[Want], problem: _Problem | None = None) -> None:
        self.frame = frame
        self.wants = wants
        self.problem = problem


class Relay:
    """Moderates one streamed answer.

    Args:
        decoder: frames of this answer.
        open_text: begins the moderation of one more text of it.
        refusal: what the client is told of a decision.
        policy: what to do where texts do not decide.
        blank: a decision without findings, for verdicts on what is no text.
        choices: how many choices were asked for.
        max_backlog: bytes of held frames past which ``on_error`` decides.

    Attributes:
        backlog: bytes of frames that are held.
        cancelled: the upstream was told to stop.
        done: the client has everything.
        coverage: what was scanned so far.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        open_text: Callable[[], TextStream],
        refusal: Callable[[Decision], Refusal],
        *,
        policy: RelayPolicy,
        blank: Decision,
        choices: int = 1,
        max_backlog: int = MAX_BACKLOG,
    ) -> None:
        self._decoder = decoder
        self._refusal = refusal
        self._policy = policy
        self._blank = blank
        self._choices = range(max(1, choices))
        self._max_backlog = max_backlog
        self._out = Outbox()
        self._texts = Texts(open_text, self._out, self._block)
        self._queue: deque[_Held] = deque()
        self._inbox: Iterator[Frame] = iter(())
        self._frame: Frame | None = None  # taken from the inbox, neither queued nor sent
        self._stopped: set[int] = set()  # choices in which a block was decided
        self._dead: set[int] = set()  # choices whose refusal was sent
        self._ended: set[int] = set()  # choices that the upstream ended
        self._last = blank  # the latest block
        self._upstream_over = False  # it ended by itself
        self._input_over = False  # nothing more is taken
        self._blind = False  # what comes is no longer looked at: the policy lets pass what failed
        self._tail: _Problem | None = None
        self.backlog = 0
        self.cancelled = False
        self.done = False
        self.coverage = Coverage.FULL

    @property
    def pending(self) -> int:
        """Scores that are still awaited; in monitor mode they may be after ``done``."""
        return self._texts.pending

    # --- what the caller tells -------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[RelayEvent]:
        """Take bytes of the answer, decoded of any content encoding, in any cut."""
        if self._input_over or self.cancelled:
            return []
        if self._policy.monitor:
            self._out.ready.append(data)
            if self._blind:
                return self._out.flush()
        try:
            self._inbox = iter(self._decoder.feed(data))
        except FrameTooLarge as error:
            self._end_at(Frame(b"", FrameKind.UNKNOWN), str(error), "frame")
        return self._advance()

    def resolve(self, ticket: int, scores: Scores) -> list[RelayEvent]:
        """Take the scores of a ``Score`` event. Tickets of a text that ended are ignored."""
        self._texts.answer(ticket, scores)
        return self._advance()

    def fail(self, ticket: int) -> list[RelayEvent]:
        """Say that a ``Score`` event will not be answered; the engine decides by its policy."""
        self._texts.answer(ticket, None)
        return self._advance()

    def finish(self) -> list[RelayEvent]:
        """The answer is complete."""
        if not self._input_over and not self.cancelled:
            self._upstream_over = True
            if not self._blind or not self._policy.monitor:
                self._inbox = iter(self._decoder.finish())
                self._take_all()
            self._end_input()
        return self._advance()

    def abort(self, status: int, message: str, code: str) -> list[RelayEvent]:
        """The upstream failed: what may leave does, then the API's error frame."""
        if not self._input_over and not self.cancelled:
            self._upstream_over = True
            self._tail = (status, message, code)
            self._end_input()
        return self._advance()

    def crashed(self) -> list[RelayEvent]:
        """This relay or its decoder raised. The policy decides whether the stream ends or goes on unmoderated."""
        self._give_up("Moderation failed.")
        return self._out.flush()

    def leave(self) -> list[Verdict]:
        """The client is gone: the verdicts on what it received."""
        self._out.clear()
        self._texts.drop_tickets()
        self._texts.tell_rest(self._dead, self._delivered, cancelled=True)
        return [event for event in self._out.flush() if isinstance(event, Verdict)]

    def _end_input(self) -> None:
        self._input_over = True
        self._texts.close(self._texts.channels.values())
        if self._policy.monitor:  # nobody waits for the scores that are still out
            self._say_tail()
            self._say_done()

    # --- frames in ---------------------------------------------------------------------------------------------------

    def _advance(self) -> list[RelayEvent]:
        self._take_all()
        if self._queue or self._stopped or self._input_over:
            self._drain()
        return self._out.flush()

    def _take_all(self) -> None:
        take = self._watch if self._policy.monitor else self._take
        for frame in self._inbox:
            self._frame = frame
            if not self._blind:
                take(frame)
            elif not self._policy.monitor:
                self._out.ready.append(frame.raw)
            self._frame = None

    def _take(self, frame: Frame) -> None:
        """Give the frame's text to its engine, and send the frame at once where that clears it."""
        deltas = frame.deltas
        if (
            len(deltas) != 1
            or self._stopped
            or frame.kind is not FrameKind.DATA
            or frame.ends
            or frame.closes
            or frame.media
            or frame.repeats
        ):
            self._take_slowly(frame)
            return
        key, path, text, held, last = deltas[0]
        channel = self._texts.channels.get(key)
        if channel is None or channel.final or channel.open_wants or held or last:
            self._take_slowly(frame)
            return
        start = channel.fed
        channel.fed = end = start + len(text)
        channel.recent.add(text)
        try:
            events = channel.stream.feed(text)
        except Exception:  # noqa: BLE001 - whatever a filter raises, the policy decides; it is never a silent pass
            events = channel.stream.fail()
        for event in events:
            if type(event) is Cleared:
                channel.cleared = event.upto
            else:
                self._texts.apply(channel, event)
        if not self._queue and channel.cleared >= end and not channel.masks:
            self._out.ready.append(frame.raw)
        else:
            self._enqueue(frame, (Want(channel, path, text, start, end),))

    def _take_slowly(self, frame: Frame) -> None:
        if self._input_over:
            return
        if frame.kind is FrameKind.UNKNOWN and self._is_refused(frame, "frame", self._policy.unknown):
            return
        if frame.media and self._is_refused(frame, "media", self._policy.media):
            return
        wants = self._repeats(frame) if frame.repeats else []
        for key, path, text, held, last in frame.deltas:
            if key.choice in self._stopped or WHOLE in self._stopped:
                continue
            channel = self._texts.open(key)
            if channel.final:  # text after the end that the API itself declared
                if text and self._is_refused(frame, "frame", self._policy.unknown):
                    return
                continue
            wants.append(self._texts.hear(channel, path, text, held))
            if last:
                self._texts.close((channel,))
        self._close_after(frame)
        if wants or self._queue or self._stopped:
            self._enqueue(frame, wants)
        else:
            self._out.ready.append(frame.raw)

    def _repeats(self, frame: Frame) -> list[Want]:
        """What a frame's repeated texts wait for: that they were cleared when they were said."""
        wants: list[Want] = []
        for key, path, text, start in frame.repeats:
            if key.choice not in self._stopped and WHOLE not in self._stopped:
                channel = self._texts.open(key)
                wants.append(Want(channel, path, text, start, start + len(text), again=True))
        return wants

    def _close_after(self, frame: Frame) -> None:
        texts = self._texts
        if frame.closes:
            texts.close([texts.channels[key] for key in frame.closes if key in texts.channels])
        if frame.ends:
            self._ended.update(frame.ends)
            texts.close(texts.of_choices(frame.ends))
        if frame.kind is FrameKind.END:
            texts.close(texts.channels.values())

    def _enqueue(self, frame: Frame, wants: Sequence[Want]) -> None:
        if frame.repeats and any(want.again and want.end > want.channel.fed for want in wants):
            msg = "a frame repeats what was not said"
            raise ValueError(msg)
        self._queue.append(_Held(frame, wants))
        self.backlog += len(frame.raw)
        self._frame = None

    def _watch(self, frame: Frame) -> None:
        """Monitor mode: the bytes left already; look at the texts all the same."""
        if frame.kind is FrameKind.UNKNOWN:
            self._let_pass("frame")
        if frame.media:
            self._let_pass("media")
        for key, path, text, held, _ in frame.deltas:
            channel = self._texts.open(key)
            if channel.final:
                self.coverage = Coverage.PARTIAL
            else:
                self._texts.hear(channel, path, text, held)
        self._close_after(frame)

    # --- what ends a choice or the stream ----------------------------------------------------------------------------

    def _block(self, channel: Channel, event: Blocked) -> None:
        """A text was blocked: its choice ends where the block stands in the queue, and hears nothing more."""
        self._last = event.decision
        choice = channel.key.choice
        self._stopped.add(choice)
        none_left = all(one in self._stopped or one in self._ended for one in self._choices)
        if self._policy.error_on_block or choice == WHOLE or none_left:
            self._cancel()
        else:
            self._texts.close(self._texts.of_choices((choice,)))

    def _cancel(self) -> None:
        if self.cancelled or self._input_over or self._upstream_over:
            return
        self.cancelled = True
        self._out.put(CancelUpstream())
        self._texts.close(self._texts.channels.values())

    def _is_refused(self, frame: Frame, what: str, action: OnError) -> bool:
        """Count what cannot be scanned; true where the policy ends the stream in its place."""
        if action is OnError.BLOCK:
            self._end_at(frame, f"a {what} that cannot be scanned", what)
            return True
        self._let_pass(what)
        return False

    def _let_pass(self, what: str) -> None:
        self._out.put(Unknown(what, OnError.PASS))
        self.coverage = Coverage.PARTIAL

    def _end_at(self, frame: Frame, reason: str, what: str) -> None:
        """End the stream with an error frame once everything before this frame has left."""
        if self._policy.monitor:
            self._let_pass(what)
            self._blind = True
            return
        self._out.put(Unknown(what, OnError.BLOCK))
        key = "media" if what == "media" else "unknown"
        message = f"The answer held {reason}; `{key}: pass` in the policy lets it through."
        self._queue.append(_Held(frame, (), (502, message, "unreadable_answer")))
        self.backlog += len(frame.raw)
        self._cancel()
        self._input_over = True

    def _give_up(self, message: str) -> None:
        """What cannot be moderated ends the stream or leaves as it came, as the policy says."""
        self._out.put(Degraded())
        self._texts.drop_tickets()
        if not self._policy.monitor and self._policy.on_error is OnError.BLOCK:
            self._cancel()
            unsent = self._queue[0].frame if self._queue else self._frame
            if unsent is not None:
                self._say_before(unsent)
            self._end_with_error((500, message, "moderation_failed"), degraded=True)
            return
        self._tell_own(Action.FLAG, degraded=True)
        self._blind = True
        if not self._policy.monitor:
            held = [held.frame for held in self._queue] + ([self._frame] if self._frame else [])
            self._out.ready.extend(frame.raw for frame in held if not self._is_over(frame))
        self._queue.clear()
        self._frame = None
        self.backlog = 0
        self._take_all()
        if self._input_over or self.cancelled:
            self._complete()

    # --- frames out --------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        queue = self._queue
        if self._stopped:
            self._end_owed_choices()
        else:
            self._drain_unblocked()
            if not queue and not self._input_over:
                return
        while queue and not self.done:
            kills = self._may_leave(queue[0])
            if kills is None:
                break
            held = queue.popleft()
            self.backlog -= len(held.frame.raw)
            if held.problem is not None:
                self._say_before(held.frame)
                self._end_with_error(held.problem)
            elif not self._is_over(held.frame):
                self._leave(held, kills)
        if self.backlog > self._max_backlog and not self.done:
            self._give_up("Too much text was held back.")
        if not queue and (self._input_over or self.cancelled) and not self._texts.pending:
            self._complete()

    def _drain_unblocked(self) -> None:
        """The common case, in short: nothing was blocked, so every frame whose texts are cleared leaves."""
        queue, ready = self._queue, self._out.ready
        while queue:
            held = queue[0]
            masked = False
            for want in held.wants:
                channel = want.channel
                if want.end > channel.cleared:
                    return
                masked = masked or bool(channel.masks) or bool(want.again and channel.masks_left)
            if masked or held.problem is not None:
                return  # not the common case after all
            queue.popleft()
            self.backlog -= len(held.frame.raw)
            ready.append(held.frame.raw)

    def _may_leave(self, held: _Held) -> dict[int, Want] | None:
        """The choices that end inside this frame, with the text that ends each; ``None`` while the frame must wait."""
        kills: dict[int, Want] = {}
        for want in held.wants:
            channel = want.channel
            choice = channel.key.choice
            if choice in self._dead or choice in kills:
                continue
            if channel.blocked_at is not None and channel.blocked_at < want.end:
                kills[choice] = want
            elif want.end > channel.cleared:
                return None
        return kills

    def _is_over(self, frame: Frame) -> bool:
        """Whether a frame speaks only of choices that ended with a refusal."""
        return bool(frame.choices) and self._dead.issuperset(frame.choices)

    def _leave(self, held: _Held, kills: dict[int, Want]) -> None:
        frame = held.frame
        if frame.kind is FrameKind.END and self.cancelled:
            return  # the closing frames are ours now
        edits = self._edits(held.wants, kills)
        gone = self._dead.union(kills) if kills else self._dead
        if edits or kills or not gone.isdisjoint(frame.choices):
            self._out.ready.append(self._decoder.edit(frame, edits, gone))
        else:
            self._out.ready.append(frame.raw)
        for choice, want in kills.items():
            if not self.done:
                self._end_choice(choice, want.channel.stream.decision())

    def _edits(self, wants: Sequence[Want], kills: dict[int, Want]) -> list[Edit]:
        """Replacements for the texts of a frame that leaves; the verdicts on them come first."""
        edits: list[Edit] = []
        over: set[int] = set()  # choices that ended earlier in this frame
        for want in wants:
            channel, choice = want.channel, want.channel.key.choice
            if choice in self._dead or choice in over:
                continue
            if kills.get(choice) is want:
                over.add(choice)
                at = channel.blocked_at or 0
                self._texts.verdict(channel, at, cancelled=self.cancelled)
                kept = want.text[: max(0, at - want.start)]
                edits.append(Edit(want.path, channel.masked(kept, want.start)))
            elif channel.touches_mask(want.start, want.end, again=want.again):
                if channel.dirty:
                    self._texts.verdict(channel, want.end, cancelled=self.cancelled)
                edits.append(Edit(want.path, channel.masked(want.text, want.start, again=want.again)))
            elif choice in kills:
                edits.append(Edit(want.path, want.text))
            if channel.masks and not want.again:
                channel.forget_masks(want.start + len(want.text) - 1)
        return edits

    def _end_choice(self, choice: int, decision: Decision) -> None:
        refusal = self._refusal(decision)
        if self._policy.error_on_block:
            self._out.ready.append(self._decoder.error(400, refusal.message, "content_filter", refusal))
            self._end_stream()
            return
        self._out.ready.append(self._decoder.refuse_choice(choice, refusal))
        self._dead.add(choice)
        if choice == WHOLE or self._dead.issuperset(self._choices):
            self._out.ready.append(self._decoder.close(refusal))
            self._end_stream()

    def _say_before(self, frame: Frame) -> None:
        """Tell a decoder that must know what it follows: what it is asked for next stands in the place of a frame."""
        if isinstance(self._decoder, CountingDecoder):
            self._decoder.ends_before(frame)

    def _end_with_error(self, problem: _Problem, *, degraded: bool = False) -> None:
        decision = self._tell_own(Action.BLOCK, degraded=degraded)
        self._out.ready.append(self._decoder.error(*problem, self._refusal(decision)))
        self._end_stream()

    def _complete(self) -> None:
        """The queue is empty and nothing more comes."""
        if not self.done:
            self._say_tail()
        self._end_stream()

    def _say_tail(self) -> None:
        if self._tail is not None:
            self._out.ready.append(self._decoder.error(*self._tail))
            self._tail = None
        elif self.cancelled and not self._policy.monitor:
            self._out.ready.append(self._decoder.close(self._refusal(self._last)))

    def _end_owed_choices(self) -> None:
        """End the choices whose block stands behind all that they have in the queue: it had left already."""
        for channel in list(self._texts.channels.values()):
            at, choice = channel.blocked_at, channel.key.choice
            if at is None or choice in self._dead or self.done:
                continue
            ahead = any(want.channel is channel and want.end > at for held in self._queue for want in held.wants)
            if not ahead:
                self._texts.verdict(channel, at, cancelled=self.cancelled)
                if self._queue:
                    self._say_before(self._queue[0].frame)
                self._end_choice(choice, channel.stream.decision())

    def _end_stream(self) -> None:
        """Everything that the client gets was said."""
        if not self.cancelled and not self._input_over and not self._upstream_over:
            self.cancelled = True
            self._out.put(CancelUpstream())
        self._texts.drop_tickets()
        self._texts.tell_rest(self._dead, self._delivered, cancelled=self.cancelled)
        self._queue.clear()
        self.backlog = 0
        self._say_done()

    def _say_done(self) -> None:
        if not self.done:
            self.done = True
            self._out.put(Done())

    # --- verdicts ----------------------------------------------------------------------------------------------------

    def _tell_own(self, action: Action, *, degraded: bool) -> Decision:
        """Tell a verdict on what is no text of the answer."""
        decision = replace(self._blank, action=action, would_action=Action.BLOCK, degraded=degraded)
        self._out.put(Verdict(_OWN, decision, 0, "", 0, 0, self.cancelled))
        return decision

    def _delivered(self, channel: Channel) -> int:
        """Characters of a channel that left: all but those of queued frames."""
        waiting = [
            want.start for held in self._queue for want in held.wants if want.channel is channel and not want.again
        ]
        return min(waiting, default=channel.fed if channel.blocked_at is None else channel.blocked_at)
