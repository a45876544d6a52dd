"""Violations on SQLite and on PostgreSQL: the same promises on both."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gateway.crypto import Cipher
from gateway.store import Store, StoreRejected, StoreUnavailable, ViolationFilter
from gateway.store.errors import CursorError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_what_was_written_is_what_is_read(store, violation):
    """A violation comes back with every field as it was, times in UTC to the microsecond."""
    first = violation(created_at=datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC))
    store.violations.insert_many([first])
    assert store.violations.get(first.id) == first
    assert store.violations.get("no such id") is None


def test_minimal_record(store, violation):
    """Everything that may be absent may be absent."""
    bare = violation(
        model=None,
        subject=None,
        model_version=None,
        excerpt=None,
        stream=False,
        categories={},
        matches=(),
        degraded=True,
    )
    store.violations.insert_many([bare])
    assert store.violations.get(bare.id) == bare


def test_many_at_once(store, violation):
    """A large group arrives whole."""
    items = [violation() for _ in range(1200)]
    store.violations.insert_many(items)
    assert store.violations.count() == 1200
    assert {item.id for item in store.violations.export()} == {item.id for item in items}


def test_empty_group(store):
    """Writing nothing is no error."""
    store.violations.insert_many([])
    assert store.violations.count() == 0


def test_same_id_replaces(store, violation):
    """A stream that masks again writes the same id again: one violation, with everything of the later version."""
    first = violation(action="mask", delivered_chars=6)
    more = {**first.matches[0], "start": 20, "end": 22, "category": "A1.h.drugs", "rule": "冰毒"}
    second = violation(
        id=first.id,
        created_at=first.created_at + timedelta(seconds=5),
        action="mask",
        matches=(*first.matches, more),
        categories={"A1.h.weapons_cbrne": 1.0, "A1.h.drugs": 0.9},
        excerpt="他买了炸鸡和**，冰毒",
        delivered_chars=30,
    )
    store.violations.insert_many([first])
    store.violations.insert_many([second])
    found = store.violations.get(first.id)
    assert (found.matches, found.delivered_chars, found.excerpt) == (second.matches, 30, second.excerpt)
    assert found.created_at == first.created_at
    assert store.violations.count() == 1
    assert store.violations.count(ViolationFilter(category="A1.h.drugs")) == 1


def test_same_id_twice_in_a_group(store, violation):
    """Of two versions in one group the later counts."""
    first = violation(delivered_chars=1)
    second = violation(id=first.id, delivered_chars=2)
    store.violations.insert_many([first, second])
    assert store.violations.get(first.id).delivered_chars == 2


def test_late_older_version_never_wins(store, violation):
    """A spool that is drained late does not turn a record back."""
    newer = violation(delivered_chars=30, excerpt="newer")
    older = violation(id=newer.id, delivered_chars=6, excerpt="older")
    store.violations.insert_many([newer], [2000])
    store.violations.insert_many([older], [1000])
    found = store.violations.get(newer.id)
    assert (found.delivered_chars, found.excerpt) == (30, "newer")


def test_replay_keeps_the_review(store, violation):
    """Writing a record again, as a drained spool does, keeps the verdict of a person."""
    item = violation()
    store.violations.insert_many([item], [1000])
    store.violations.review(item.id, "false_positive", reviewer="k")
    store.violations.insert_many([item], [1000])
    assert store.violations.get(item.id).status == "false_positive"


def test_odd_text_is_kept(store, violation):
    """NUL, lone surrogates and emoji in what a client sent do not cost the record."""
    odd = violation(path="/v1/\x00\ud800", model="模型\ud83d😀", excerpt="a\x00b\udfffc😀")
    odd = odd.with_excerpt(odd.excerpt)
    store.violations.insert_many([odd])
    found = store.violations.get(odd.id)
    assert found.path == "/v1/\ufffd\ufffd"
    assert found.model == "模型\ufffd😀"
    assert found.excerpt == "a\x00b?c😀"


class TestFilters:
    """Every filter of the list."""

    @pytest.fixture
    def items(self, store, violation):
        """Six violations a minute apart, oldest first."""
        fields = [
            {"direction": "input", "categories": {"A1.h.gambling": 1.0}, "subject": "sub_one"},
            {"action": "mask", "categories": {"A1.h.gambling": 1.0, "A4.e": 0.9}},
            {"action": "flag", "would_action": "block", "categories": {"A1.h": 1.0}},
            {"categories": {"A1.hx": 1.0}, "model": "Qwen_3", "decision_id": "decision-four"},
            {"categories": {"A1.f.sexual": 0.93}, "status": "confirmed", "excerpt": "Nothing NEW under the sun"},
            {"categories": {"A1.h.gambling": 1.0}, "direction": "input", "subject": "sub_two"},
        ]
        made = [violation(created_at=NOON + timedelta(minutes=at), **given) for at, given in enumerate(fields)]
        store.violations.insert_many(made)
        return made

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({}, [5, 4, 3, 2, 1, 0]),
            ({"since": NOON + timedelta(minutes=4)}, [5, 4]),
            ({"until": NOON + timedelta(minutes=1)}, [0]),
            ({"since": NOON + timedelta(minutes=2), "until": NOON + timedelta(minutes=4)}, [3, 2]),
            ({"category": "A1.h"}, [5, 2, 1, 0]),
            ({"category": "A1.h.gambling"}, [5, 1, 0]),
            ({"category": "A1"}, [5, 4, 3, 2, 1, 0]),
            ({"category": "A1.%"}, []),
            ({"category": "A4.e"}, [1]),
            ({"action": "mask"}, [1]),
            ({"direction": "input"}, [5, 0]),
            ({"status": "confirmed"}, [4]),
            ({"subject": "sub_one"}, [0]),
            ({"q": "炸药"}, [5, 4, 3, 2, 1, 0]),
            ({"q": "new under"}, [4]),
            ({"q": "qwen_"}, [3]),
            ({"q": "DECISION-four"}, [3]),
            ({"q": "%"}, []),
            ({"q": "gpt", "direction": "input", "category": "A1.h"}, [5, 0]),
        ],
    )
    def test_filter(self, store, items, where, expected):
        """Each filter chooses exactly what it says, newest first, and the count agrees."""
        chosen = ViolationFilter(**where)
        assert [items.index(item) for item in store.violations.list(chosen).items] == expected
        assert store.violations.count(chosen) == len(expected)


def test_pages_do_not_shift(store, violation):
    """Records that come in between neither repeat nor hide one; equal times are told apart."""
    items = [violation(created_at=NOON) for _ in range(5)]
    store.violations.insert_many(items)
    seen = []
    cursor = None
    for size in (2, 2, 2):
        page = store.violations.list(limit=size, cursor=cursor)
        seen += [item.id for item in page.items]
        cursor = page.next_cursor
        store.violations.insert_many([violation(created_at=NOON + timedelta(minutes=1))])
    assert seen == sorted((item.id for item in items), reverse=True)
    assert cursor is None


def test_search_goes_on_behind_its_bound(store, violation, monkeypatch):
    """A search that read its share says so with a cursor, and finds the rest behind it."""
    monkeypatch.setattr("gateway.store.violations.SEARCH_ROWS", 10)
    wanted = violation(created_at=NOON, excerpt="the needle")
    hay = [violation(created_at=NOON + timedelta(seconds=at + 1)) for at in range(15)]
    store.violations.insert_many([wanted, *hay])
    first = store.violations.list(ViolationFilter(q="needle"))
    assert first.items == []
    second = store.violations.list(ViolationFilter(q="needle"), cursor=first.next_cursor)
    assert [item.id for item in second.items] == [wanted.id]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["nonsense", "", "!!!", "5Lit5paH", "é"])
def test_unknown_cursor(store, cursor):
    """A cursor of somebody's own making is an error that says what to use."""
    with pytest.raises(CursorError, match="next_cursor"):
        store.violations.list(cursor=cursor)


