"""`/mailboxes`: checks are begun and read with a key of scope admin."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from gateway.store.tables import ChallengeRow, Outbox
from gateway.store.tables.columns import columns
from tests.unit.web.conftest import Api, problem

CHECK = "mailboxes/support@globex.test/check"


def challenges(api: Api) -> int:
    with api.world.ground.store.read() as connection:
        return connection.execute(select(func.count()).select_from(ChallengeRow)).scalar_one()


@pytest.fixture
def admin(api: Api) -> str:
    """Of the account whose outbox nobody counts."""
    api.account = "globex"
    return api.world.new_key("globex", "admin")[1]


async def test_a_check_is_begun_once_and_gone_on_with(api: Api, admin: str) -> None:
    first = (await api(CHECK, method="POST", key=admin)).json()
    again = (await api(CHECK, method="POST", key=admin)).json()
    read = (await api(CHECK, key=admin)).json()

    assert first["check"]["state"] == "open"
    assert first["check"]["id"] == again["check"]["id"] == read["check"]["id"]
    assert (first["mailbox"], first["inbound_address"]) == ("support@globex.test", "support@globex.gw.test")
    assert [r["code"] for r in read["check"]["remarks"]] == ["waits-for-serve"]


async def test_another_challenge_is_sent_when_asked_for(api: Api, admin: str) -> None:
    first = (await api(CHECK, method="POST", key=admin)).json()["check"]["id"]
    anew = (await api(f"{CHECK}?anew=true", method="POST", key=admin)).json()["check"]["id"]
    assert anew != first


async def test_a_challenge_is_seen_among_the_notifications_without_a_ticket(api: Api, admin: str) -> None:
    begun = (await api(CHECK, method="POST", key=admin)).json()["check"]["id"]
    (row,) = [n for n in await api.items("outbox?limit=200") if n["id"] == begun]
    assert (row["kind"], row["ticket"], row["recipient"]) == ("challenge", None, "support@globex.test")


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_a_key_that_may_not_administer_sends_nothing_and_reads_no_code(api: Api, admin: str, scope: str) -> None:
    """Who has Google's code and link can confirm a forwarding."""
    assert admin
    before = challenges(api)
    key = api.world.new_key("globex", scope)[1]
    for method in ("GET", "POST"):
        problem(await api(CHECK, method=method, key=key), 403)
    assert challenges(api) == before


async def test_the_token_is_told_to_nobody(api: Api, admin: str) -> None:
    """Whoever has it could answer in the forwarder's place."""
    begun = await api(CHECK, method="POST", key=admin)
    c, o = columns(ChallengeRow), columns(Outbox)
    with api.world.ground.store.read() as connection:
        tokens = connection.execute(select(c.token).join_from(ChallengeRow, Outbox, c.id == o.id)).scalars().all()
    for answer in (begun, await api(CHECK, key=admin)):
        assert not [t for t in tokens if t in answer.text]


@pytest.mark.parametrize(("address", "status"), [("nobody@globex.test", 404), ("support@acme.test", 404), ("%00", 404)])
async def test_a_mailbox_that_is_not_the_accounts_is_not_there(api: Api, admin: str, address: str, status: int) -> None:
    for method in ("GET", "POST"):
        problem(await api(f"mailboxes/{address}/check", method=method, key=admin), status)


async def test_what_nothing_has_to_forward_is_not_checked(api: Api, admin: str) -> None:
    found = problem(await api("mailboxes/support@globex.gw.test/check", method="POST", key=admin), 409)
    assert "an address of the gateway itself" in found["detail"]
