"""Keys and sessions."""

import time

import pytest

from gateway.auth import SESSION_S, Authenticator, Identity
from gateway.store import Store, StoreUnavailable

FIRST = "the first admin key"


def test_first_key(sqlite_store):
    """The first key is an admin's, whatever the store holds; without one nothing but stored keys counts."""
    assert Authenticator(sqlite_store, FIRST).identify(FIRST).scope == "admin"
    for key in ("", FIRST[:-1], FIRST + " ", "é", "\ud800"):
        assert Authenticator(sqlite_store, FIRST).identify(key) is None
    assert Authenticator(sqlite_store).identify("") is None


def test_stored_keys(sqlite_store):
    """A created key is known until it is revoked, under its name."""
    record, key = sqlite_store.keys.create("review", "Wang")
    authenticator = Authenticator(sqlite_store, FIRST)
    assert authenticator.identify(key) == Identity(record.id, "Wang", "review")
    assert sqlite_store.keys.revoke(record.id)
    assert authenticator.identify(key) is None


def test_scopes_hold_the_weaker():
    """A scope holds those before it: read, review, admin."""
    may = {
        scope: [Identity("", "", scope).may(other) for other in ("read", "review", "admin")]
        for scope in ("read", "review", "admin")
    }
    assert may == {"read": [True, False, False], "review": [True, True, False], "admin": [True, True, True]}


def test_sessions(sqlite_store, monkeypatch):
    """A session stands for its key until it ends, the key is revoked, or the first key changes; none can be forged."""
    authenticator = Authenticator(sqlite_store, FIRST)
    record, key = sqlite_store.keys.create("read")
    session = authenticator.open_session(authenticator.identify(key))
    assert key not in session
    assert authenticator.resume(session) == authenticator.identify(key)
    first = authenticator.open_session(authenticator.identify(FIRST))
    assert authenticator.resume(first).scope == "admin"
    assert Authenticator(sqlite_store, FIRST).resume(first).scope == "admin"
    assert Authenticator(sqlite_store, "another first key").resume(first) is None
    for forged in ("", ".", "first.9999999999.", session.replace(record.id, "first"), first[:-1], first + "é"):
        assert authenticator.resume(forged) is None
    sqlite_store.keys.revoke(record.id)
    assert authenticator.resume(session) is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_S + 1)
    assert authenticator.resume(first) is None


def test_store_away(tmp_path):
    """With the store away the first key still works; of the others nobody can tell, and that is said."""
    authenticator = Authenticator(Store(f"sqlite:///{tmp_path}/none/sluice.db"), FIRST)
    assert authenticator.identify(FIRST).scope == "admin"
    with pytest.raises(StoreUnavailable):
        authenticator.identify("slk_other")