def test_feed_follows_commits(store, violation):
    """The feed gives every record once in the order of commits, whatever their times, and a changed one again."""
    late = violation(created_at=NOON - timedelta(hours=1))
    early = violation(created_at=NOON)
    store.violations.insert_many([early])
    start = store.violations.position()
    store.violations.insert_many([late])
    assert [item.id for _, item in store.violations.since(start)] == [late.id]
    store.violations.review(early.id, "confirmed", reviewer="k")
    assert [(item.id, item.status) for _, item in store.violations.since(start)] == [
        (late.id, "open"),
        (early.id, "confirmed"),
    ]
    assert store.violations.since(store.violations.position()) == []


def test_review(store, violation):
    """A review sets the status; an unknown verdict is an error and an unknown id is told."""
    item = violation()
    store.violations.insert_many([item])
    assert store.violations.review(item.id, "confirmed", reviewer="k", category="A1.h", note="注").status == "confirmed"
    assert store.violations.review("none", "confirmed", reviewer="k") is None
    with pytest.raises(ValueError, match="false_positive"):
        store.violations.review(item.id, "open", reviewer="k")


def test_content_is_sealed_and_erasable(store, database_url, violation):
    """No excerpt stands readable in the database, and erasing a subject's content keeps the decisions."""
    mine, other = violation(subject="sub_me", excerpt="绝密内容"), violation(subject="sub_other")
    store.violations.insert_many([mine, other])
    with store._database.read() as connection:
        sealed = connection.execute(text("SELECT excerpt FROM violation_contents")).scalars().all()
    assert len(sealed) == 2
    assert not any("绝密".encode() in bytes(content) for content in sealed)
    assert store.violations.erase_contents(subject="sub_me") == 1
    assert store.violations.get(mine.id) == mine.with_excerpt(None)
    assert store.violations.get(other.id) == other


