"""The pipe transport takes what a mail server says of the client, and no more than can be stored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.commands.line import OpenLine
from gateway.commands.receive import WrongCall, receive
from gateway.core.envelope import Client, Envelope


class Pretended:
    """A line with an account for every domain, or with none at all, which keeps the envelope."""

    def __init__(self, *, empty: bool = False) -> None:
        self.directory = self.intake = self
        self._empty = empty

    def look_up(self, domain: str) -> SimpleNamespace | None:
        return None if self._empty else SimpleNamespace(id=domain, name=domain.partition(".")[0])

    def has_accounts(self) -> bool:
        return not self._empty

    async def store_pool(self, work: Any, *arguments: object) -> Any:
        return work(*arguments)

    async def take(self, envelope: Envelope) -> Envelope:
        return envelope


async def taken(
    *recipients: str,
    content: bytes = b"Subject: x\r\n\r\nx\r\n",
    sender: str = "a@b.test",
    empty: bool = False,
    **said: str,
) -> Envelope:
    line = cast("OpenLine", Pretended(empty=empty))
    made: object = await receive(line, content, sender=sender, recipients=recipients or ["s@acme.test"], **said)
    assert isinstance(made, Envelope)
    return made


async def test_a_helo_with_octets_that_are_no_utf8_can_be_stored() -> None:
    """It could not ("surrogates not allowed"): the mail server came again for ever."""
    made = await taken(client_ip="127.0.0.1", helo="a\udcffb\r\nc")
    assert made.client == Client("127.0.0.1", "ab  c")


@pytest.mark.parametrize(
    ("said", "ip"),
    [
        ("[2001:DB8::9]", "2001:db8::9"),
        ("192.0.2.9", "192.0.2.9"),
        # Postfix's ${client_address}: all its mail from IPv6 clients was put off until it came back
        ("IPv6:2001:db8::9", "2001:db8::9"),
        ("[IPv6:::1]", "::1"),
    ],
)
async def test_a_client_is_an_address(said: str, ip: str) -> None:
    assert (await taken(client_ip=said)).client == Client(ip, "")


@pytest.mark.parametrize("said", ["", "unknown", "UNKNOWN"])
async def test_mail_of_this_machine_has_no_client(said: str) -> None:
    """Postfix expands ${client_address} to nothing for it, and to `unknown` where a content filter's XFORWARD said so."""
    assert (await taken(client_ip=said, helo="here")).client is None


async def test_a_wrong_call_is_told_from_mail_that_is_refused() -> None:
    for wrong in (
        taken(client_ip="bad"),
        taken(client_ip="IPv6:192.0.2.9"),
        taken("s@acme.test", "s@globex.test"),
        taken(content=b"\n"),
        taken(sender="root"),  # a mail server that gives no whole addresses
        taken(empty=True),  # nobody was added yet, or the disk is not mounted
    ):
        with pytest.raises(WrongCall):
            await wrong


@pytest.mark.parametrize("said", ["", "<>", "MAILER-DAEMON", "mailer-daemon"])
async def test_delivery_reports_that_postfix_pipes_were_refused(said: str) -> None:
    """Its pipe(8) puts MAILER-DAEMON where the sender is null; refused, nobody would hear of it."""
    assert (await taken(sender=said)).reverse_path is None
