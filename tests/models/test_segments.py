import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import classifier as engine
from filters.classifier import _reach
from models.segments import ANSWERS, PROMPTS, bounds, cut, reach

_WAYS = pytest.mark.parametrize(
    ("cutting", "served"), [(ANSWERS, engine.CUTTING), (PROMPTS, engine.PROMPT_CUTTING)], ids=["answers", "prompts"]
)
_RUN = st.sampled_from(
    ["今天天气很好", "weather", "é ", "it’s", "a", "1", "，", "。", "!?", "\n", "…", "😀", "\u200b", "_"]
)
_TEXT = st.integers(0, 120).flatmap(lambda count: st.lists(_RUN, min_size=count, max_size=count)).map("".join)


@_WAYS
@given(text=_TEXT)
def test_cuts_as_the_engine_cuts(text, cutting, served):
    """What is trained and measured on is what serving scores: both packages cut every text alike."""
    asked = engine.ClassifierFilter("m", [], {}, served).segments(text)
    assert [(item.text, item.context) for item in cut(text, cutting)] == [(item.text, item.context) for item in asked]


@_WAYS
def test_both_packages_have_one_rule(cutting, served):
    """Also where no text would show it."""
    for name in ("chars", "context", "least", "latin", "latin_context"):
        assert getattr(cutting, name) == getattr(served, name)
    every = "".join(map(chr, range(0x10000)))
    assert cutting.ends.findall(every) == served.ends.findall(every)
    assert [reach(char * 2, 0, 1, 2) for char in every] == [_reach(char * 2, 0, 1, 2) for char in every]


@_WAYS
@given(text=_TEXT)
def test_bounds_cover_the_text(text, cutting, served):
    """The segments follow each other without gap and none is longer than the limit."""
    cuts = bounds(text, cutting)
    assert "".join(text[start:end] for start, end in cuts) == text
    assert all(0 < end - start <= cutting.chars * cutting.latin == served.chars * served.latin for start, end in cuts)
