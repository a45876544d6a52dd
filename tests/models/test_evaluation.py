import numpy as np
import pytest

from models.dataset import Row
from models.evaluation import auc, evaluate


class _Words:
    """Says spam where the text has the word."""

    version, labels, max_chars = "words-1", ("X.spam",), 100

    def score(self, segments):
        return [{"X.spam": 0.9 if "广告" in item.text else 0.1} for item in segments]


def _row(text, *, unsafe):
    codes = frozenset({"X.spam"} if unsafe else ())
    return Row(text, unsafe, codes, "spam_ads" if unsafe else "none", "zh", "talk@1", "")


def test_tables():
    """Recall, precision and false alarms are those of the rows, cut as prompts and as answers."""
    rows = [
        _row("这是广告", unsafe=True),
        _row("这不明显", unsafe=True),
        _row("广告法第一条，就是法律", unsafe=False),
        _row("你好", unsafe=False),
    ]
    result = evaluate(_Words(), rows)
    for way in ("as_prompt", "as_answer"):
        overall = result[way]["overall"]
        assert (overall["recall"], overall["precision"], overall["false_alarm_rate"]) == (0.5, 0.5, 0.5)
        assert result[way]["by_label"]["X.spam"]["unsafe"] == 2
        assert set(result[way]["by_category"]) == {"spam_ads", "none"}


def test_text_that_no_segment_covers():
    """A row of nothing but punctuation counts as not acted on."""
    assert evaluate(_Words(), [_row("……", unsafe=False)])["as_answer"]["overall"]["false_alarm_rate"] == 0.0


def test_word_split_by_the_cut():
    """What the cut costs shows: a word that falls on two segments is found in a prompt, not in an answer."""
    row = _row("字" * 23 + "广告", unsafe=True)
    result = evaluate(_Words(), [row])
    assert (result["as_prompt"]["overall"]["recall"], result["as_answer"]["overall"]["recall"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "expected"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)]
)
def test_auc(scores, expected):
    """The area is 1 for a perfect order, 0 for the reverse, one half for ties."""
    assert auc(np.array(scores), np.array([False, False, True, True])) == expected


def test_auc_needs_both_kinds():
    """Without unsafe or without benign rows there is no area."""
    assert auc(np.array([0.5]), np.array([True])) is None
