"""Schema migrations on both databases."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.store import Store, StoreTooNew
from gateway.store.migration import _FOLDER
from gateway.store.tables import SCHEMA_HEAD, metadata


def test_once(database_url):
    """The first call builds the schema, the second finds nothing to do."""
    store = Store(database_url)
    assert store.schema_version() is None
    assert store.migrate() is True
    assert store.migrate() is False
    assert store.schema_version() == SCHEMA_HEAD
    store.close()


def test_code_knows_the_newest_revision():
    """The number in the code is the newest migration's."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_HEAD


def test_migrations_build_what_the_code_uses(store):
    """The migrated schema is the one that the code's tables describe, indexes included."""
    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_newer_database_is_left_alone(store):
    """A database of a newer version is refused with both versions named, and not touched."""
    with store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match=rf"9999.*{SCHEMA_HEAD}"):
        store.migrate()
    assert store.schema_version() == "9999"


def test_many_processes_at_once(database_url):
    """Several processes that start together all find the schema in place, and one of them built it."""
    code = "import sys; from gateway.store import Store; print(Store(sys.argv[1]).migrate())"
    command = [sys.executable, "-c", code, database_url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    ended = [process.communicate(timeout=60) for process in started]
    assert [error for _, error in ended] == [b""] * 4
    assert sorted(out.strip() for out, _ in ended) == [b"False", b"False", b"False", b"True"]
