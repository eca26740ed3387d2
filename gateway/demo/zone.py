"""The example world comes to be: its keys, and a zone file that is the whole DNS of the demo."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from gateway.core.errors import InvalidInput
from gateway.demo.world import COMPANY, CUSTOMER, NEWCOMER, SELECTOR, SPOOFER, World
from gateway.notify.sign import new_key, public_record


def make(folder: Path) -> World:
    """Write the zone and the keys of the example domains. Raises InvalidInput on a machine with one loopback address."""
    keys = {domain: new_key()[0] for domain in (CUSTOMER, SPOOFER)}
    world = World(_forwarder_address(), "127.0.0.1", keys)
    (folder / "zone.txt").write_text(_zone(world), "ascii")
    stored = {"forwarder_ip": world.forwarder_ip, "keys": {d: k.decode("ascii") for d, k in keys.items()}}
    (folder / "world.json").write_text(json.dumps(stored), "ascii")
    return world


def _forwarder_address() -> str:
    """A second loopback address: Linux has all of 127/8, macOS only ::1 beside 127.0.0.1."""
    for family, address in ((socket.AF_INET, "127.0.0.5"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.bind((address, 0))
        except OSError:
            continue
        return address
    raise InvalidInput("the demo needs a second loopback address (127.0.0.5 or ::1), and this machine has neither")


def _zone(world: World) -> str:
    """The whole DNS of the demo: names that are not here do not exist, so that nothing waits for a name server."""
    mechanism = "ip6" if ":" in world.forwarder_ip else "ip4"
    lines = [
        "$TTL 60",
        "$ORIGIN .",
        "@ SOA ns.gateway.localhost. hostmaster.gateway.localhost. 1 3600 600 86400 60",
        "@ NS ns.gateway.localhost.",
        f'{COMPANY}. TXT "v=spf1 {mechanism}:{world.forwarder_ip} -all"',
    ]
    for domain in (CUSTOMER, SPOOFER, NEWCOMER):
        addresses = "ip4:192.0.2.10" if domain == CUSTOMER else f"ip4:{world.others_ip}"
        lines.append(f'{domain}. TXT "v=spf1 {addresses} -all"')
        lines.append(f'_dmarc.{domain}. TXT "v=DMARC1; p=reject"')
    for domain, key in world.keys.items():
        lines.append(f"{SELECTOR}._domainkey.{domain}. TXT {_quoted(public_record(key))}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return " ".join(f'"{text[i : i + 200]}"' for i in range(0, len(text), 200))
