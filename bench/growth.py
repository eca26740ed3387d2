"""Accepting and listing as the store grows: python -m bench.growth [--messages 10000] [--steps 4]."""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
from time import perf_counter

from bench.alone import fetch, gateway, load, refusals
from bench.peers.ours import Ours
from gateway.store.changes import add_key
from gateway.web.security import key_digest

LISTS = ("messages", "tickets")
PAGES = 20
PROBE = (10, 30)


def page_milliseconds(peer: Ours, kind: str, key: str) -> tuple[float, float]:
    """The median of the newest page, and of pages deeper and deeper into the list."""
    path = f"/api/v1/accounts/acme/{kind}"
    newest, deeper, cursor = [], [], ""
    for _ in range(PAGES):
        newest.append(_timed(peer, path, key)[0])
        took, page = _timed(peer, f"{path}?cursor={cursor}" if cursor else path, key)
        deeper.append(took)
        cursor = page["next_cursor"] or ""
    return statistics.median(newest), statistics.median(deeper)


def _timed(peer: Ours, path: str, key: str) -> tuple[float, dict[str, str]]:
    started = perf_counter()
    page = json.loads(fetch(peer, path, key))
    return 1000 * (perf_counter() - started), page


def probe(peer: Ours, stored: int, key: str) -> None:
    taken = load(peer, "small", *PROBE, f"probe-{stored}")
    pages = ", ".join(
        f"{kind} {newest:.1f} / {deeper:.1f} ms"
        for kind in LISTS
        for newest, deeper in [page_milliseconds(peer, kind, key)]
    )
    print(
        f"{stored:>9,} stored: {taken.rate:.0f}/s, p50 {taken.percentile(50):.1f}, p99 {taken.percentile(99):.1f} ms; "
        f"pages newest / deeper: {pages}{refusals(taken)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--peer", default="ours", help="ours or ours-postgres")
    given = parser.parse_args()
    with gateway(given.peer) as peer:
        key = f"gw_{secrets.token_urlsafe(32)}"
        add_key(peer.gateway.store, peer.gateway.account_ids["acme"], scope="read", digest=key_digest(key))
        load(peer, "small", 10, 10, "warm")
        stored = 100
        probe(peer, stored, key)
        for step in range(given.steps):
            more = given.messages * (step + 1) // given.steps - stored - PROBE[0] * PROBE[1]
            stored += PROBE[0] * PROBE[1]
            for part in range(0, max(0, more), 5000):
                stored += load(peer, "small", 10, min(5000, more - part) // 10, f"fill-{step}-{part}").accepted
            probe(peer, stored, key)


if __name__ == "__main__":
    main()
