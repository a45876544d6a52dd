"""Databases to test on, SQLite in a folder and a real PostgreSQL; and the command line."""

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.crypto import Cipher
from gateway.store import Store

SECRET = "a secret for tests only"


@pytest.fixture
def run_sluice():
    """A function that runs a command; it must end with ``code``, and never with a traceback."""

    def run(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return run


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
