"""Terms as rows of their table: lists of values, one for each column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Row

from filters.lexicon import MatchMode, Term, Within
from filters.types import Action
from gateway.store.records import new_ids, now_utc
from gateway.store.tables import UNSTORABLE, terms

NAMES = [str(column.name) for column in terms.columns]
FIELDS = NAMES[1:-1]
"""What a term says: without its id and the time of its import."""

_SHARED = 1000
_ACTIONS: Mapping[str, Action | None] = {"": None} | {action.label: action for action in Action}
_MODES = {mode.value: mode for mode in MatchMode}

Rows = dict[str, list[Any]]
"""Column by column, all of one length, in the order of :data:`NAMES`."""


def distinct(items: Iterable[Term]) -> list[Term]:
    """New terms in the order in which they are stored; those of one spelling and category count as the last of them."""
    return list({(item.term, item.category): item for item in items}.values())


def columns_of(items: Iterable[Term]) -> Rows:
    """The values of new terms, of which those of one spelling and category count as the last of them."""
    unique = distinct(items)
    return {
        "id": new_ids(len(unique)),
        "term": [item.term for item in unique],
        "category": [item.category for item in unique],
        "action": ["" if item.action is None else item.action.label for item in unique],
        "match": [item.match.value for item in unique],
        "unless": [_write_phrases(item.unless) for item in unique],
        "with": [_write_phrases(item.with_) for item in unique],
        "within": ["" if item.within is None else str(item.within) for item in unique],
        "note": [UNSTORABLE.sub("\ufffd", item.note) for item in unique],
        "expires": [item.expires for item in unique],
        "needs": [item.needs for item in unique],
        "imported_at": [now_utc()] * len(unique),
    }


def read(connection: Connection, names: Sequence[str], tail: str = "", values: Any = ()) -> Iterator[Sequence[Any]]:
    """The driver's own rows: SQLAlchemy's would double the time that 100,000 terms take."""
    columns = ", ".join(f'"{name}"' for name in names)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(f"SELECT {columns} FROM terms {tail}", values)  # noqa: S608 - our own names
        for chunk in iter(lambda: cursor.fetchmany(5000), []):
            yield from chunk
    finally:
        cursor.close()


def moments(values: Iterable[Any]) -> list[datetime]:
    """Times as either driver gives them, aware and in UTC."""
    known: dict[Any, datetime] = {}
    found = []
    for value in values:
        moment = known.get(value)
        if moment is None:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
            moment = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
            known[value] = moment
        found.append(moment)
    return found


def terms_of(rows: Iterable[Sequence[Any]]) -> list[Term]:
    """The terms of rows that have the values of :data:`FIELDS`."""
    known: dict[Sequence[Any], tuple[Any, ...]] = {}  # most terms of a large lexicon differ in their spelling alone
    found = []
    for row in rows:
        spelling, rest = row[0], tuple(row[1:])
        shared = known.get(rest)
        if shared is None:
            like = term_of(row)
            shared = (
                like.category,
                like.action,
                like.match,
                like.unless,
                like.with_,
                like.within,
                like.note,
                like.expires,
                like.needs,
            )
            if len(known) < _SHARED:
                known[rest] = shared
        found.append(Term(spelling, *shared))
    return found


def term_of(values: Sequence[Any]) -> Term:
    """The term of one row."""
    term, category, action, match, unless, with_, within, note, expires, needs = values
    phrases = _read_phrases(unless), _read_phrases(with_)
    return Term(term, category, _ACTIONS[action], _MODES[match], *phrases, _within(within), note, expires, needs)


def term_of_row(row: Row[Any]) -> Term:
    """The term of one row of SQLAlchemy's."""
    values = row._mapping  # noqa: SLF001 - its public name
    return term_of([values[name] for name in FIELDS])


def _within(text: str) -> Within | None:
    if not text:
        return None
    return int(text) if text.isdigit() else cast("Within", text)


def _write_phrases(phrases: Sequence[str]) -> str:
    return json.dumps(phrases, ensure_ascii=False) if phrases else ""


def _read_phrases(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()
