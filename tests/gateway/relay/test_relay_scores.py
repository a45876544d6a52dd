# ruff: noqa: D102 - the rig's methods are named for what they do
"""The relay while scores are awaited, and where parts of it fail."""

import json

import pytest

from filters.lexicon import Lexicon
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action
from gateway.relay import Send, Verdict

LABEL = "A1.h.gambling"


def rules(kit, policy=None, labels=(LABEL,)):
    """The test's terms beside a classifier that is asked about one category."""
    return Ruleset(Policy.parse({"version": 1, **(policy or {})}), Lexicon(kit.terms), "m1", labels)


def scored(kit, policy=None, **more):
    """A relay whose texts ask for scores."""
    return kit.play(policy, rules=rules(kit, policy), **more)


def test_a_clause_waits_for_its_score_and_no_longer(kit):
    """PEERS 4: the first clause leaves as soon as it is scored, while the second is still coming."""
    one = scored(kit).feed(kit.text("第一句话，"), kit.text("第二"))
    assert one.sent == b""
    assert [event.text for event in one.asked] == ["第一句话，"]
    one.take(one.relay.resolve(one.asked[0].ticket, {LABEL: 0.1}))
    assert one.said() == "第一句话，"
    one.finish()
    one.take(one.relay.resolve(one.asked[1].ticket, {LABEL: 0.0}))
    assert one.said() == "第一句话，第二"
    assert one.done


def test_scores_out_of_order_release_in_order(kit):
    """Frames leave in their order whatever the order of the answers."""
    one = scored(kit).feed(kit.text("第一句话，"), kit.text("第二句话，"), kit.text("第三句话，"))
    tickets = [event.ticket for event in one.asked]
    one.take(one.relay.resolve(tickets[2], {LABEL: 0.0}))
    one.take(one.relay.resolve(tickets[1], {LABEL: 0.0}))
    assert one.sent == b""
    one.take(one.relay.resolve(tickets[0], {LABEL: 0.0}))
    assert one.said() == "第一句话，第二句话，第三句话，"


def test_score_over_the_threshold_blocks_its_clause(kit):
    """The clause that was judged does not leave; the one before it does."""
    one = scored(kit).feed(kit.text("第一句话，第二句话，"), kit.text("第三句话，"))
    scores = [{LABEL: 0.0}, {LABEL: 0.99}, {LABEL: 0.0}]
    for event, found in zip(list(one.asked), scores, strict=True):
        one.take(one.relay.resolve(event.ticket, found))
    assert one.said() == "第一句话，不便回答。"
    assert one.verdicts[0].decision.matches[0].category == LABEL
    assert one.cancelled
    assert one.relay.pending == 0


def test_failed_score_blocks_by_default(kit):
    """PEERS 6: no score is no pass; the verdict says degraded."""
    one = scored(kit).feed(kit.text("第一句话，"))
    one.take(one.relay.fail(one.asked[0].ticket))
    assert one.said() == "不便回答。"
    assert one.verdicts[0].decision.degraded
    assert one.verdicts[0].decision.action is Action.BLOCK


def test_failed_score_passes_where_the_policy_says_so(kit):
    """With ``on_error: pass`` the text leaves, and the record says degraded."""
    policy = {"on_error": {"output": "pass"}}
    one = scored(kit, policy).feed(kit.text("第一句话，"))
    one.take(one.relay.fail(one.asked[0].ticket))
    one.finish()
    assert one.said() == "第一句话，"
    assert one.verdicts[-1].decision.degraded


def test_monitor_waits_for_no_score(kit):
    """In monitor mode the client has everything while scores are still out; the verdict comes after."""
    one = scored(kit, {"mode": "monitor"}).feed(kit.text("第一句话，"), kit.done).finish()
    assert one.sent == kit.text("第一句话，") + kit.done
    assert one.done
    assert one.relay.pending == 1
    one.take(one.relay.resolve(one.asked[0].ticket, {LABEL: 0.99}))
    assert one.verdicts[-1].decision.would_action is Action.BLOCK


