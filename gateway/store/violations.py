"""Violations: written in groups, read newest first, followed as a feed, reviewed, erased."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Select

from gateway.crypto import Cipher, DecryptError
from gateway.store import counters
from gateway.store.bulk import Bulk
from gateway.store.database import Database
from gateway.store.errors import CursorError
from gateway.store.records import FIELDS, STATUSES, Violation, new_id, now_utc, rfc3339
from gateway.store.tables import UTCDateTime, reviews, violation_categories, violation_contents, violations

MAX_LIMIT = 1000
SEARCH_ROWS = 5000
"""Records that one search for ``q`` reads: excerpts are encrypted, so no index can find words in them."""

_COLUMNS = [violations.c[name] for name in FIELDS if name != "excerpt"]
_ROW = [column.name for column in violations.columns]
_KEPT = {"id", "created_at", "status"}  # a later version of a record never changes these


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationFilter:
    """Which violations are meant; ``None`` means any.

    ``since`` is inclusive, ``until`` exclusive. ``category`` is a code and everything below it (``A1.h`` holds
    ``A1.h.drugs``). ``q`` is looked for, ignoring case, in the excerpt, the rules that fired, ids, path, model and
    subject.
    """

    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None
    action: str | None = None
    direction: str | None = None
    status: str | None = None
    subject: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some violations, newest first. ``next_cursor`` is ``None`` after the last one.

    With ``q`` a page may hold fewer than asked for, or none, and still have a cursor: there is more to search.
    """

    items: Sequence[Violation]
    next_cursor: str | None


