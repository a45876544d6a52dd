import random

import pytest

from models.augment import disguise, practice
from models.batches import Epoch, behind_another, truth, view
from models.dataset import Row
from models.segments import cut
from models.tokenizer import build, read
from models.types import Segment

_SPAM = Row(
    "加微信领红包，名额有限，先到先得，快来联系我们的客服吧", True, frozenset({"X.spam"}), "spam_ads", "zh", "a@1", "1"
)
_PLAIN = Row("你好", False, frozenset(), "none", "zh", "a@1", "0")


def test_segments_are_those_of_serving():
    """A view that is not the whole text is one that serving would cut, and says how much of the text it shows."""
    served = {(item.text, item.context) for item in cut(_SPAM.text)}
    for seed in range(20):
        segment, share = view(_SPAM, 0.0, 100, random.Random(seed))
        assert (segment.text, segment.context) in served
        assert share == pytest.approx(len(segment.text + segment.context) / len(_SPAM.text))


def test_whole_views_fit():
    """A whole view of a long text is a stretch that fits."""
    segment, share = view(_SPAM, 1.0, 10, random.Random(1))
    assert len(segment.text) == 10
    assert segment.text in _SPAM.text
    assert share < 1


def test_foreign_context_is_sometimes_there():
    """Some whole texts get another row's text as context; a segment keeps its own."""
    rng = random.Random(1)
    contexts = {behind_another(Segment("你好"), [_SPAM], rng).context for _ in range(50)}
    assert contexts == {"", _SPAM.text}
    assert {behind_another(Segment("你好", "啊"), [_SPAM], rng).context for _ in range(50)} == {"啊"}


def test_unknown_faults_count_less():
    """What an unsafe row was never asked about weighs less than what it was; a plain row is sure of everything.

    After the labels come their groups: contempt, then any other harm.
    """
    targets, weights = truth(_SPAM, ("A2.d", "A2.e", "X.spam"))
    assert targets.tolist() == [0.0, 0.0, 1.0, 0.0, 1.0]
    assert weights[0] == weights[3] < weights[2] == weights[4] == 1.0
    assert truth(_PLAIN, ("A2.d", "A2.e", "X.spam"))[1].tolist() == [1.0] * 5


def test_batches_repeat_for_a_seed():
    """The same seed gives the same batches, and every row is in one of them."""
    rows = [_SPAM, _PLAIN] * 10
    epoch = Epoch(build([row.text for row in rows], 100), ("X.spam",), 32, whole_share=0.5, token_dropout=0.1)
    first, second = (list(epoch.batches(rows, 8, random.Random(3))) for _ in range(2))
    assert sum(len(batch.ids) for batch in first) == len(rows)
    assert all((a.ids == b.ids).all() and (a.weights == b.weights).all() for a, b in zip(first, second, strict=True))


def test_practice_is_at_what_reading_does_not_undo(train_extra):
    """A Chinese text in practice reads otherwise more often than in a disguise as measured; an English one as often."""
    texts = "今晚八点老地方见面，带上现金和名单", "bring cash to the usual place at eight tonight"
    tokenizer = build(texts * 3, 300)

    def changed(text, kind):
        return sum(read(tokenizer, kind(text, random.Random(seed))) != read(tokenizer, text) for seed in range(300))

    chinese, english = ((changed(text, practice), changed(text, disguise)) for text in texts)
    assert chinese[0] > 1.1 * chinese[1]
    assert english[0] == english[1] > 0
