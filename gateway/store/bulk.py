"""One INSERT for many rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, column, select, text
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from gateway.store.database import Database

_CHUNK = 10_000  # rows in one statement on PostgreSQL: some megabytes


class Bulk:
    """A statement that was compiled once.

    SQLAlchemy's ``executemany`` spends three quarters of its time on each row's parameters; here a row costs a few
    conversions and the driver's own work. PostgreSQL is given many rows as one JSON value, which it takes apart into
    the table's own types: one statement for all of them, and ten times the rows a second.

    Args:
        database: where it will run.
        statement: an INSERT without values.
        names: the columns and named parameters that every row gives. On PostgreSQL two rows of one ``run`` must not
            be in conflict with each other.
    """

    def __init__(self, database: Database, statement: Any, names: Sequence[str]) -> None:
        self._names = list(map(str, names))  # SQLAlchemy's are a kind of their own
        self._in_json = not database.sqlite and set(names) <= set(statement.table.columns.keys())
        dialect = sqlite_dialect(paramstyle="qmark") if database.sqlite else database.engine.dialect
        compiled = statement.compile(dialect=dialect, column_keys=self._names)
        self._sql = str(compiled)
        self._order: Sequence[str] = compiled.positiontup or ()
        processors = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if process is not None]
        if self._in_json:
            self._sql = str(_from_json(statement, self._names).compile(dialect=dialect))

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows; none is no error."""
        if rows:
            self.run_columns(connection, {name: list(map(itemgetter(name), rows)) for name in self._names})

    def run_columns(self, connection: Connection, given: Mapping[str, list[Any]]) -> None:
        """The same for lists of equal length, one for each name; not empty."""
        columns = {name: given[name] for name in self._names}
        for name, process in self._processors:
            columns[name] = _processed(columns[name], process)
        if self._order:
            connection.exec_driver_sql(self._sql, list(zip(*map(columns.__getitem__, self._order), strict=True)))
            return
        ready = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if not self._in_json:
            connection.exec_driver_sql(self._sql, ready)
            return
        for at in range(0, len(ready), _CHUNK):
            document = orjson.dumps(ready[at : at + _CHUNK], default=_in_json).decode()
            connection.exec_driver_sql(self._sql, {"rows": document})


def _from_json(statement: Any, names: Sequence[str]) -> Any:
    source = text(f'json_populate_recordset(NULL::"{statement.table.name}", CAST(:rows AS json))')
    return statement.from_select(list(names), select(*map(column, names)).select_from(source))


def _in_json(value: Any) -> str:
    """Bytes as PostgreSQL reads them."""
    if not isinstance(value, bytes):
        raise TypeError
    return "\\x" + value.hex()


def _processed(values: list[Any], process: Callable[[Any], Any]) -> list[Any]:
    """The same for the database; what all rows share, as a time, is converted once."""
    try:
        known = {value: process(value) for value in set(values)}
    except TypeError:  # lists and dictionaries
        return list(map(process, values))
    return [known[value] for value in values]
