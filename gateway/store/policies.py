"""Policies that were set through the control plane: all of them, of which one at most is active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.sql import Select

from gateway.store import counters
from gateway.store.database import Database
from gateway.store.records import new_id, now_utc
from gateway.store.tables import policies


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """One policy as it was given: ``body`` is its YAML, ``version`` its content hash.

    ``base`` is the fingerprint of the policy file that it replaced, empty where there was none.
    """

    id: str
    version: str
    body: str
    base: str
    author: str
    created_at: datetime
    active: bool


class Policies:
    """The policies of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, body: str, version: str, author: str, base: str = "") -> int:
        """Make a checked policy the active one, keep the others as history; returns the new ruleset revision."""
        row = {"id": new_id(), "version": version, "body": body, "base": base, "author": author}
        with self._database.write() as connection:
            revision = counters.advance(connection, counters.RULESETS)
            connection.execute(update(policies).where(policies.c.active).values(active=False))
            connection.execute(policies.insert().values(**row, created_at=now_utc(), active=True))
        return revision

    def active(self) -> PolicyRecord | None:
        """The active policy; ``None`` where none was ever set and the file is in force."""
        found = self._select(select(policies).where(policies.c.active))
        return found[0] if found else None

    def history(self, limit: int = 50) -> Sequence[PolicyRecord]:
        """The latest policies, newest first."""
        return self._select(select(policies).order_by(policies.c.created_at.desc(), policies.c.id.desc()).limit(limit))

    def _select(self, query: Select[Any]) -> Sequence[PolicyRecord]:
        with self._database.read() as connection:
            return [PolicyRecord(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - its public name
