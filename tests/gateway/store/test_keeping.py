"""Policies, keys and audit on both databases."""

import hashlib

import pytest
from sqlalchemy import text


def test_policies(store):
    """The policy that was put last is active; the others are history."""
    assert store.policies.active() is None
    store.policies.put("version: 1", "v1", "Wang", "base")
    store.policies.put("mode: monitor", "v2", "Li")
    active = store.policies.active()
    assert (active.body, active.version, active.author, active.base) == ("mode: monitor", "v2", "Li", "")
    assert [(record.version, record.active) for record in store.policies.history()] == [("v2", True), ("v1", False)]


def test_keys(store):
    """A key is known by its digest alone, until it is revoked."""
    record, key = store.keys.create("review", "王")
    assert store.keys.verify(key) == record
    assert store.keys.get(record.id) == record
    assert store.keys.verify(key + "x") is None
    assert store.keys.verify("") is None
    with store._database.read() as connection:
        kept = [str(row) for row in connection.execute(text("SELECT * FROM api_keys"))]
    assert not any(key in row for row in kept)
    assert hashlib.sha256(key.encode()).hexdigest() in kept[0]
    assert store.keys.revoke(record.id)
    assert not store.keys.revoke(record.id)
    assert store.keys.verify(key) is None
    assert store.keys.get(record.id) is None
    assert [found.revoked_at is None for found in store.keys.list()] == [False]


def test_unknown_scope(store):
    """A scope that does not exist is refused, naming those that do."""
    with pytest.raises(ValueError, match="read, review, admin"):
        store.keys.create("root")


def test_audit(store):
    """Entries come back newest first."""
    store.audit.append("Wang", "policy.put", "v1", {"revision": 3})
    store.audit.append("Li", "terms.delete")
    assert [(entry.actor, entry.action) for entry in store.audit.latest()] == [
        ("Li", "terms.delete"),
        ("Wang", "policy.put"),
    ]
    assert store.audit.latest()[1].detail == {"revision": 3}
