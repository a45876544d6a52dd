"""The terms that the operator imported. Every change raises the ruleset revision in the same transaction."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from filters.lexicon import MatchMode, Term, Within
from filters.types import Action
from gateway.store import counters
from gateway.store.bulk import Bulk
from gateway.store.database import Database
from gateway.store.errors import CursorError
from gateway.store.records import new_ids, now_utc
from gateway.store.tables import terms

MAX_LIMIT = 1000
IMPORT_S = 120.0
IMPORT_CACHE_KB = 65536

_NAMES = [column.name for column in terms.columns]
_ACTIONS: Mapping[str, Action | None] = {"": None} | {action.label: action for action in Action}
_MODES = {mode.value: mode for mode in MatchMode}


@dataclass(frozen=True, slots=True)
class TermRecord:
    """A term with the id under which it is deleted."""

    id: str
    term: Term
    imported_at: datetime


@dataclass(frozen=True, slots=True)
class TermPage:
    """Some terms, in the order of their ids. ``next_cursor`` is ``None`` after the last one."""

    items: Sequence[TermRecord]
    next_cursor: str | None


class Terms:
    """The imported terms of one database, unique by term and category."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = (sqlite.insert if database.sqlite else postgresql.insert)(terms)
        changed = {name: insert.excluded[name] for name in _NAMES if name not in {"id", "term", "category"}}
        upsert = insert.on_conflict_do_update(index_elements=["term", "category"], set_=changed)
        self._upsert = Bulk(database, upsert, _NAMES)

    def upsert(self, items: Iterable[Term]) -> int:
        """Add terms; one of the same term and category is replaced and keeps its id. Returns the new revision.

        Raises:
            StoreUnavailable: the database is away; nothing was taken.
            StoreRejected: a term that the database refuses; nothing was taken.
        """
        columns = _columns(items)
        with self._database.write(statement_s=IMPORT_S) as connection:
            self._put(connection, columns)
            return _changed(connection)

    def replace(self, items: Iterable[Term]) -> int:
        """As ``upsert``, instead of everything imported before."""
        columns = _columns(items)
        with self._database.write(statement_s=IMPORT_S) as connection:
            connection.execute(delete(terms))
            self._put(connection, columns)
            return _changed(connection)

    def _put(self, connection: Connection, columns: Mapping[str, list[Any]]) -> None:
        if not columns["id"]:
            return
        if not self._database.sqlite:
            self._upsert.run_columns(connection, columns)
            return
        (before,) = connection.exec_driver_sql("PRAGMA cache_size").one()
        connection.exec_driver_sql(f"PRAGMA cache_size = -{IMPORT_CACHE_KB}")  # else the indexes do not fit
        try:
            self._upsert.run_columns(connection, columns)
        finally:
            connection.exec_driver_sql(f"PRAGMA cache_size = {before}")

    def delete(self, term_id: str) -> bool:
        """Delete one term; whether there was one of this id."""
        with self._database.write() as connection:
            if connection.execute(delete(terms).where(terms.c.id == term_id)).rowcount == 0:
                return False
            _changed(connection)
        return True

    def get(self, term_id: str) -> TermRecord | None:
        """One term, or ``None`` if there is none of this id."""
        with self._database.read() as connection:
            row = connection.execute(select(terms).where(terms.c.id == term_id)).first()
        return None if row is None else _record(row)

    def find(self, term: str, category: str) -> TermRecord | None:
        """The record of a term as it was spelled when it was imported."""
        query = select(terms).where(terms.c.term == term, terms.c.category == category)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def list(
        self, *, category: str | None = None, q: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> TermPage:
        """One page. ``category`` is a code and everything below it; ``q`` is part of a term.

        Raises:
            CursorError: the cursor is not one of ours.
        """
        limit = max(1, min(limit, MAX_LIMIT))
        query = select(terms).order_by(terms.c.id).limit(limit + 1)
        if category is not None:
            below = terms.c.category.startswith(category + ".", autoescape=True)
            query = query.where(or_(terms.c.category == category, below))
        if q is not None:
            query = query.where(terms.c.term.icontains(q, autoescape=True))
        if cursor is not None:
            query = query.where(terms.c.id > _read_cursor(cursor))
        with self._database.read() as connection:
            found = [_record(row) for row in connection.execute(query)]
        return TermPage(found[:limit], _cursor(found[limit - 1].id) if len(found) > limit else None)

    def count(self) -> int:
        """How many there are."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(terms)).scalar_one()

    def count_by_category(self) -> dict[str, int]:
        """Category code -> how many terms."""
        query = select(terms.c.category, func.count()).group_by(terms.c.category).order_by(terms.c.category)
        with self._database.read() as connection:
            return {code: number for code, number in connection.execute(query)}  # noqa: C416 - rows are no pairs

    def changed_at(self) -> datetime | None:
        """When the newest term was imported, or ``None`` if there is none."""
        with self._database.read() as connection:
            newest: datetime | None = connection.execute(select(func.max(terms.c.imported_at))).scalar_one()
        return newest

    def all(self) -> Sequence[Term]:
        """Every term, the latest imported last, so that it is the one that counts where two fold to the same."""
        with self._database.read() as connection:
            return self._read_all(connection)

    def edition(self) -> int:
        """A number that is another one after every change of the terms, also when an old database is restored."""
        with self._database.read() as connection:
            return counters.drawn(connection, counters.EDITION)

    def snapshot(self) -> tuple[int, Sequence[Term]]:
        """The edition and every term of it."""
        with self._database.read() as connection:
            if not self._database.sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return counters.drawn(connection, counters.EDITION), self._read_all(connection)

    def _read_all(self, connection: Connection) -> Sequence[Term]:
        names = ", ".join(f'"{name}"' for name in _NAMES[1:-1])
        # The driver's own rows: SQLAlchemy's would double the time that 100,000 terms take.
        cursor = connection.connection.cursor()
        try:
            cursor.execute(f"SELECT {names} FROM terms ORDER BY imported_at, id")  # noqa: S608 - our own names
            return _terms(row for chunk in iter(lambda: cursor.fetchmany(5000), []) for row in chunk)
        finally:
            cursor.close()


def _changed(connection: Connection) -> int:
    revision = counters.advance(connection, counters.RULESETS)
    counters.draw(connection, counters.EDITION)
    return revision


def _columns(items: Iterable[Term]) -> dict[str, list[Any]]:
    unique = list({(item.term, item.category): item for item in items}.values())
    return {
        "id": new_ids(len(unique)),
        "term": [item.term for item in unique],
        "category": [item.category for item in unique],
        "action": ["" if item.action is None else item.action.label for item in unique],
        "match": [item.match.value for item in unique],
        "unless": [_write_phrases(item.unless) for item in unique],
        "with": [_write_phrases(item.with_) for item in unique],
        "within": ["" if item.within is None else str(item.within) for item in unique],
        "note": [item.note for item in unique],
        "imported_at": [now_utc()] * len(unique),
    }


def _terms(rows: Iterable[Sequence[Any]]) -> list[Term]:
    known: dict[Sequence[Any], tuple[Any, ...]] = {}  # most terms of a large lexicon differ in their spelling alone
    found = []
    for row in rows:
        spelling, rest = row[0], row[1:]
        shared = known.get(rest)
        if shared is None:
            like = _term(row)
            shared = (like.category, like.action, like.match, like.unless, like.with_, like.within, like.note)
            if len(known) < MAX_LIMIT:
                known[rest] = shared
        found.append(Term(spelling, *shared))
    return found


def _term(values: Sequence[Any]) -> Term:
    term, category, action, match, unless, with_, within, note = values
    phrases = _read_phrases(unless), _read_phrases(with_)
    return Term(term, category, _ACTIONS[action], _MODES[match], *phrases, _within(within), note)


def _within(text: str) -> Within | None:
    if not text:
        return None
    return int(text) if text.isdigit() else cast("Within", text)


def _write_phrases(phrases: Sequence[str]) -> str:
    return json.dumps(phrases, ensure_ascii=False) if phrases else ""


def _read_phrases(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _record(row: Row[Any]) -> TermRecord:
    values = row._mapping  # noqa: SLF001 - its public name
    return TermRecord(row.id, _term([values[name] for name in _NAMES[1:-1]]), row.imported_at)


def _cursor(term_id: str) -> str:
    return base64.urlsafe_b64encode(term_id.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        raise CursorError from None
