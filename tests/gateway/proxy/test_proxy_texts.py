"""Deciding on the texts of a whole body."""

import asyncio

import pytest

from filters.types import Action, Direction, Span
from gateway.inference import InferenceTimeout
from gateway.judge import judge
from gateway.protocols.types import TextPart
from gateway.proxy.texts import decide, joined, mask

pytestmark = pytest.mark.anyio


async def decided(kit, parts, policy=None, scorer=None):
    """The findings on these parts."""
    return await decide(kit.ruleset(policy), Direction.INPUT, None, parts, scorer)


async def test_texts_are_separate_unless_they_continue(kit):
    """Two messages are never joined into a match; two parts that their reader sees as one are."""
    apart = [TextPart(("a",), "content", "炸"), TextPart(("b",), "content", "药")]
    assert not (await decided(kit, apart)).items
    together = [apart[0], apart[1]._replace(continues=True)]
    assert (await decided(kit, together)).action is Action.BLOCK


async def test_a_mask_over_two_parts_edits_both(kit):
    """Offsets into the joined text come back as edits of the parts."""
    parts = [TextPart(("a",), "content", "你这傻"), TextPart(("b",), "content", "瓜呀", continues=True)]
    findings = await decided(kit, parts)
    assert [(edit.path, edit.text) for edit in findings.edits()] == [(("a",), "你这*"), (("b",), "*呀")]


async def test_very_many_texts_do_not_stop_the_loop(kit):
    """Other tasks get their turn while a body of thousands of texts is judged."""
    turns = 0

    async def beside():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(beside())
    await decided(kit, [TextPart((number,), "other", "好的") for number in range(2000)])
    task.cancel()
    assert turns > 20


def test_joining_and_masking():
    """The first part of all may say that it continues; overlapping spans mask once."""
    parts = [TextPart((n,), "content", str(n), continues=n != 2) for n in range(4)]
    assert [[part.text for part in group] for group in joined(parts)] == [["0", "1"], ["2", "3"]]
    assert mask("abcdef", 10, [Span(8, 11), Span(10, 12), Span(15, 20)]) == "**cde*"


class Scoring:
    """Scores by a word in the text; counts the segments that it was asked for."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []

    async def score(self, segments, deadline_s=None):
        """Scores, or the failure."""
        self.asked += [segment.text for segment in segments]
        if self.error is not None:
            raise self.error
        return [{"A1.h.gambling": 0.99 if "押注" in segment.text else 0.01} for segment in segments]


def judged_by(kit):
    """A ruleset with a classifier of one label."""
    return kit.ruleset(None, model_version="m", labels=["A1.h.gambling"])


async def test_a_classifier_is_asked_once_for_each_segment(kit):
    """Clean or not, and whatever the filters found beside it, no segment is scored twice."""
    parts = [TextPart((n,), "content", text) for n, text in enumerate(["今天天气好，出去走走", "来这里押注吧", "好的"])]
    scoring = Scoring()
    findings = await decide(judged_by(kit), Direction.OUTPUT, None, parts, scoring)
    assert [item.text for item in findings.items] == ["来这里押注吧"]
    assert sorted(scoring.asked) == sorted(["今天天气好，", "出去走走", "来这里押注吧", "好的"])


async def test_a_text_that_the_filters_stop_is_scored_too(kit):
    """The engine sees every match of a text: the term's and the classifier's."""
    parts = [TextPart((0,), "content", "炸药押注")]
    findings = await decide(judged_by(kit), Direction.INPUT, None, parts, Scoring())
    assert {match.category for match in findings.items[0].decision.matches} >= {"A1.h.gambling"}
    assert len(findings.items[0].decision.matches) == 2


async def test_a_classifier_that_fails_is_not_waited_for_twice(kit):
    """One deadline passes, not one for each text; on_error decides, and the decision says degraded."""
    parts = [TextPart((n,), "content", text) for n, text in enumerate(["今天天气好", "出去走走"])]
    scoring = Scoring(InferenceTimeout("no scores"))
    findings = await decide(judged_by(kit), Direction.INPUT, None, parts, scoring)
    assert len(scoring.asked) == 2
    assert findings.action is Action.BLOCK
    assert findings.degraded


@pytest.mark.parametrize("text", ["押注", "好的，来押注，好的", "好的" * 3000 + "押注", "炸药", "好的"])
async def test_the_short_way_decides_as_the_engine_does(kit, text):
    """Whether a body is judged with the engine or without, its decision is the same."""
    ruleset = judged_by(kit)
    stream = ruleset.open(Direction.INPUT, stop_at_block=False)
    expected = (await judge(stream, text, Scoring())).decision
    findings = await decide(ruleset, Direction.INPUT, None, [TextPart((), "content", text)], Scoring())
    found = [item.decision for item in findings.items]
    assert found == ([expected] if expected.matches else [])


async def test_findings_come_in_the_order_of_the_body(kit):
    """Whether a filter or the classifier found it, what stands first is told and recorded first."""
    texts = ["来这里押注吧", "好的", "炸药", "押注", "炸药押注"]
    parts = [TextPart((n,), "content", text) for n, text in enumerate(texts)]
    findings = await decide(judged_by(kit), Direction.INPUT, None, parts, Scoring())
    assert [item.parts[0].path for item in findings.items] == [(0,), (2,), (3,), (4,)]
