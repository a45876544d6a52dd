"""Who may call an endpoint."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.admin.errors import ApiError
from gateway.admin.parts import Parts, PartsOf
from gateway.auth import Identity

COOKIE = "sluice_session"

_bearer = HTTPBearer(auto_error=False, description="A key of the control plane (`sluice key create`).")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def _identity(request: Request, parts: PartsOf, credentials: _Credentials) -> Identity:
    found = None
    if credentials is not None:
        found = parts.authenticator.identify(credentials.credentials)
    elif request.method in {"GET", "HEAD"}:
        # A page's own live feed can send no header. Changes need it, so no other site can make a browser do one.
        found = session_identity(request, parts)
    if found is None:
        raise ApiError(
            401,
            "missing or unknown key: send 'Authorization: Bearer <key>' with a key that is in force",
            code="invalid_api_key",
            headers={"www-authenticate": "Bearer"},
        )
    return found


def session_identity(request: Request, parts: Parts) -> Identity | None:
    """Whoever logged in with this browser."""
    session = request.cookies.get(COOKIE)
    return None if session is None else parts.authenticator.resume(session)


Known = Annotated[Identity, Depends(_identity)]


def _needs(identity: Identity, scope: str) -> Identity:
    if not identity.may(scope):
        msg = f"this key has scope {identity.scope!r}; this needs {scope!r}: create a key with --scope {scope}"
        raise ApiError(403, msg, code="insufficient_scope")
    return identity


def _reader(identity: Known) -> Identity:
    return _needs(identity, "read")


def _reviewer(identity: Known) -> Identity:
    return _needs(identity, "review")


def _admin(identity: Known) -> Identity:
    return _needs(identity, "admin")


Reader = Annotated[Identity, Depends(_reader)]
Reviewer = Annotated[Identity, Depends(_reviewer)]
Admin = Annotated[Identity, Depends(_admin)]
