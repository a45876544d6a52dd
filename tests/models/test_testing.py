import math

import pytest

from models.testing import check_classifier


class _Right:
    version, labels, max_chars = "right-1", ("X.spam",), 100

    def score(self, segments):
        return [{"X.spam": 0.5} for _ in segments]


def test_accepts_a_right_one():
    """A classifier that keeps the promises passes."""
    check_classifier(_Right())


@pytest.mark.parametrize(
    "scores", [{}, {"X.spam": math.nan}, {"X.spam": 1.5}, {"X.spam": 1}, {"X.spam": 0.1, "A1.a": 0.1}]
)
def test_refuses_wrong_scores(scores):
    """Missing, superfluous, infinite and out-of-range scores are found."""
    wrong = _Right()
    wrong.score = lambda segments: [scores for _ in segments]
    with pytest.raises(AssertionError):
        check_classifier(wrong)


def test_refuses_scores_that_depend_on_neighbours():
    """A score that changes with its batch is found."""
    wrong = _Right()
    wrong.score = lambda segments: [{"X.spam": 1 / (1 + len(segments))} for _ in segments]
    with pytest.raises(AssertionError, match="batch"):
        check_classifier(wrong)


def test_refuses_repeated_labels():
    """Labels that repeat are found."""
    wrong = _Right()
    wrong.labels = ("X.spam", "X.spam")
    with pytest.raises(AssertionError, match="labels"):
        check_classifier(wrong)
