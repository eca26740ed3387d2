from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import DnsFailure
from gateway.notify.relay_hosts import relay_addresses


class Zone:
    """A resolver that knows one relay."""

    async def txt(self, _name: str) -> tuple[bytes, ...]:
        raise AssertionError("no text is asked for")

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        if name == "dead.test":
            raise DnsFailure("nobody answers")
        known = {
            ("relay.test", "A"): ("192.0.2.25",),
            ("relay.test", "AAAA"): ("2001:db8::25",),
            ("here.test", "A"): ("127.0.0.2",),
        }
        return known.get((name, kind), ())

    def known(self, _name: str, _kind: str) -> None:
        return None


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        (["smtp+starttls://user:p%40ss@relay.test:587"], {"192.0.2.25", "2001:db8::25"}),
        (["smtp://198.51.100.1:25", "smtps://u:p@[2001:db8::1]:465"], {"198.51.100.1", "2001:db8::1"}),
        (["smtp://127.0.0.1:25", "smtp://[::1]:25", "smtp://here.test"], set()),
        (["file:./out", "mx:", "smtp://dead.test", "smtp://[broken"], set()),
        ([], set()),
    ],
)
async def test_the_addresses_of_relays_are_those_others_can_see(urls: list[str], found: set[str]) -> None:
    assert await relay_addresses(urls, Zone()) == found
