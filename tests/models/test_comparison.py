import numpy as np
import pytest

from models.comparison import Scored, compared, worse
from models.dataset import Row


def _rows():
    kinds = [("spam", True)] * 60 + [("spam", False)] * 60 + [("benign", False)] * 80
    for number, (category, unsafe) in enumerate(kinds):
        codes = frozenset({"X.spam"} if unsafe else ())
        yield Row(f"第{number}行", unsafe, codes, category, "zh", "written@a", "")


ROWS = list(_rows())


def _scored(name, unsafe, alike, plain):
    """A classifier that acts on the first so many rows of each kind."""
    scores = np.full(len(ROWS), 0.2)
    for start, count in ((0, unsafe), (60, alike), (120, plain)):
        scores[start : start + count] = 0.9
    metrics = {"as_answer": {"reliability": []}, "speed": {"p50_ms": 1.0, "p95_ms": 1.0}}
    return Scored(name, ("X.spam",), metrics, scores[:, None])


def _pair(one, two):
    report = compared(ROWS, [_scored("one", *one), _scored("two", *two)], rate=0.05, seed=7)
    return report["pairs"][0]


def test_side_by_side():
    """Every model has its outcomes on the same rows; each but the first is set against the first."""
    models = [_scored(name, *acted) for name, acted in (("a", (30, 0, 0)), ("b", (40, 5, 1)), ("c", (30, 0, 0)))]
    report = compared(ROWS, models, rate=0.05, seed=7)
    assert report["rows"] == {"all": 200, "unsafe": 60, "look_alike": 60, "plain": 80}
    outcomes = [item["slices"]["all"]["all"]["at_threshold"] for item in report["models"]]
    assert [item["recall"] for item in outcomes] == pytest.approx([0.5, 0.6667, 0.5], abs=1e-4)
    assert [(pair["first"], pair["second"]) for pair in report["pairs"]] == [("a", "b"), ("a", "c")]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ((50, 0, 0), (20, 0, 0), ["recall"]),
        ((50, 0, 0), (50, 20, 0), ["look_alike_alarms"]),
        ((50, 0, 0), (50, 0, 2), []),
        ((50, 0, 0), (47, 1, 1), []),
        ((20, 0, 0), (50, 0, 0), []),
    ],
    ids=["recall", "look-alikes", "two rows", "noise", "better"],
)
def test_what_is_worse(one, two, expected):
    """Worse is what finds less at equal false alarms, or raises more of them, by more than noise."""
    assert _pair(one, two)["worse"] == expected


def test_more_alarms_on_plain_rows_are_worse():
    """Twenty more false alarms on ordinary text are worse in their own right."""
    assert "plain_alarms" in _pair((50, 0, 0), (50, 0, 20))["worse"]


def test_nothing_is_worse_without_rows_to_tell():
    """Kinds of row that are not there say nothing."""
    pair = {"at_rate": None, "at_threshold": {"look_alike": None, "plain": None}}
    assert worse(pair) == []


def test_recall_is_compared_at_equal_false_alarms():
    """One that is only more eager finds more at the threshold, and no more at equal false alarms."""
    rng = np.random.default_rng(2)
    base = np.where([row.unsafe for row in ROWS], rng.random(len(ROWS)), rng.random(len(ROWS)) * 0.7)
    metrics = {"as_answer": {"reliability": []}, "speed": {}}
    models = [
        Scored("one", ("X.spam",), metrics, base[:, None]),
        Scored("two", ("X.spam",), metrics, base[:, None] ** 0.5),
    ]
    (pair,) = compared(ROWS, models, rate=0.05, seed=7)["pairs"]
    assert pair["at_threshold"]["unsafe"]["only_second"] > 5
    assert pair["at_rate"]["difference"] == 0
