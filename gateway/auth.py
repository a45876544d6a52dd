"""Who may use the control plane: bearer keys with scopes, and the sessions that browsers get for them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from gateway.store import Store
from gateway.store.keys import SCOPES, KeyRecord

SESSION_S = 12 * 3600

_FIRST = "first"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. ``name`` is safe to log and to keep in the audit; the key itself is neither."""

    key_id: str
    name: str
    scope: str

    def may(self, scope: str) -> bool:
        """Whether this identity's scope holds ``scope``."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


_FIRST_IDENTITY = Identity(key_id=_FIRST, name="first admin key", scope=SCOPES[-1])


class Authenticator:
    """Turns a bearer key, or the session that it was traded for, into an identity. Call it off the event loop.

    Args:
        store: holds the keys that were created.
        admin_key: the first key (``SLUICE_ADMIN_KEY``, or the generated one), which works without the store.
            Another first key ends every session.
    """

    def __init__(self, store: Store, admin_key: str | None = None) -> None:
        self._store = store
        self._admin_key = admin_key.encode() if admin_key else None
        secret = self._admin_key or secrets.token_bytes(32)
        self._session_key = hmac.digest(secret, b"sluice session v1", hashlib.sha256)

    def identify(self, token: str) -> Identity | None:
        """Whose key it is; ``None`` for a key that is unknown or revoked.

        Raises:
            StoreUnavailable: the store is away, and the key is not the first one.
        """
        if self._admin_key is not None and hmac.compare_digest(self._admin_key, token.encode("utf-8", "replace")):
            return _FIRST_IDENTITY
        return _identity(self._store.keys.verify(token))

    def open_session(self, identity: Identity) -> str:
        """What a browser keeps instead of the key: worthless after ``SESSION_S``, or once the key is revoked."""
        claim = f"{identity.key_id}.{int(time.time()) + SESSION_S}"
        return f"{claim}.{self.tag(claim)}"

    def resume(self, session: str) -> Identity | None:
        """Whose session it is; ``None`` where it is not ours, has ended, or its key was revoked.

        Raises:
            StoreUnavailable: the store is away, and the session is not of the first key.
        """
        claim, _, tag = session.rpartition(".")
        if not claim or not hmac.compare_digest(self.tag(claim).encode(), tag.encode("utf-8", "replace")):
            return None
        key_id, _, ends = claim.partition(".")
        if int(ends) < time.time():
            return None
        return _FIRST_IDENTITY if key_id == _FIRST else _identity(self._store.keys.get(key_id))

    def tag(self, message: str) -> str:
        """A signature that only this control plane can make: of sessions, and of the forms shown in them."""
        return hmac.digest(self._session_key, message.encode("utf-8", "replace"), hashlib.sha256).hex()


def _identity(found: KeyRecord | None) -> Identity | None:
    return None if found is None else Identity(key_id=found.id, name=found.name or found.id, scope=found.scope)
