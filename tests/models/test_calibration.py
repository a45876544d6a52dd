import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import LabelCalibration, Limit, apply, arrays, calibrate, fit, reliability


def _sample(seed=0, rows=2000):
    rng = np.random.default_rng(seed)
    truths = np.zeros((rows, 2), dtype=bool)
    truths[: rows // 5, 0] = True
    truths[rows // 5 : rows // 4, 1] = True
    logits = rng.normal(-4.0, 1.5, (rows, 2)) + truths * 5.0
    return logits, truths, ~truths.any(axis=1)


@pytest.mark.parametrize("target", [0.0, 0.01, 0.05])
def test_false_alarms_stay_within_the_target(target):
    """Scores of 0.8 and more reach no more benign rows than the target allows."""
    logits, truths, benign = _sample()
    result = calibrate(("a", "b"), logits, truths, [Limit(benign, target)], act_at=0.8)
    scores = apply(logits, *arrays(result, ("a", "b")))
    assert (scores[benign] >= 0.8).any(axis=1).mean() <= target


def test_a_higher_target_finds_more():
    """Allowing more false alarms finds more, in each label that overlaps with benign rows."""
    logits, truths, benign = _sample()

    def recall(target):
        result = calibrate(("a", "b"), logits, truths, [Limit(benign, target)], act_at=0.8)
        return (apply(logits, *arrays(result, ("a", "b")))[truths] >= 0.8).mean()

    assert recall(0.05) > recall(0.01) > recall(0.0)


def test_every_limit_holds_on_its_own_rows():
    """Doubtful rows do not hold back what ordinary ones allow, and have a limit of their own."""
    logits, truths, benign = _sample()
    doubtful = benign & (np.arange(len(benign)) % 3 == 0)
    ordinary = benign & ~doubtful
    logits[doubtful, 0] += 2.5

    def acted(*limits):
        return apply(logits, *arrays(calibrate(("a", "b"), logits, truths, limits, act_at=0.8), ("a", "b"))) >= 0.8

    together = acted(Limit(benign, 0.02))
    apart = acted(Limit(ordinary, 0.02), Limit(doubtful, 0.2))
    assert apart[ordinary].any(axis=1).mean() <= 0.02
    assert apart[doubtful].any(axis=1).mean() <= 0.2
    assert apart[truths].mean() > together[truths].mean() + 0.05
    assert not acted(Limit(ordinary, 0.02), Limit(doubtful, 0.0))[doubtful].any()


def test_a_limit_without_rows_changes_nothing():
    """Of rows that are not there none is acted on; and with none at all, every label still has a point to act from."""
    logits, truths, benign = _sample()
    nobody = np.zeros_like(benign)
    alone = calibrate(("a", "b"), logits, truths, [Limit(benign, 0.01)], act_at=0.8)
    assert calibrate(("a", "b"), logits, truths, [Limit(benign, 0.01), Limit(nobody, 0.1)], act_at=0.8) == alone
    free = calibrate(("a", "b"), logits, truths, [Limit(nobody, 0.1)], act_at=0.8)
    assert np.isfinite(arrays(free, ("a", "b"))).all()


def test_innocent_rows_side_by_side():
    """Two innocent rows that all but agree cost nothing to pass by where nothing may be acted on."""
    logits, truths, benign = _sample()
    logits[benign, 0] = np.minimum(logits[benign, 0], 1.0)
    logits[np.flatnonzero(benign)[:2], 0] = 2.0, 2.0 - 5e-7
    result = calibrate(("a", "b"), logits, truths, [Limit(benign, 0.0)], act_at=0.8)
    assert not (apply(logits, *arrays(result, ("a", "b")))[benign] >= 0.8).any()


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=20))
def test_scores_keep_the_order_of_logits(values):
    """Calibration never turns an order round."""
    logits, truths, benign = _sample()
    result = calibrate(("a", "b"), logits, truths, [Limit(benign, 0.01)], act_at=0.8)
    slopes, offsets = arrays(result, ("a", "b"))
    scores = apply(np.repeat(np.sort(values)[:, None], 2, axis=1), slopes, offsets)
    assert (np.diff(scores, axis=0) >= 0).all()


def test_platt_finds_the_line():
    """On logits that are off by a factor and a shift, the fit gives them back."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, 20_000)
    truths = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    result = fit(logits, truths)
    assert result.slope == pytest.approx(0.5, abs=0.05)
    assert result.offset == pytest.approx(-1, abs=0.1)


def test_without_rows_the_network_is_believed():
    """A label of which nothing was held back keeps a positive slope."""
    assert fit(np.full(5, -3.0), np.zeros(5, dtype=bool)).slope > 0
    assert fit(np.array([-1.0, 1.0] * 50), np.array([True, False] * 50)) == LabelCalibration(slope=1.0, offset=0.0)


def test_reliability_counts_every_row():
    """The reliability table covers all rows once."""
    scores = np.linspace(0, 1, 101)
    assert sum(row["rows"] for row in reliability(scores, scores > 0.5)) == 101