class Violations:
    """The violations of one database.

    Args:
        database: where they are.
        cipher: seals and opens excerpts. Without one excerpts read as ``None``, and none can be written.
    """

    def __init__(self, database: Database, cipher: Cipher | None) -> None:
        self._database = database
        self._cipher = cipher
        insert = sqlite.insert if database.sqlite else postgresql.insert
        self._upsert = Bulk(database, _upsert_records(insert(violations)), _ROW)
        self._upsert_categories = Bulk(
            database, _upsert_categories(insert(violation_categories)), ("violation_id", "category", "score")
        )
        self._upsert_contents = Bulk(
            database, _upsert_contents(insert(violation_contents)), ("violation_id", "excerpt", "of")
        )

    def insert_many(self, items: Sequence[Violation], stamps: Sequence[int] | None = None) -> None:
        """Write all of them in one transaction, durable on return. The same id again replaces what came before.

        A review's ``status`` stays, and a version with a smaller stamp never replaces one with a greater.

        Args:
            items: several may have the same id; the last one counts.
            stamps: one for each item: nanoseconds at which the version was made. Now, if left out.

        Raises:
            StoreUnavailable: the database is away; nothing was written.
            StoreRejected: a value that the database refuses; nothing was written.
        """
        moment = int(now_utc().timestamp() * 1e9)
        taken = stamps or [moment] * len(items)
        latest = {item.id: (item, stamp) for item, stamp in zip(items, taken, strict=True)}
        if not latest:
            return
        with self._database.write() as connection:
            last = counters.advance(connection, counters.FEED, len(latest))
            first = last - len(latest) + 1
            rows = [_row(item, stamp, seq) for seq, (item, stamp) in enumerate(latest.values(), first)]
            self._upsert.run(connection, rows)
            shown = [
                {"violation_id": item.id, "category": code, "score": score}
                for item, _ in latest.values()
                for code, score in item.categories.items()
            ]
            self._upsert_categories.run(connection, shown)
            contents = [self._content(item, stamp) for item, stamp in latest.values() if item.excerpt is not None]
            self._upsert_contents.run(connection, contents)

    def get(self, violation_id: str) -> Violation | None:
        """One violation, or ``None`` if there is none of this id."""
        query = self._query().where(violations.c.id == violation_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._record(row)

    def list(self, where: ViolationFilter | None = None, *, limit: int = 50, cursor: str | None = None) -> Page:
        """One page, newest first. The cursor stays valid while records are added.

        Raises:
            CursorError: the cursor is not one of ours.
            StoreUnavailable: the database is away.
        """
        where = where or ViolationFilter()
        limit = max(1, min(limit, MAX_LIMIT))
        reads = limit if where.q is None else SEARCH_ROWS
        query = self._query().where(*_conditions(where))
        query = query.order_by(violations.c.created_at.desc(), violations.c.id.desc())
        if cursor is not None:
            query = query.where(tuple_(violations.c.created_at, violations.c.id) < _read_cursor(cursor))
        found: list[Violation] = []
        read = 0
        last: Violation | None = None
        with self._database.read() as connection:
            for row in connection.execute(query.limit(reads + 1)):
                if read == reads or len(found) == limit:
                    return Page(found, None if last is None else _cursor(last))
                last = self._record(row)
                read += 1
                if where.q is None or _mentions(last, where.q.casefold()):
                    found.append(last)
        return Page(found, None)

    def count(self, where: ViolationFilter | None = None) -> int:
        """How many there are. ``q`` reads every record that the other conditions leave."""
        where = where or ViolationFilter()
        if where.q is not None:
            return sum(1 for _ in self.export(where))
        query = select(func.count()).select_from(violations).where(*_conditions(where))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def export(self, where: ViolationFilter | None = None) -> Iterator[Violation]:
        """Every violation, newest first, read page by page so that memory and locks stay small."""
        cursor: str | None = None
        while True:
            page = self.list(where, limit=MAX_LIMIT, cursor=cursor)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def since(self, seq: int, limit: int = 100) -> Sequence[tuple[int, Violation]]:
        """The feed: what was committed after position ``seq``, oldest first. A changed record comes again."""
        query = self._query(violations.c.seq).where(violations.c.seq > seq).order_by(violations.c.seq).limit(limit)
        with self._database.read() as connection:
            return [(row.seq, self._record(row)) for row in connection.execute(query)]

    def position(self) -> int:
        """The feed's newest position."""
        with self._database.read() as connection:
            return counters.current(connection, counters.FEED)

    def review(
        self, violation_id: str, verdict: str, *, reviewer: str, category: str | None = None, note: str = ""
    ) -> Violation | None:
        """Record a person's verdict and return the violation with its new status; ``None`` if there is none.

        Raises:
            ValueError: the verdict is neither ``confirmed`` nor ``false_positive``.
        """
        if verdict not in STATUSES[1:]:
            msg = f"unknown verdict {verdict!r}: use confirmed or false_positive"
            raise ValueError(msg)
        row = {"id": new_id(), "violation_id": violation_id, "created_at": now_utc(), "verdict": verdict}
        with self._database.write() as connection:
            seq = counters.advance(connection, counters.FEED)
            changed = update(violations).where(violations.c.id == violation_id).values(status=verdict, seq=seq)
            if connection.execute(changed).rowcount == 0:
                return None
            connection.execute(reviews.insert().values(**row, category=category, note=note, reviewer=reviewer))
        return self.get(violation_id)

    def erase_contents(self, *, subject: str | None = None, before: datetime | None = None) -> int:
        """Delete the excerpts of a subject, or those older than a time, and keep the decisions. Returns how many."""
        chosen = select(violations.c.id)
        if subject is not None:
            chosen = chosen.where(violations.c.subject == subject)
        if before is not None:
            chosen = chosen.where(violations.c.created_at < before)
        with self._database.write() as connection:
            return connection.execute(
                delete(violation_contents).where(violation_contents.c.violation_id.in_(chosen))
            ).rowcount

    # --- rows and records ------------------------------------------------------------------------------------------

    def _content(self, item: Violation, stamp: int) -> dict[str, Any]:
        if self._cipher is None:
            msg = "writing an excerpt needs the secret key: open the store with a Cipher"
            raise ValueError(msg)
        return {"violation_id": item.id, "excerpt": self._cipher.seal(item.excerpt or "", item.id), "of": stamp}

    def _query(self, *more: ColumnElement[Any]) -> Select[Any]:
        joined = violations.outerjoin(violation_contents)
        return select(*_COLUMNS, violation_contents.c.excerpt, *more).select_from(joined)

    def _record(self, row: Row[Any]) -> Violation:
        values = {name: getattr(row, name) for name in FIELDS}
        values["matches"] = tuple(values["matches"])
        values["excerpt"] = self._opened(row.excerpt, row.id)
        return Violation(**values)

    def _opened(self, sealed: bytes | None, violation_id: str) -> str | None:
        if sealed is None or self._cipher is None:
            return None
        try:
            return self._cipher.open(sealed, violation_id)
        except DecryptError:
            return None  # the decision must stay readable after the secret key was lost


def _row(item: Violation, stamp: int, seq: int) -> dict[str, Any]:
    row = {name: getattr(item, name) for name in FIELDS if name != "excerpt"}
    row["categories"] = dict(item.categories)
    row["matches"] = [dict(match) for match in item.matches]
    return {**row, "stamp": stamp, "seq": seq}


def _upsert_records(insert: Any) -> Any:
    changed = {name: insert.excluded[name] for name in insert.excluded.keys() if name not in _KEPT}  # noqa: SIM118
    return insert.on_conflict_do_update(
        index_elements=["id"], set_=changed, where=violations.c.stamp <= insert.excluded.stamp
    )


def _upsert_categories(insert: Any) -> Any:
    return insert.on_conflict_do_update(
        index_elements=["violation_id", "category"], set_={"score": insert.excluded.score}
    )


def _upsert_contents(insert: Any) -> Any:
    newest = exists().where(violations.c.id == insert.excluded.violation_id, violations.c.stamp == bindparam("of"))
    return insert.on_conflict_do_update(
        index_elements=["violation_id"], set_={"excerpt": insert.excluded.excerpt}, where=newest
    )


def _conditions(where: ViolationFilter) -> list[ColumnElement[bool]]:
    """Everything but ``q``, which is looked for in the records that were read."""
    conditions: list[ColumnElement[bool]] = []
    if where.since is not None:
        conditions.append(violations.c.created_at >= where.since)
    if where.until is not None:
        conditions.append(violations.c.created_at < where.until)
    if where.category is not None:
        conditions.append(_in_category(where.category))
    for name in ("action", "direction", "status", "subject"):
        value = getattr(where, name)
        if value is not None:
            conditions.append(violations.c[name] == value)
    return conditions


def _in_category(code: str) -> ColumnElement[bool]:
    shown = violation_categories.c
    below = or_(shown.category == code, shown.category.startswith(code + ".", autoescape=True))
    return exists().where(shown.violation_id == violations.c.id, below)


def _mentions(item: Violation, wanted: str) -> bool:
    rules = (str(match.get("rule", "")) for match in item.matches)
    texts = (item.excerpt, item.id, item.decision_id, item.path, item.model, item.subject, *rules)
    return any(wanted in text.casefold() for text in texts if text)


def _cursor(item: Violation) -> str:
    return base64.urlsafe_b64encode(f"{rfc3339(item.created_at)} {item.id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> Any:
    try:
        plain = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, violation_id = plain.partition(" ")
        created_at = datetime.fromisoformat(moment)
    except (ValueError, binascii.Error):
        raise CursorError from None
    return tuple_(literal(created_at, UTCDateTime), literal(violation_id))