def test_lost_key_keeps_the_decisions(store, database_url, violation):
    """With another secret key the records are still read, without their excerpts."""
    item = violation()
    store.violations.insert_many([item])
    other = Store(database_url, Cipher("another secret altogether"))
    assert other.violations.get(item.id) == item.with_excerpt(None)
    other.close()


def test_excerpts_need_the_key(store, database_url, violation):
    """A store that was opened without a key writes no excerpt in the clear."""
    bare = Store(database_url)
    with pytest.raises(ValueError, match="secret key"):
        bare.violations.insert_many([violation()])
    assert store.violations.count() == 0
    bare.close()


def test_failed_group_leaves_nothing(store, violation):
    """A group is written whole or not at all."""
    bad = violation(choice=2**70)
    with pytest.raises(StoreRejected):
        store.violations.insert_many([violation(), bad])
    assert store.violations.count() == 0


def test_absent_database(tmp_path, violation):
    """A database that is not there is unavailable, not a crash of the driver's own kind."""
    for url in (f"sqlite:///{tmp_path}/none/sluice.db", "postgresql://127.0.0.1:1/none"):
        away = Store(url)
        with pytest.raises(StoreUnavailable):
            away.violations.insert_many([violation(excerpt=None)])
        with pytest.raises(StoreUnavailable):
            away.ping()
        away.close()


@pytest.mark.parametrize(("server", "ours"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_commits_are_durable_whatever_the_server_says(postgres_url, server, ours):
    """A PostgreSQL that answers before it has written is told not to, for our writes; a stricter one stays so."""
    store = Store(postgres_url)
    store.migrate()
    with store._database.engine.begin() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = {server}'))
    store.close()
    with store._database.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == ours
    store.close()


def test_sqlite_is_durable(sqlite_store):
    """SQLite runs with a write-ahead log, and a commit is on the disk before it returns."""
    with sqlite_store._database.read() as connection:
        settings = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
