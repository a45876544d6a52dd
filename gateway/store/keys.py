"""Keys of the control plane, kept as digests only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from gateway.store.database import Database
from gateway.store.records import new_id, now_utc
from gateway.store.tables import api_keys

SCOPES = ("read", "review", "admin")
"""Weakest first; each holds the ones before it."""

PREFIX = "slk_"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of a key. The key itself is not: it was shown once."""

    id: str
    scope: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """The keys of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, scope: str, name: str = "") -> tuple[KeyRecord, str]:
        """Make a key; returns its record and, this once, the key itself.

        Raises:
            ValueError: the scope is unknown.
        """
        if scope not in SCOPES:
            msg = f"unknown scope {scope!r}: use one of {', '.join(SCOPES)}"
            raise ValueError(msg)
        # 256 random bits: a plain hash is enough, there is nothing to guess.
        token = PREFIX + secrets.token_urlsafe(32)
        record = KeyRecord(id=new_id(), scope=scope, name=name, created_at=now_utc(), revoked_at=None)
        with self._database.write() as connection:
            connection.execute(
                api_keys.insert().values(
                    id=record.id, digest=_digest(token), scope=scope, name=name, created_at=record.created_at
                )
            )
        return record, token

    def verify(self, token: str) -> KeyRecord | None:
        """The record of a key that is in force; ``None`` for every other text."""
        digest = _digest(token)
        query = select(api_keys).where(api_keys.c.digest == digest, api_keys.c.revoked_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        return _record(row)

    def get(self, key_id: str) -> KeyRecord | None:
        """The record of a key in force, by its id."""
        query = select(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def list(self) -> Sequence[KeyRecord]:
        """All keys, oldest first, revoked ones too."""
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.id))]

    def revoke(self, key_id: str) -> bool:
        """End a key now; whether there was one of this id in force."""
        ended = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(ended.values(revoked_at=now_utc())).rowcount > 0


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(id=row.id, scope=row.scope, name=row.name, created_at=row.created_at, revoked_at=row.revoked_at)
