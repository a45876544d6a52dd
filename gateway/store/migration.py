"""Bringing a database to this version's schema, from however many processes start at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gateway.store.database import Database
from gateway.store.errors import StoreTooNew
from gateway.store.tables import SCHEMA_HEAD

MIGRATION_S = 600.0
_LOCK = 0x51_17_1C_E0  # any number: it names our lock among a PostgreSQL server's advisory locks
_FOLDER = Path(__file__).parent / "migrations"


def schema_version(database: Database) -> str | None:
    """The database's revision; ``None`` where there is no schema yet.

    Raises:
        StoreUnavailable: the database is away.
    """
    with database.read() as connection:
        return _revision(connection)


def migrate(database: Database) -> bool:
    """Bring the schema up to date; whether anything had to be done.

    Whoever comes first does the work in one transaction; the others wait for it and find it done.

    Raises:
        StoreTooNew: the database is of a newer version; it was not touched.
        StoreUnavailable: the database is away.
    """
    if _settled(schema_version(database)):
        return False
    with database.write(statement_s=MIGRATION_S) as connection:
        if not database.sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        if _settled(_revision(connection)):
            return False
        _upgrade(connection)
    return True


def _settled(revision: str | None) -> bool:
    # A revision that is no number is none of ours: another program's database, or a version that names them otherwise.
    if revision is not None and (not revision.isdecimal() or int(revision) > int(SCHEMA_HEAD)):
        msg = (
            f"the database has schema {revision}; this version of Sluice knows {SCHEMA_HEAD} and older. "
            "Run the newer version, or point SLUICE_DATABASE_URL at another database"
        )
        raise StoreTooNew(msg)
    return revision == SCHEMA_HEAD


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    # Imported late: most starts find nothing to do, and Alembic takes a third of a second to load.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
