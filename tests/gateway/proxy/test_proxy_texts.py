"""Deciding on the texts of a whole body."""

import asyncio

import pytest

from filters.types import Action, Direction, Span
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
