"""Who may use the control plane: bearer keys with scopes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from gateway.store import Store
from gateway.store.keys import SCOPES

ADMIN = SCOPES[-1]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. ``name`` is safe to log and to keep in the audit; the key itself is neither."""

    key_id: str
    name: str
    scope: str

    def may(self, scope: str) -> bool:
        """Whether this identity's scope holds ``scope``."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


class Authenticator:
    """Turns a bearer key into an identity.

    Args:
        store: holds the keys that were created.
        admin_key: the first key (``SLUICE_ADMIN_KEY``, or the generated one), which works without the store.
    """

    def __init__(self, store: Store, admin_key: str | None = None) -> None:
        self._store = store
        self._admin_key = admin_key.encode() if admin_key else None

    def identify(self, token: str) -> Identity | None:
        """Whose key it is; ``None`` for a key that is unknown or revoked. Reads the store: call it off the loop.

        Raises:
            StoreUnavailable: the store is away, and the key is not the first one.
        """
        offered = token.encode("utf-8", "replace")
        if self._admin_key is not None and hmac.compare_digest(self._admin_key, offered):
            return Identity(key_id="first", name="first admin key", scope=ADMIN)
        found = self._store.keys.verify(token)
        if found is None:
            return None
        return Identity(key_id=found.id, name=found.name or found.id, scope=found.scope)
