"""Which account a forward-path is for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.outcome import Reason
from gateway.smtp.recipients import Recipient, Recipients

ACCOUNTS = {"acme.gw.test": "acme", "mail.acme.example": "acme", "system.gw.test": "system"}


class FakeDirectory:
    """Knows what is cached and what only the database has; counts the questions to the database."""

    def __init__(self, cached: set[str], accounts: dict[str, str] = ACCOUNTS) -> None:
        self.known, self.accounts, self.asked = cached, accounts, 0

    def is_system_domain(self, domain: str) -> bool:
        return domain in ("gw.test", "mx.gw.test")

    def is_below_gateway_domain(self, domain: str) -> bool:
        return domain.endswith(".gw.test")

    def cached(self, domain: str) -> str | None:
        return self.accounts.get(domain) if domain in self.known else None

    def look_up(self, domain: str) -> str | None:
        self.asked += 1
        return self.accounts.get(domain)

    def has_accounts(self) -> bool:
        return bool(self.accounts.keys() - {"system.gw.test"})

    def account(self, name: str) -> str | None:
        return self.look_up(f"{name}.gw.test")


def judged(path: str, directory: Any = None) -> Recipient | Reason:
    async def offload(function: Any, *arguments: str) -> Any:
        return function(*arguments)

    return asyncio.run(Recipients(directory or FakeDirectory(set()), offload).judge(path))


@pytest.mark.parametrize(
    ("path", "account", "address"),
    [
        ("x@acme.gw.test", "acme", "x@acme.gw.test"),
        ("X.y@ACME.gw.test.", "acme", "X.y@acme.gw.test"),
        ("x@mail.acme.example", "acme", "x@mail.acme.example"),
        ("postmaster", "system", "postmaster"),
        ("ABUSE", "system", "abuse"),
        ("Postmaster@gw.test", "system", "Postmaster@gw.test"),
        ("abuse@acme.gw.test", "acme", "abuse@acme.gw.test"),
    ],
)
def test_paths_of_ours_are_taken(path: str, account: str, address: str) -> None:
    assert judged(path) == Recipient(account, address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x@gw.test", Reason.UNKNOWN_RECIPIENT),
        ("x@nobody.gw.test", Reason.UNKNOWN_RECIPIENT),
        ("x@other.test", Reason.RELAYING_DENIED),
        ("x%y@acme.gw.test", Reason.RELAYING_DENIED),
        ('"x@y"@acme.gw.test', Reason.RELAYING_DENIED),
        ("y!x@acme.gw.test", Reason.RELAYING_DENIED),
        ('"y:x"@acme.gw.test', Reason.RELAYING_DENIED),
        ("webmaster", Reason.BAD_RECIPIENT),
        ("x@@acme.gw.test", Reason.BAD_RECIPIENT),
    ],
)
def test_others_are_not(path: str, reason: Reason) -> None:
    assert judged(path) is reason


def test_a_hit_asks_no_database_and_a_miss_asks_before_it_refuses() -> None:
    directory = FakeDirectory({"acme.gw.test"})
    assert isinstance(judged("x@acme.gw.test", directory), Recipient)
    assert directory.asked == 0
    assert isinstance(judged("x@mail.acme.example", directory), Recipient)
    assert directory.asked == 1


def test_without_an_operators_account_its_addresses_are_unknown() -> None:
    assert judged("postmaster", FakeDirectory(set(), {})) is Reason.UNKNOWN_RECIPIENT


@pytest.mark.parametrize("path", ["x@acme.gw.test", "x@mail.acme.example", "x@elsewhere.test"])
def test_without_any_account_nothing_is_refused_for_good(path: str) -> None:
    """A disk that was not mounted: `serve` began an empty database in its place, and everybody's mail was refused with 550."""
    assert judged(path, FakeDirectory(set(), {"system.gw.test": "system"})) is Reason.NO_ACCOUNTS
    assert judged("postmaster", FakeDirectory(set(), {"system.gw.test": "system"})) == Recipient("system", "postmaster")  # type: ignore[arg-type]
