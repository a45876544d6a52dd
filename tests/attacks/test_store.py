"""Databases that are not ours to touch."""

import sqlite3

import pytest

from gateway.store import Store, StoreTooNew


@pytest.mark.parametrize("revision", ["9999", "a1b2c3d4e5f6"])
def test_a_strange_schema_is_left_alone(tmp_path, revision):
    """A database whose schema another version or program made is an error that says so, and is not touched."""
    path = tmp_path / "sluice.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    again = Store(f"sqlite:///{path}")
    with pytest.raises(StoreTooNew, match=revision):
        again.migrate()
    again.close()
