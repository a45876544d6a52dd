import math

import pytest

from models.label_map import LabelMap, probability
from models.types import ClassifierError


def test_an_unknown_label_is_told_with_what_there_is():
    """A label that the model does not have is an error that names its place, the nearest one and all others."""
    labels = LabelMap({"toxik": ["A4.a.bullying"]})
    with pytest.raises(ClassifierError, match=r"did you mean 'toxic'.*'safe', 'toxic'") as caught:
        labels.check(["safe", "toxic"], "model")
    assert caught.value.place == ("labels", "toxik")


def test_a_map_of_nothing_is_refused():
    """A map without a category, or with ignored labels only, could never find anything."""
    for labels in ({}, {"toxic": []}):
        with pytest.raises(ClassifierError, match="no label"):
            LabelMap(labels)


def test_what_is_not_mapped_is_visible():
    """Labels that the map does not name are listed; those ignored on purpose are not."""
    labels = LabelMap({"toxic": ["A4.a.bullying"], "safe": []})
    assert labels.unmapped(["safe", "toxic", "spam"]) == ("spam",)
    assert labels.codes == ("A4.a.bullying",)
    assert labels.notes((), "m") == ()
    (note,) = labels.notes(("spam", "ham"), "m")
    assert note == "these labels of m count for nothing, for the map does not name them: spam, ham"


def test_labels_of_one_code():
    """Labels that exclude each other add up; of others the highest counts; one label may stand for two codes."""
    labels = LabelMap({"spam": ["X.spam"], "scam": ["X.spam", "A3.e.fraud"], "ham": []})
    found = {"spam": 0.5, "scam": 0.4, "ham": 0.1}
    assert labels.scores(found, "m", exclusive=True) == {"X.spam": pytest.approx(0.9), "A3.e.fraud": 0.4}
    assert labels.scores(found, "m", exclusive=False) == {"X.spam": 0.5, "A3.e.fraud": 0.4}


def test_a_label_that_is_missing_in_the_answer():
    """A mapped label without a score is an error, never a zero."""
    with pytest.raises(ClassifierError, match="no label 'spam'"):
        LabelMap({"spam": ["X.spam"]}).scores({"ham": 1.0}, "m", exclusive=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.5, 1.5, None, "0.5", True])
def test_what_is_no_probability(value):
    """Only a finite number between 0 and 1 is a probability."""
    with pytest.raises(ClassifierError, match="gave a score"):
        probability(value, "m")


def test_rounding_is_forgiven():
    """Half precision and JSON may round a probability a little over its bounds."""
    assert probability(1.0004, "m") == 1.0
    assert probability(-0.0004, "m") == 0.0
