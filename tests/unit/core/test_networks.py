"""Addresses and the networks an operator names."""

from __future__ import annotations

import pytest

from gateway.core.networks import in_networks


@pytest.mark.parametrize(
    ("ip", "networks", "is_in"),
    [
        ("127.0.0.1", ("127.0.0.0/8",), True),
        ("127.0.0.1", ("127.0.0.1",), True),
        ("127.0.0.1", ("127.0.0.2", "::1"), False),
        ("::1", ("127.0.0.0/8", "::1/128"), True),
        ("10.0.0.9", ("10.0.0.5/24",), True),
        ("::ffff:10.0.0.9", ("10.0.0.0/24",), True),
        ("fe80::9%eth0", ("fe80::/64",), True),
        ("192.0.2.1", ("::/0",), False),
        ("192.0.2.1", (), False),
    ],
)
def test_an_address_is_in_a_network(ip: str, networks: tuple[str, ...], is_in: bool) -> None:
    assert in_networks(ip, networks) is is_in


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        in_networks("mx.example", ("::/0",))
