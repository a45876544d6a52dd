"""The revision of the active ruleset: one number that every worker polls."""

from __future__ import annotations

from gateway.store import counters
from gateway.store.database import Database


class Rulesets:
    """Raised by every change of the stored policy or terms, in the transaction of that change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def active_revision(self) -> int:
        """The revision as of the last commit."""
        with self._database.read() as connection:
            return counters.current(connection, counters.RULESETS)

    def bump(self) -> int:
        """Make every worker read policy and terms again. Returns the new revision."""
        with self._database.write() as connection:
            revision = counters.advance(connection, counters.RULESETS)
            counters.draw(connection, counters.EDITION)
        return revision
