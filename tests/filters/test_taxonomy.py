import csv
import os
from pathlib import Path

import pytest

from filters import taxonomy
from filters.taxonomy import CATEGORIES, GROUPS, OPENAI_CATEGORIES, TaxonomyError, parent_chain, to_openai

SHARED = Path(__file__).parents[3] / "shared" / "taxonomy.csv"


def test_has_31_codes_and_22_sub_codes():
    """The standard's 31 codes are all there, and the project's own beside them."""
    assert len([code for code in CATEGORIES if code.count(".") == 1 and code[0] == "A"]) == 31
    assert len(CATEGORIES) == 53
    assert list(GROUPS) == ["A1", "A2", "A3", "A4", "A5", "X"]


def test_agrees_with_the_shared_table():
    """Codes, ids and names are those of the table that all projects share."""
    if not SHARED.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SHARED.name} is missing")
        pytest.skip("the shared table is not on this machine")
    with SHARED.open(encoding="utf-8") as file:
        rows = {row["code"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(CATEGORIES)
    for code, row in rows.items():
        category = CATEGORIES[code]
        assert (category.id, category.zh, category.en) == (row["id"], row["zh"], row["en"])
        assert all(name in row["openai"] for name in category.openai + category.openai_related)
        assert bool(category.openai) == (row["openai"] not in {"–", ""})


def test_codes_and_ids_are_unique():
    """An id names one category, as a code does."""
    assert len({category.id for category in CATEGORIES.values()}) == len(CATEGORIES)


def test_parent_chain_goes_up_to_the_group():
    """A policy rule for a prefix reaches every code below it."""
    assert parent_chain("A1.h.gambling") == ("A1.h.gambling", "A1.h", "A1")
    assert parent_chain("X.spam") == ("X.spam", "X")
    assert parent_chain("A1") == ("A1",)


@pytest.mark.parametrize("code", ["A1.h.gamblin", "gambling", "A1.h.Gambling"])
def test_unknown_codes_are_named_with_a_suggestion(code):
    """A slip of the pen is answered with the code that was meant."""
    with pytest.raises(TaxonomyError, match=r"did you mean 'A1\.h\.gambling'"):
        taxonomy.get(code)


def test_every_mapped_category_lights_an_openai_name():
    """A flagged category is visible to OpenAI's clients wherever the crosswalk has a name for it."""
    for code, category in CATEGORIES.items():
        lit = {name for name, score in to_openai({code: 0.9}).items() if score}
        assert lit == set(category.openai)
        assert lit <= set(OPENAI_CATEGORIES)


@pytest.mark.parametrize(
    ("scores", "lit"),
    [
        ({"A1.f.sexual": 0.9}, {"sexual"}),
        ({"A1.f.violence": 0.9}, {"violence"}),
        ({"A1.f.csae": 0.9}, {"sexual/minors"}),
        ({"A1.h.weapons_cbrne": 0.9}, {"illicit/violent"}),
        ({"A4.a": 0.9}, {"self-harm"}),
        ({"A4.a.bullying": 0.9}, {"harassment"}),
        ({"A1.f": 0.9, "A1.f.sexual": 0.9}, {"sexual"}),
        ({"A1.f": 0.9, "A1.f.sexual": 0.1}, {"sexual", "violence"}),
        ({"A4.a": 0.9, "A4.a.unsafe_advice": 0.95}, {"self-harm"}),
        ({"A1.a": 0.9, "X.spam": 0.9}, set()),
    ],
)
def test_lights_the_narrowest_name_that_is_known(scores, lit):
    """A sub-code lights its own names, not the whole list of the code above it."""
    assert {name for name, score in to_openai(scores).items() if score >= 0.5} == lit


def test_scores_keep_the_highest():
    """Two categories under one OpenAI name give it the higher score."""
    scores = to_openai({"A1.h.drugs": 0.2, "A1.h.gambling": 0.7})
    assert scores["illicit"] == 0.7
    assert list(scores) == list(OPENAI_CATEGORIES)
