"""Coverage of the categories against the standard's figures."""

from filters.coverage import cover


def test_figures():
    """The 8 kinds of A.1 want 200 terms and the 9 of A.2 want 100; nothing else has a figure."""
    wanted = {item.code: item.wanted for item in cover({}, {}) if item.wanted}
    assert sorted(wanted.values()) == [100] * 9 + [200] * 8
    assert {code[:2] for code in wanted} == {"A1", "A2"}


def test_sub_codes_count_for_their_kind():
    """Terms of A1.h.drugs count for A1.h, and more than is wanted leaves nothing missing."""
    items = {item.code: item for item in cover({"A1.h.drugs": 150, "A1.h": 20, "A2.a": 500}, {"A1.h": 20})}
    assert (items["A1.h"].below, items["A1.h"].missing, items["A1.h"].imported) == (170, 30, 20)
    assert (items["A1.h.drugs"].below, items["A1.h.drugs"].missing) == (150, 0)
    assert items["A2.a"].missing == 0
    assert items["A1.a"].missing == 200
