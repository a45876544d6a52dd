"""What calibration may act on, by the kind of innocent row."""

from models.dataset import Row
from models.false_alarms import limits
from models.training_config import TrainingConfig


def _row(source, *, unsafe=False, category="none"):
    return Row("text", unsafe, frozenset({"A2.d"} if unsafe else ()), category, "zh", source, "")


def test_each_kind_of_innocent_row_has_its_limit():
    """Ordinary rows and safe remarks of the sources of contempt are limited apart, look-alikes of ours not at all."""
    rows = [
        _row("plexpt@1"),
        _row("cold@1", unsafe=True),
        _row("written@hate", category="hate"),
        _row("written@benign", category="benign"),
        *[_row("cold@1"), _row("davidson@2"), _row("swsr@1")] * 10,
    ]
    ordinary, remarks = limits(rows, TrainingConfig(target_false_alarms=0.02, target_remark_alarms=0.3))
    assert (ordinary.rows.tolist(), ordinary.share) == ([True, False, False, True, *[False] * 30], 0.02)
    assert (remarks.rows.tolist(), remarks.share) == ([*[False] * 4, *[True] * 30], 0.3)


def test_private_messages_that_are_no_spam_decide_nothing():
    """Nobody asked whether there is anything else wrong with them."""
    (only,) = limits([_row("plexpt@1"), _row("sms_spam_uci@1")], TrainingConfig())
    assert only.rows.tolist() == [True, False]


def test_a_few_remarks_decide_nothing():
    """Where a share of them would be less than a handful of doubtful labels, they are not limited."""
    (only,) = limits([_row("plexpt@1"), *[_row("cold@1")] * 29], TrainingConfig())
    assert only.rows.tolist() == [True, *[False] * 29]