def test_blocks_of_two_texts_of_one_choice_take_the_earlier_frame(kit):
    """Content that was blocked later in the stream never uncovers reasoning that stands before it uncleared."""
    one = scored(kit)
    one.feed(kit.chunk({"reasoning_content": "先想想，"}), kit.text("再说炸药，"))
    one.take(one.relay.resolve(one.asked[1].ticket, {LABEL: 0.0}))
    assert one.cancelled
    assert one.sent == b""  # the reasoning ahead of the block is not scored yet
    one.take(one.relay.resolve(one.asked[0].ticket, {LABEL: 0.0}))
    assert one.said(name="reasoning_content") == "先想想，"
    assert one.said() == "再说不便回答。"
    assert one.done


def test_exposure_limit_lets_text_leave_and_still_ends_the_stream(kit):
    """Text that left under an exposure limit cannot be called back, but its block ends the stream at once."""
    policy = {"exposure_limit": 1000}
    one = scored(kit, policy).feed(kit.text("第一句话，"))
    assert one.said() == "第一句话，"
    one.take(one.relay.resolve(one.asked[0].ticket, {LABEL: 0.99}))
    assert one.said() == "第一句话，不便回答。"
    assert one.sent.endswith(kit.done)
    assert one.cancelled


class Broken:
    """A filter that raises at a certain text."""

    def open(self):
        return self

    watermark = 0

    def feed(self, chunk):
        if "崩" in chunk:
            raise RuntimeError("secret text")
        self.watermark += len(chunk)
        return ()

    def finish(self):
        return ()


@pytest.mark.parametrize("how", ["block", "pass"])
def test_filter_that_raises_is_no_silent_pass(kit, how):
    """PEERS 6: a crash ends the stream or goes on marked as degraded, as the policy says; never unmarked."""

    class Fresh:
        def open(self):
            return Broken()

    policy = {"on_error": {"output": how}}
    broken = Ruleset(Policy.parse({"version": 1, **policy}), Lexicon(()), filters=[Fresh()])
    one = kit.play(policy, rules=broken).feed(kit.text("好"), kit.text("崩"), kit.text("后"), kit.done).finish()
    assert one.verdicts[-1].decision.degraded
    assert one.said() == ("好不便回答。" if how == "block" else "好崩后")
    assert one.done


@pytest.mark.parametrize("how", ["block", "pass"])
def test_crash_of_the_relay_itself(kit, how):
    """A defect beside the engine drops everything that was held, or lets it pass whole and marked."""
    one = kit.play({"on_error": {"output": how}}).feed(kit.text("好"), kit.text("炸"))
    one.take(one.relay.crashed())
    one.feed(kit.text("鸡")).finish()
    assert one.verdicts[0].decision.degraded
    if how == "block":
        assert one.said() == "好"
        assert one.done
        assert one.cancelled
    else:
        assert one.said() == "好炸鸡"


def test_backlog_is_bounded(kit):
    """PEERS 18: frames that pile up behind an undecided text end in on_error, not in memory."""
    one = scored(kit, max_backlog=20_000)
    one.feed(kit.text("等着，"))
    filler = b": " + b"x" * 1000 + b"\n\n"
    for _ in range(40):
        one.feed(filler)
    assert one.done
    assert one.relay.backlog == 0
    assert one.verdicts[-1].decision.degraded
    assert filler not in one.sent


def test_media_in_a_stream_follows_the_policy(kit):
    """Audio in a stream is counted, and ends it where the policy says block."""
    audio = kit.chunk({"audio": {"id": "a", "data": "AAAA"}})
    one = kit.play().feed(audio, kit.done).finish()
    assert one.unknown == [("media", "pass")]
    assert one.sent == audio + kit.done
    one = kit.play({"media": "block"}).feed(audio, kit.done).finish()
    assert one.unknown == [("media", "block")]
    assert audio not in one.sent
    assert one.done


def test_masks_are_told_before_each_of_their_frames(kit):
    """A second mask in the same text is a new version of the same record, again before its frame."""
    one = kit.play().feed(kit.text("傻瓜，"), kit.text("好。"), kit.text("傻瓜。"))
    order = [type(event) for event in one.events if isinstance(event, Send | Verdict)]
    assert order == [Verdict, Send, Send, Verdict, Send]
    assert [len(verdict.decision.matches) for verdict in one.verdicts] == [1, 2]
    for line in one.sent.decode().split("\n\n")[:-1]:
        json.loads(line[6:])
