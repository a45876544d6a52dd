"""Bodies that are large in the places that cost most."""

import time

import anyio
import pytest

from filters.types import Action, Decision, Match, Source, Span
from gateway.protocols.types import TextPart
from gateway.proxy.texts import LARGE, Finding, aside
from gateway.store.records import MATCHES, match_records


def found(count, action=Action.MASK):
    """A match of the first two of every four characters."""
    return tuple(Match(Span(at * 4, at * 4 + 2), "A1.d", Source.KEYWORD, "x", 1.0, action) for at in range(count))


def test_masks_cost_what_the_text_is_long():
    """A body of a hundred thousand masked terms, in one part or in many, is masked in a moment."""
    matches = found(100_000)
    decision = Decision(Action.MASK, Action.MASK, matches, "r", None)
    began = time.perf_counter()
    for parts in ([TextPart(("a",), "other", "手枪好的" * 100_000)], [TextPart(("a",), "other", "手枪好的")] * 100_000):
        edits = Finding(parts, "", decision).edits()
        assert "".join(edit.text for edit in edits) == "**好的" * 100_000
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_masks_reach_over_parts(cut):
    """A mask that spans parts, or overlaps another, covers the same characters however the text is cut."""
    text = "一二三四五六七八"
    spans = (Span(1, 4), Span(2, 3), Span(3, 6))
    matches = tuple(Match(span, "A1.d", Source.KEYWORD, "x", 1.0, Action.MASK) for span in spans)
    parts = [TextPart((at,), "other", text[at : at + cut]) for at in range(0, len(text), cut)]
    edits = {
        edit.path: edit.text
        for edit in Finding(parts, text, Decision(Action.MASK, Action.MASK, matches, "r", None)).edits()
    }
    assert "".join(edits.get(part.path, part.text) for part in parts) == "一*****七八"


def test_a_violation_keeps_a_bounded_number_of_matches():
    """However often a term stands in a text, its record stays small and keeps the gravest."""
    matches = (*found(5000, Action.FLAG), *found(1, Action.BLOCK))
    kept = match_records(matches)
    assert len(kept) == MATCHES
    assert kept[-1]["action"] == "block"
    assert len(match_records(found(3))) == 3


@pytest.mark.anyio
async def test_a_large_body_is_read_beside_the_event_loop():
    """While a step over a large body runs, the loop goes on; a small one needs no thread."""
    turns = []

    async def others():
        for _ in range(5):
            turns.append(None)
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(others)
        await aside(LARGE, lambda: time.sleep(0.2))
        assert len(turns) == 5
