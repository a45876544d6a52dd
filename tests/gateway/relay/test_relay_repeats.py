"""Frames that repeat what was said: masked and withheld as it was the first time, and never taken at their word."""

import json

import pytest

from filters.lexicon import Lexicon, Term
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action, Direction, OnError
from gateway.protocols.types import ChannelKey, Delta, Frame, FrameKind, Refusal, Repeat
from gateway.relay import Degraded, Relay, RelayPolicy, Send

KEY = ChannelKey(0, "content")
TERMS = (Term("炸药", "A1.h.weapons_cbrne"), Term("傻瓜", "A4.a.bullying", Action.MASK))


class Totals:
    """A decoder of lines that each say the whole text so far: what was said is a repeat, the rest a delta."""

    def __init__(self, *, lies=False):
        self.said = ""
        self.lies = lies

    def feed(self, data):
        """One line, one frame."""
        whole = json.loads(data)
        new = whole[len(self.said) :]
        repeats = [Repeat(KEY, ("old",), self.said + ("?" if self.lies else ""))] if self.said or self.lies else []
        deltas = [Delta(KEY, ("new",), new)] if new and not self.lies else []
        self.said = whole
        return [Frame(data, FrameKind.DATA, deltas, whole, choices=(0,), repeats=repeats)]

    def finish(self):
        """Nothing is left."""
        return []

    def edit(self, frame, edits, ended=()):
        """What the edits leave, the old part first."""
        texts = {repeat.path: repeat.text for repeat in frame.repeats} | {one.path: one.text for one in frame.deltas}
        if ended:
            texts = dict.fromkeys(texts, "")
        texts |= {edit.path: edit.text for edit in edits}
        return json.dumps("".join(texts.values()), ensure_ascii=False).encode()

    def refuse_choice(self, choice, refusal):
        """A mark."""
        return b"<refused>"

    def close(self, refusal):
        """Nothing."""
        return b""

    def error(self, status, message, code, refusal=None):
        """A mark."""
        return b"<error>"


def play(*totals, lies=False, on_error=OnError.BLOCK):
    """What leaves of running totals, line by line, and the events."""
    rules = Ruleset(Policy.parse({"version": 1}), Lexicon(TERMS))
    opened = []

    def open_text():
        opened.append(rules.open(Direction.OUTPUT))
        return opened[-1]

    relay = Relay(
        Totals(lies=lies),
        open_text,
        lambda decision: Refusal("不便回答。", "d1", list(decision.categories)),
        policy=RelayPolicy(on_error=on_error),
        blank=rules.open(Direction.OUTPUT).decision(),
    )
    events = []
    for total in totals:
        try:
            events += relay.feed(json.dumps(total, ensure_ascii=False).encode())
        except ValueError:
            events += relay.crashed()
    events += relay.finish()
    return b"".join(event.data for event in events if isinstance(event, Send)).decode(), events


def test_running_totals_are_masked_every_time():
    """A term that was masked stays masked in every later total, also one that only the next frame completes."""
    sent, _ = play("你这傻", "你这傻瓜", "你这傻瓜，好", "你这傻瓜，好的")
    assert sent == '"你这*""你这**""你这**，好""你这**，好的"'


def test_running_totals_are_cut():
    """A block leaves what was before it of the total in which it stands, and of no later one anything."""
    sent, _ = play("好的", "好的，炸", "好的，炸药吧", "好的，炸药吧。")
    assert sent == '"好的""好的，"<refused>'


def test_clean_totals_leave_as_they_came():
    """Repeats that nothing was found in are not edited."""
    sent, _ = play("好", "好的", "好的，很好")
    assert sent == '"好""好的""好的，很好"'


@pytest.mark.parametrize("on_error", OnError)
def test_a_repeat_of_what_was_not_said_is_an_error(on_error):
    """Whoever repeats what no engine has judged is not believed: `on_error` decides."""
    sent, events = play("炸药", lies=True, on_error=on_error)
    assert any(isinstance(event, Degraded) for event in events)
    assert ("炸药" in sent) == (on_error is OnError.PASS)
