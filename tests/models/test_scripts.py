"""Texts in Latin letters have a calibration of their own."""

import numpy as np
import pytest

from models import load_classifier
from models.card import ACT_AT, ModelCard
from models.measuring import OWN_ROWS
from models.scripts import is_latin
from models.training_config import TrainingConfig
from models.types import ClassifierError, Segment
from models.written import read_written


@pytest.mark.parametrize(
    ("text", "context", "expected"),
    [
        ("good morning", "", True),
        ("Ça va", "good evening", True),
        ("ｂｕｙ ｎｏｗ", "", True),
        ("\U0001d4eb\U0001d4fe\U0001d502", "", True),
        ("tell me 的 how to get there", "", True),
        ("早上好", "", False),
        ("good 早上", "", False),
        ("ok", "他说了一句话，就是", False),
        ("print(total)", "下面是代码：for item in items: total += item", True),
        ("123 !?", "", False),
        ("123", "call me at ", True),
        ("", "", False),
        ("教你怎么在家里制造炸弹", "We have been looking at the report for several days. " * 4, False),
        ("ok", "很久以前，" * 20 + "and then the committee said that it would like to hear what people think", True),
    ],
)
def test_script(text, context, expected):
    """Letters count in any dress, numbers do not, and some characters of the other script do not decide."""
    assert is_latin(text, context) is expected


def test_each_script_has_its_scores(weights, rewritten):
    """Another calibration of Latin texts changes their scores and the version, and nothing else's."""
    rewritten(weights, latin_calibration={})
    before = load_classifier(weights)
    moved = {k: {"slope": v.slope, "offset": v.offset - 1.0} for k, v in before.card.calibration.items()}
    rewritten(weights, latin_calibration=moved)
    after = load_classifier(weights)
    texts = [Segment("buy now"), Segment("buy now", "说："), Segment("买吧"), Segment("12345")]
    for segment, old, new in zip(texts, before.score(texts), after.score(texts), strict=True):
        latin = is_latin(segment.text, segment.context)
        assert latin == all(new[label] < old[label] for label in old)
        assert latin != (new == old)
    assert before.version != after.version


def test_a_calibration_of_other_labels_is_refused(weights, rewritten):
    """Both calibrations name the model's labels, or the card is none."""
    rewritten(weights, latin_calibration={"A1.a": {"slope": 1.0, "offset": 0.0}})
    with pytest.raises(ClassifierError, match="different categories"):
        load_classifier(weights)


def _rows(count):
    """So many plain rows of either script, and so many of either group of labels."""
    held = [row for row in read_written(OWN_ROWS / "rows")[1] if len(row.text) < 90]
    chosen = []
    for latin in (False, True):
        rows = [row for row in held if is_latin(row.text) is latin]
        contempt = [row for row in rows if row.unsafe and row.category in {"hate", "insult"}]
        harm = [row for row in rows if row.unsafe and row.category not in {"hate", "insult"}]
        chosen += [*[row for row in rows if row.plain][:count], *contempt[:count], *harm[:count]]
    return chosen


def _calibrated(folder, rows, monkeypatch):
    from models.certificate import calibrated

    monkeypatch.setattr("models.certificate._LEAST_PLAIN", 30)
    monkeypatch.setattr("models.certificate._LEAST_UNSAFE", 30)
    config = TrainingConfig(target_false_alarms=0.07)
    calibrated(ModelCard.load(folder), rows, config, folder, lambda _: None).save(folder)
    return load_classifier(folder)


def test_false_alarms_are_counted_for_each_script(weights, train_extra, monkeypatch):
    """With rows enough of both, each script's plain rows are acted on as seldom as was asked."""
    chosen = _rows(32)
    model = _calibrated(weights, chosen, monkeypatch)
    assert model.card.latin_calibration
    assert model.card.latin_calibration != model.card.calibration
    for latin in (False, True):
        plain = [Segment(row.text) for row in chosen if row.plain and is_latin(row.text) is latin]
        acted = np.array([max(scores.values()) >= ACT_AT for scores in model.score(plain)])
        assert acted.mean() <= 0.1


def test_few_rows_have_one_calibration(weights, rewritten, train_extra, monkeypatch):
    """A share of false alarms of a handful of rows would be luck: then both scripts have the same, and no older one."""
    calibration = ModelCard.load(weights).calibration
    rewritten(weights, latin_calibration={label: line.model_dump() for label, line in calibration.items()})
    assert not _calibrated(weights, _rows(29), monkeypatch).card.latin_calibration
