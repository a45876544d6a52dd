"""The policy as JSON: read it, replace it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from filters.policy import Policy
from gateway.admin.access import Admin, Reader
from gateway.admin.bodies import read_text
from gateway.admin.errors import ApiError
from gateway.admin.parts import Parts, PartsOf
from gateway.sources import active_policy, policy_base

router = APIRouter(prefix="/api/v1/policy", tags=["policy"])

MAX_POLICY = 1024 * 1024
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string", "description": "The policy, as in SLUICE_POLICY."}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": 'The policy as JSON (`sluice policy schema`), or {"yaml": "…"} as GET gives it.',
                }
            },
        },
    }
}


@router.get("")
def get_policy(parts: PartsOf, _: Reader) -> JSONResponse:
    """The policy in force: as it was written, with every default filled in, and where it came from."""
    return JSONResponse(_shown(parts))


@router.put("", openapi_extra=_BODY)
async def put_policy(request: Request, parts: PartsOf, identity: Admin) -> JSONResponse:
    """Replace the policy. It is checked first; on return it is stored, and every worker takes it within two seconds."""
    text = _unwrapped(await read_text(request, MAX_POLICY))
    policy = Policy.parse_yaml(text, "policy")
    if policy.classifier is not None:
        await parts.moderator.check(policy, text, "policy")
    revision = await asyncio.to_thread(_store, parts, text, policy.version, identity.name)
    ruleset = await parts.moderator.refresh()
    return JSONResponse({"version": policy.version, "ruleset": ruleset.version, "revision": revision})


@router.get("/history")
def get_history(parts: PartsOf, _: Reader) -> JSONResponse:
    """The policies that were set here, newest first."""
    items = [
        {
            "id": record.id,
            "version": record.version,
            "author": record.author,
            "created_at": record.created_at.isoformat(),
            "active": record.active,
            "yaml": record.body,
        }
        for record in parts.store.policies.history()
    ]
    return JSONResponse({"items": items})


def _shown(parts: Parts) -> dict[str, Any]:
    source = active_policy(parts.store, parts.policy_file)
    policy = source.parse()
    return {
        "version": policy.version,
        "ruleset": parts.moderator.current.version,
        "origin": source.origin,
        "name": source.name,
        "yaml": source.body,
        "policy": policy.filled(),
        "problems": list(parts.moderator.problems),
    }


def _store(parts: Parts, text: str, version: str, author: str) -> int:
    revision = parts.store.policies.put(text, version, author, policy_base(parts.policy_file))
    parts.store.audit.append(author, "policy.put", version, {"revision": revision})
    return revision


def _unwrapped(text: str) -> str:
    """The policy's text out of ``{"yaml": "…"}``; every other JSON is YAML as it stands."""
    if not text.strip():
        raise ApiError(400, "the body is empty: send the policy as YAML or JSON", code="invalid_policy")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(values, dict) and list(values) == ["yaml"] and isinstance(values["yaml"], str):
        return str(values["yaml"])
    return text
