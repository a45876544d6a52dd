"""The engine: one way to open a transaction on SQLite and PostgreSQL, and one set of errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.store.errors import StoreRejected, StoreUnavailable

BUSY_S = 5.0
"""How long a writer waits for another one. Past it the store counts as away and the recorder uses its spool."""

_WRITE = "sluice_write"
# A server that is set to answer before it has written would make "durable before told" untrue; stricter settings stay.
_PATIENT_AND_DURABLE = text(
    "SELECT set_config('statement_timeout', :timeout, true), CASE WHEN current_setting('synchronous_commit') = 'off' "
    "THEN set_config('synchronous_commit', 'on', true) END"
)


class Database:
    """One engine with its rules. Safe to use from several threads.

    Args:
        url: ``sqlite:///file`` or ``postgresql://…``.

    Raises:
        ValueError: the address is not one of the two.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.sqlite else _postgresql(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            StoreUnavailable: the database is away.
        """
        with translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, statement_s: float = BUSY_S) -> Iterator[Connection]:
        """A transaction that is durable once the block is left.

        On SQLite it takes the write lock at once, so that it never has to be repeated half way.

        Raises:
            StoreUnavailable: the database is away; nothing of the transaction was kept.
            StoreRejected: a value that the database refuses; nothing of the transaction was kept.
        """
        with translated(), self.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            if not self.sqlite:
                connection.execute(_PATIENT_AND_DURABLE, {"timeout": str(int(statement_s * 1000))})
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the drivers' errors into ours."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise StoreRejected(_reason(error)) from error
    except (OverflowError, TypeError, UnicodeError) as error:  # what a driver raises before it asks the database
        raise StoreRejected(str(error)) from error
    except (DBAPIError, PoolTimeout) as error:
        raise StoreUnavailable(_reason(error)) from error


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own words on one line: never the statement's values, which may be what somebody wrote."""
    origin = getattr(error, "orig", None)
    return " ".join(str(origin if origin is not None else error).split("DETAIL:")[0].split())


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is not None and parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed is None or parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        msg = "SLUICE_DATABASE_URL must be sqlite:///path/to/file or postgresql://user@host/name"
        raise ValueError(msg)
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        msg = "SLUICE_DATABASE_URL must name a file: a database in memory is not durable"
        raise ValueError(msg)
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_S, "check_same_thread": False}, pool_timeout=BUSY_S
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy's interface
    connection.isolation_level = None  # the driver's own BEGIN comes late and never takes the write lock
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")  # a commit is on the disk, not only with the operating system
    connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switching a new file to WAL does not wait for other processes that do the same, so this does."""
    patience = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _postgresql(url: URL) -> Engine:
    timeouts: dict[str, Any] = {
        "connect_timeout": 3,
        "tcp_user_timeout": int(BUSY_S * 1000),
        "keepalives_idle": 30,
        "application_name": "sluice",
    }
    wanted = {name: value for name, value in timeouts.items() if name not in url.query}
    return create_engine(url, hide_parameters=True, connect_args=wanted, pool_timeout=BUSY_S, pool_pre_ping=True)
