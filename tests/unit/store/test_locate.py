"""Which mailbox a transaction is for."""

from __future__ import annotations

import pytest

from gateway.core.place import Mailbox
from gateway.parse import parse
from gateway.store.directory import AccountEntry
from gateway.store.locate import locate


def mailbox(local: str, *, default: bool = False) -> Mailbox:
    return Mailbox(local, f"{local}@acme.test", local, local, None, None, default)


MAILBOXES = (mailbox("support", default=True), mailbox("billing"), mailbox("sales"))
ACCOUNT = AccountEntry(
    "a1", "acme", "acme.gw.test", "Acme", "en", "UTC", 0, MAILBOXES, frozenset({"mail.acme.example"}),
    frozenset({"acme.test"}), frozenset(), frozenset(),
    {m.inbound: m for m in MAILBOXES if m.inbound}, {m.address: m for m in MAILBOXES},
)  # fmt: skip


def owners(recipients: list[str], *headers: str) -> list[str]:
    content = "\r\n".join(["From: c@x.test", *headers, "", "text", ""]).encode()
    return [m.id for m in locate(ACCOUNT, recipients, parse(content)).mailboxes]


@pytest.mark.parametrize(
    ("recipient", "owner"),
    [
        ("billing@acme.gw.test", "billing"),
        ("BILLING@acme.gw.test", "billing"),
        ("billing+tag@acme.gw.test", "billing"),
        ("billing@mail.acme.example", "billing"),
        ("anything@acme.gw.test", "support"),
        ("postmaster@acme.gw.test", "support"),
        ("abuse", "support"),
    ],
)
def test_the_inbound_local_part_names_the_mailbox_and_else_the_default_has_it(recipient: str, owner: str) -> None:
    assert owners([recipient]) == [owner]


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: sales@acme.test x@acme.gw.test",
        "X-Original-To: Sales@ACME.test",
        "Delivered-To: sales@acme.test",
        "Resent-To: Sales <sales@acme.test>",
        "To: Sales <sales@acme.test>",
        "Cc: y@z.test, sales@acme.test",
    ],
)
def test_an_unclaimed_local_part_goes_by_the_headers(header: str) -> None:
    assert owners(["x@acme.gw.test"], header) == ["sales"]


def test_forwarding_headers_count_before_to() -> None:
    assert owners(["x@acme.gw.test"], "To: billing@acme.test", "Delivered-To: sales@acme.test") == ["sales"]


def test_foreign_and_odd_headers_name_nothing() -> None:
    assert owners(["x@acme.gw.test"], "Delivered-To: sales@other.test", "To: undisclosed-recipients:;", "Cc: @@,<") == [
        "support"
    ]


def test_a_claimed_local_part_counts_whatever_headers_say() -> None:
    assert owners(["billing@acme.gw.test"], "Delivered-To: sales@acme.test", "To: support@acme.test") == ["billing"]


def test_of_several_the_first_in_to_then_cc_owns_it() -> None:
    both = ["sales@acme.gw.test", "billing@acme.gw.test"]
    assert owners(both, "To: billing@acme.test, sales@acme.test") == ["billing", "sales"]
    assert owners(both, "Cc: billing@acme.test", "To: c@x.test") == ["billing", "sales"]
    assert owners(both, "Cc: billing@acme.test", "To: sales@acme.test") == ["sales", "billing"]
    assert owners(both) == ["sales", "billing"]
    assert owners([*both, "sales+x@acme.gw.test", "odd@acme.gw.test"], "To: sales@acme.test") == ["sales", "billing"]


def test_only_mail_for_postmaster_and_abuse_alone_is_exempt() -> None:
    message = parse(b"From: c@x.test\r\n\r\ntext\r\n")
    assert locate(ACCOUNT, ["postmaster@acme.gw.test", "Abuse@acme.gw.test"], message).exempt
    assert not locate(ACCOUNT, ["postmaster@acme.gw.test", "billing@acme.gw.test"], message).exempt
