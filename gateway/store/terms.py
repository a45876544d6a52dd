"""The terms that the operator imported. Every change raises the ruleset revision in the same transaction."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from filters.lexicon import Term
from gateway.store import counters, term_rows
from gateway.store.changes import Changes
from gateway.store.database import Database
from gateway.store.errors import CursorError
from gateway.store.records import now_utc
from gateway.store.tables import terms

MAX_LIMIT = 1000
IMPORT_S = 120.0


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
    """The imported terms of one database, unique by term and category.

    ``by`` and ``action`` are what the history says of a change.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes
        self._kept: tuple[int, Sequence[Term]] | None = None

    def upsert(self, items: Iterable[Term], *, by: str = "", action: str = "add") -> int:
        """Add terms; one of the same term and category is replaced and keeps its id. Returns the new revision.

        Raises:
            StoreUnavailable: the database is away; nothing was taken.
            StoreRejected: a term that the database refuses; nothing was taken.
        """
        rows = term_rows.columns_of(items)
        with self._database.write(statement_s=IMPORT_S) as connection:
            return self._changes.put(connection, rows, by=by, action=action)

    def replace(self, items: Iterable[Term], *, by: str = "", keep: bool = False) -> int:
        """As ``upsert``, instead of everything imported before.

        With ``keep`` the terms stay in memory for a ``snapshot`` that follows: reading 100,000 takes half a second.
        """
        given = term_rows.distinct(items)
        rows = term_rows.columns_of(given)
        with self._database.write(statement_s=IMPORT_S) as connection:
            revision = self._changes.put(connection, rows, by=by, action="replace", replace=True)
            edition = counters.drawn(connection, counters.EDITION)
        self._kept = (edition, given) if keep else None
        return revision

    def delete(self, term_id: str, *, by: str = "") -> bool:
        """Delete one term; whether there was one of this id."""
        with self._database.write() as connection:
            return self._changes.remove(connection, term_id, by=by) is not None

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
        """Every term, expired ones too, the latest imported last: it counts where two fold to the same."""
        with self._database.read() as connection:
            return _read_all(connection)

    def in_force(self) -> Sequence[Term]:
        """The terms that have not expired, in the same order."""
        return self.snapshot()[1]

    def edition(self) -> int:
        """A number that is another one after every change of the terms, also when an old database is restored.

        A term that expires is such a change.
        """
        with self._database.read() as connection:
            return _edition(connection, moment_now())

    def snapshot(self) -> tuple[int, Sequence[Term]]:
        """The edition and every term of it that has not expired."""
        now = moment_now()
        with self._database.read() as connection:
            if not self._database.sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = self._kept_terms(connection) or _read_all(connection)
            return _edition(connection, now), [term for term in found if not is_expired(term, now)]

    def _kept_terms(self, connection: Connection) -> Sequence[Term]:
        """What was put in here, if that is what the database holds: every change draws another number."""
        if self._kept is None or self._kept[0] != counters.drawn(connection, counters.EDITION):
            return ()
        return self._kept[1]

    def expiry(self) -> tuple[str, str]:
        """When a term expired last, and when the next one will, as in ``Term.expires``; empty where there is none."""
        now = moment_now()
        with self._database.read() as connection:
            after = select(func.min(terms.c.expires)).where(terms.c.expires > now)
            return _expired_last(connection, now), connection.execute(after).scalar() or ""


def moment_now() -> str:
    """This moment as it compares with ``Term.expires``."""
    return now_utc().strftime("%Y-%m-%dT%H:%M:%SZ")


def is_expired(term: Term, now: str | None = None) -> bool:
    """Whether a term no longer counts."""
    return bool(term.expires) and term.expires <= (now or moment_now())


def _edition(connection: Connection, now: str) -> int:
    drawn, expired = counters.drawn(connection, counters.EDITION), _expired_last(connection, now)
    if not expired:
        return drawn
    return int.from_bytes(hashlib.sha256(f"{drawn} {expired}".encode()).digest()[:8]) >> 2


def _expired_last(connection: Connection, now: str) -> str:
    query = select(func.max(terms.c.expires)).where(terms.c.expires != "", terms.c.expires <= now)
    return connection.execute(query).scalar() or ""


def _read_all(connection: Connection) -> Sequence[Term]:
    return term_rows.terms_of(term_rows.read(connection, term_rows.FIELDS, "ORDER BY imported_at, id"))


def _record(row: Row[Any]) -> TermRecord:
    return TermRecord(row.id, term_rows.term_of_row(row), row.imported_at)


def _cursor(term_id: str) -> str:
    return base64.urlsafe_b64encode(term_id.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        raise CursorError from None
