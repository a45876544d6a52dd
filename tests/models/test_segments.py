import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import classifier as engine
from models.segments import ANSWERS, PROMPTS, bounds, cut

_WAYS = pytest.mark.parametrize(
    ("cutting", "served"), [(ANSWERS, engine.CUTTING), (PROMPTS, engine.PROMPT_CUTTING)], ids=["answers", "prompts"]
)
_TEXT = st.text(alphabet=st.sampled_from("天气很好abé 1，。!?\n…😀\u200b_"), max_size=400)


@_WAYS
@given(text=_TEXT)
def test_cuts_as_the_engine_cuts(text, cutting, served):
    """What is trained and measured on is what serving scores: both packages cut every text alike."""
    asked = engine.ClassifierFilter("m", [], {}, served).segments(text)
    assert [(item.text, item.context) for item in cut(text, cutting)] == [(item.text, item.context) for item in asked]


@_WAYS
@given(text=_TEXT)
def test_bounds_cover_the_text(text, cutting, served):
    """The segments follow each other without gap and none is longer than the limit."""
    cuts = bounds(text, cutting)
    assert "".join(text[start:end] for start, end in cuts) == text
    assert all(0 < end - start <= cutting.chars * cutting.latin == served.chars * served.latin for start, end in cuts)
