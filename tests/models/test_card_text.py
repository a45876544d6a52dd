import pytest

from models import SHIPPED_WEIGHTS
from models.card import ModelCard, Source
from models.card_text import markdown

SHIPPED = ModelCard.load(SHIPPED_WEIGHTS)


def test_everything_a_reader_asks_for():
    """The text holds the intended use, weaknesses, sources with licences, counts and metrics by category."""
    text = markdown(SHIPPED)
    assert SHIPPED.intended_use in text
    assert all(item in text for item in SHIPPED.weaknesses)
    assert all(item.name in text and item.licence in text for item in SHIPPED.sources)
    assert f"{SHIPPED.counts['fitted']:,}" in text
    overall = SHIPPED.metrics["dev"]["as_answer"]["overall"]
    assert f"| {overall['recall']:.1%} |" in text
    assert all(f"| {label} | label |" in text for label in SHIPPED.labels)


def test_attributions_stand_in_full():
    """What a licence asks to be said is said."""
    assert all(item.attribution in markdown(SHIPPED) for item in SHIPPED.sources)


def test_tables_hold_together():
    """Every line of a table has as many cells as its head, whatever a name holds."""
    source = Source(name="a|b\nc", licence="MIT", rows=1)
    width = 0
    for line in markdown(SHIPPED.model_copy(update={"sources": (source,)})).splitlines():
        cells = line.replace("\\|", "").count("|")
        width = cells if line.startswith("|") and not width else width if line.startswith("|") else 0
        assert not line.startswith("|") or cells == width, line


@pytest.mark.parametrize("part", ["metrics", "counts", "training"])
def test_a_card_that_says_little(part):
    """A card without measurements, counts or settings is shown all the same."""
    text = markdown(SHIPPED.model_copy(update={part: {}}))
    assert ("Not measured." in text) == (part == "metrics")
