from hypothesis import given
from hypothesis import strategies as st

from filters.classifier import Segmenter
from models.segments import MAX_SEGMENT_CHARS, bounds, cut

_TEXT = st.text(alphabet=st.sampled_from("天气很好ab 1，。!?\n…😀\u200b_"), max_size=200)


@given(_TEXT)
def test_cuts_as_the_engine_cuts(text):
    """What is trained and measured on is what serving scores: both packages cut every text alike."""
    segmenter = Segmenter()
    segmenter.feed(text)
    segmenter.finish()
    served = []
    while (segment := segmenter.cut()) is not None:
        if segment.scorable:
            served.append((segment.text, segment.context))
    assert [(item.text, item.context) for item in cut(text)] == served


@given(_TEXT)
def test_bounds_cover_the_text(text):
    """The segments follow each other without gap and none is longer than the limit."""
    cuts = bounds(text)
    assert "".join(text[start:end] for start, end in cuts) == text
    assert all(0 < end - start <= MAX_SEGMENT_CHARS for start, end in cuts)
