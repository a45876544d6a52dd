"""One INSERT for many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from gateway.store.database import Database


class Bulk:
    """A statement that was compiled once.

    SQLAlchemy's ``executemany`` spends three quarters of its time on each row's parameters; here a row costs a few
    conversions and the driver's own work.

    Args:
        database: where it will run.
        statement: an INSERT without values.
        names: the columns and named parameters that every row gives.
    """

    def __init__(self, database: Database, statement: Any, names: Sequence[str]) -> None:
        # sqlite3 takes named parameters too, and rows are mappings on both databases.
        dialect = sqlite_dialect(paramstyle="named") if database.sqlite else database.engine.dialect
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._sql = str(compiled)
        processors = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if process is not None]

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows; none is no error."""
        if not rows:
            return
        ready = [dict(row) for row in rows]
        for name, process in self._processors:
            for row in ready:
                row[name] = process(row[name])
        connection.exec_driver_sql(self._sql, ready)
