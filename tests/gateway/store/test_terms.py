"""Imported terms on both databases."""

import pytest

from filters.lexicon import MatchMode, Term
from filters.types import Action
from gateway.store import CursorError, Store, StoreRejected

TERMS = [
    Term("冰毒", "A1.h.drugs"),
    Term("炸药", "A1.h.weapons_cbrne", Action.MASK, MatchMode.WORD, ("炸药厂", "炸药包"), ("制作",), 10, "注"),
    Term("cocaine", "A1.h.drugs", Action.FLAG, MatchMode.SOUND, (), ("buy", "sell"), "sentence"),
]


def test_round_trip(store):
    """A term comes back with everything that it was imported with."""
    store.terms.upsert(TERMS)
    assert list(store.terms.all()) == TERMS
    assert store.terms.snapshot() == (store.terms.edition(), TERMS)


def test_what_a_term_needs_is_kept(store):
    """A context term comes back as one."""
    items = [Term("毒品", "A1.h.drugs", needs="classifier"), Term("毒品", "A1.d")]
    store.terms.upsert(items)
    assert list(store.terms.all()) == items
    assert [record.term.needs for record in store.terms.list().items] == ["classifier", ""]


def test_upsert_replaces_by_term_and_category(store):
    """The same term and category again replaces the entry and keeps its id; another category is another entry."""
    store.terms.upsert(TERMS)
    before = store.terms.find("冰毒", "A1.h.drugs")
    store.terms.upsert([Term("冰毒", "A1.h.drugs", Action.FLAG), Term("冰毒", "A1.d")])
    after = store.terms.find("冰毒", "A1.h.drugs")
    assert (after.id, after.term.action) == (before.id, Action.FLAG)
    assert store.terms.count() == 4
    assert store.terms.all()[-1].term == "冰毒"


def test_replace(store):
    """Replacing leaves nothing of what was imported before."""
    store.terms.upsert(TERMS)
    store.terms.replace([Term("新", "A1.d")])
    assert [term.term for term in store.terms.all()] == ["新"]
    store.terms.replace([])
    assert store.terms.count() == 0


def test_kept_terms_are_those_of_the_database(store, cipher):
    """What was kept is what reading gives: of two alike the last, none expired; and another's change is not missed."""
    given = [*TERMS, Term("旧", "A1.d", expires="2020-01-01"), Term("冰毒", "A1.h.drugs", Action.FLAG)]
    store.terms.replace(given, keep=True)
    kept = store.terms.snapshot()
    store.terms.replace(given)
    assert kept[1] == store.terms.snapshot()[1] == [given[-1], *TERMS[1:]]
    store.terms.replace(TERMS, keep=True)
    other = Store(store.url, cipher)
    other.terms.upsert([Term("新", "A1.d")])
    other.close()
    assert store.terms.snapshot() == (store.terms.edition(), [*TERMS, Term("新", "A1.d")])


def test_every_change_raises_the_revision(store):
    """Whoever polls the revision sees each change, and no change without one."""
    seen = [store.rulesets.active_revision()]
    for change in (
        lambda: store.terms.upsert(TERMS),
        lambda: store.terms.replace(TERMS),
        lambda: store.terms.delete(store.terms.find("冰毒", "A1.h.drugs").id),
        lambda: store.policies.put("version: 1", "v", "me"),
        store.rulesets.bump,
    ):
        change()
        seen.append(store.rulesets.active_revision())
    assert seen == sorted(set(seen))
    assert not store.terms.delete("none")
    assert store.rulesets.active_revision() == seen[-1]


def test_list(store):
    """Pages by cursor; filters by category with what is below, and by part of the term taken literally."""
    store.terms.upsert(TERMS)
    first = store.terms.list(limit=2)
    second = store.terms.list(limit=2, cursor=first.next_cursor)
    assert [record.term for record in [*first.items, *second.items]] == TERMS
    assert second.next_cursor is None
    assert [record.term.term for record in store.terms.list(category="A1.h.drugs").items] == ["冰毒", "cocaine"]
    assert len(store.terms.list(category="A1.h").items) == 3
    assert [record.term.term for record in store.terms.list(q="CAIN").items] == ["cocaine"]
    assert store.terms.list(q="%").items == []
    assert store.terms.count_by_category() == {"A1.h.drugs": 2, "A1.h.weapons_cbrne": 1}
    with pytest.raises(CursorError):
        store.terms.list(cursor="é")


def test_refused_term_leaves_nothing(store):
    """A term that no database takes refuses the whole import, and the revision stays."""
    with pytest.raises(StoreRejected):
        store.terms.upsert([*TERMS, Term("\ud800", "A1.d")])
    assert (store.terms.count(), store.rulesets.active_revision()) == (0, 0)


def test_ten_thousand(store):
    """A large import arrives whole."""
    many = [Term(f"词{at}", "A1.d") for at in range(10_000)]
    store.terms.upsert(many)
    assert list(store.terms.all()) == many


def test_an_expired_term_is_kept_and_not_in_force(store, monkeypatch):
    """From its moment on a term is no longer in force, and the edition is another one; nothing is deleted."""
    import gateway.store.terms as module

    monkeypatch.setattr(module, "moment_now", lambda: "2026-12-30T23:59:59Z")
    items = [*TERMS, Term("短", "A1.d", expires="2026-12-31"), Term("长", "A1.d", expires="2026-12-31T16:00:00Z")]
    store.terms.upsert(items)
    editions = [store.terms.edition()]
    assert store.terms.snapshot() == (editions[0], items)
    assert store.terms.expiry() == ("", "2026-12-31")
    for now, left, expiry in (
        ("2026-12-31T00:00:00Z", [*TERMS, items[-1]], ("2026-12-31", "2026-12-31T16:00:00Z")),
        ("2026-12-31T16:00:00Z", TERMS, ("2026-12-31T16:00:00Z", "")),
    ):
        monkeypatch.setattr(module, "moment_now", lambda now=now: now)
        assert store.terms.snapshot() == (store.terms.edition(), left)
        assert store.terms.in_force() == left
        assert store.terms.expiry() == expiry
        editions.append(store.terms.edition())
    assert len(set(editions)) == 3
    assert store.terms.all() == items
