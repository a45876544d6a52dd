"""Who changed what: append-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from gateway.store.database import Database
from gateway.store.records import new_id, now_utc
from gateway.store.tables import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One change. ``actor`` is a key's id and name; ``detail`` never holds moderated text."""

    id: str
    created_at: datetime
    actor: str
    action: str
    target: str
    detail: Mapping[str, Any]


class Audit:
    """The audit log of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, actor: str, action: str, target: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Add one entry, durable on return."""
        row = {"id": new_id(), "created_at": now_utc(), "actor": actor, "action": action, "target": target}
        with self._database.write() as connection:
            connection.execute(audit.insert().values(**row, detail=dict(detail or {})))

    def latest(self, limit: int = 100) -> Sequence[AuditRecord]:
        """The newest entries, newest first."""
        query = select(audit).order_by(audit.c.created_at.desc(), audit.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [AuditRecord(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - its public name
