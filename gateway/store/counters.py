"""Numbers that grow in the order of commits."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from gateway.store.errors import StoreUnavailable
from gateway.store.tables import counters

FEED = "violations"
RULESETS = "rulesets"


def advance(connection: Connection, name: str, by: int = 1) -> int:
    """Raise a counter and return its new value. Its row stays locked until the transaction ends."""
    statement = update(counters).where(counters.c.name == name).values(value=counters.c.value + by)
    return _known(connection.execute(statement.returning(counters.c.value)).scalar())


def current(connection: Connection, name: str) -> int:
    """The value as of the last commit."""
    return _known(connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar())


def _known(value: int | None) -> int:
    if value is None:
        msg = "the database has lost its counters: run `sluice migrate`"
        raise StoreUnavailable(msg)
    return value
