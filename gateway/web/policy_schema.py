"""`/api/v1/policy.schema.json`: what editors check a policy by. No key, and nothing of any account."""

from __future__ import annotations

import json
from functools import cache

from fastapi import APIRouter, Response

from gateway.policy.loader import schema
from gateway.web.access import API

router = APIRouter(include_in_schema=False)


@router.get(f"{API}/policy.schema.json")
async def policy_schema() -> Response:
    """The same for everybody: it names what the language has, no team and no mailbox."""
    return Response(_written(), media_type="application/schema+json", headers={"Cache-Control": "public, max-age=3600"})


@cache
def _written() -> bytes:
    return json.dumps(schema(), ensure_ascii=False).encode()
