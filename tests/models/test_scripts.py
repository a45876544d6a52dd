"""Texts in Latin letters have a calibration of their own."""

import json

import numpy as np
import pytest

from models import load_classifier
from models.card import ACT_AT, ModelCard
from models.certificate import calibrated
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
        ("早上好", "", False),
        ("good 早", "", False),
        ("good morning", "他说", False),
        ("123 !?", "", False),
        ("ok", "123", True),
        ("", "", False),
    ],
)
def test_script(text, context, expected):
    """Letters count, numbers do not, and a Han character anywhere in sight decides."""
    assert is_latin(text, context) is expected


def _set(folder, calibration):
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    ModelCard.model_validate(card | {"latin_calibration": calibration}).sealed().save(folder)


def test_each_script_has_its_scores(weights):
    """Another calibration of Latin texts changes their scores and the version, and nothing else's."""
    _set(weights, {})
    before = load_classifier(weights)
    moved = {k: {"slope": v.slope, "offset": v.offset - 1.0} for k, v in before.card.calibration.items()}
    _set(weights, moved)
    after = load_classifier(weights)
    texts = [Segment("buy now"), Segment("buy now", "说："), Segment("买吧"), Segment("12345")]
    for segment, old, new in zip(texts, before.score(texts), after.score(texts), strict=True):
        assert (segment == texts[0]) == all(new[label] < old[label] for label in old)
        assert (segment != texts[0]) == (new == old)
    assert before.version != after.version


def test_a_calibration_of_other_labels_is_refused(weights):
    """Both calibrations name the model's labels, or the card is none."""
    _set(weights, {"A1.a": {"slope": 1.0, "offset": 0.0}})
    with pytest.raises(ClassifierError, match="different categories"):
        load_classifier(weights)


def test_false_alarms_are_counted_for_each_script(weights, train_extra, monkeypatch):
    """With rows enough of both, each script's plain rows are acted on as seldom as was asked."""
    monkeypatch.setattr("models.certificate._LEAST_ROWS", 40)
    held = read_written(OWN_ROWS / "rows")[1]
    chosen = []
    for latin in (False, True):
        rows = [row for row in held if is_latin(row.text) is latin and len(row.text) < 90]
        chosen += [row for row in rows if row.plain][:60] + [row for row in rows if row.unsafe][:60]
    config = TrainingConfig(target_false_alarms=0.05)
    card = calibrated(ModelCard.load(weights), chosen, config, weights, lambda _: None)
    card.save(weights)
    assert card.latin_calibration
    assert card.latin_calibration != card.calibration
    model = load_classifier(weights)
    for latin in (False, True):
        plain = [Segment(row.text) for row in chosen if row.plain and is_latin(row.text) is latin]
        acted = np.array([max(scores.values()) >= ACT_AT for scores in model.score(plain)])
        assert acted.mean() <= 0.07


def test_few_rows_have_one_calibration(weights, train_extra):
    """A share of false alarms of a handful of rows would be luck: then both scripts have the same."""
    held = read_written(OWN_ROWS / "rows")[1][:80]
    card = calibrated(ModelCard.load(weights), held, TrainingConfig(), weights, lambda _: None)
    assert not card.latin_calibration
