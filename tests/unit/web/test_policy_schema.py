"""The schema of policies, for editors: anybody may read it."""

from __future__ import annotations

from gateway.policy.loader import schema
from tests.unit.web.conftest import Api, problem

PATH = "/api/v1/policy.schema.json"


async def test_it_is_served_without_a_key(api: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = await api.http.get(PATH, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json() == schema()


async def test_it_is_only_read(api: Api) -> None:
    problem(await api.http.post(PATH), 405)
    assert (await api.http.head(PATH)).status_code == 200
