"""Past mail through another policy: python -m bench.replay [--messages 10000] [--rules 100].

One message is accepted as mail is, and its row copied with new ids: a replay reads rows, and nothing of their content.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from sqlalchemy import insert, select

from bench.places import run_folder
from bench.policy_decide import SHAPES, word
from gateway.commands.replay import Replay, replay
from gateway.core.clock import new_id, now
from gateway.ground import Ground
from gateway.store import named
from gateway.store.tables import MessageRow
from tests.servers.inprocess import fresh_ground, make_seed, numbered, running

BODY_CHARACTERS = 5000
AT_MOST_SECONDS = 60


def policy(rules: int, chance: random.Random) -> str:
    """Rules of every shape of `policy_decide`, and one that decides otherwise than the account's own."""
    shapes = list(SHAPES.values())
    lines = [
        f"- {{if: {{{shapes[n % len(shapes)](word(chance), word(chance))}}}, then: [{{tag: a}}]}}" for n in range(rules)
    ]
    return "\n".join(["rules:", *lines, "- {then: [{route: finance}]}"])


async def one_message(ground: Ground, chance: random.Random) -> None:
    text = " ".join(word(chance) for _ in range(BODY_CHARACTERS // 9))
    async with running(ground) as gateway, gateway.client() as client:
        reply = await client.mail(numbered("replayed", text=text))
        assert reply.code == 250, reply


def copy(ground: Ground, account_id: str, messages: int) -> None:
    table = MessageRow.__table__
    with ground.store.write() as connection:
        row = connection.execute(select(table).where(table.c.account_id == account_id)).mappings().one()
        rows = [dict(row) | {"id": new_id(), "trace_id": new_id()} for _ in range(messages - 1)]
        for start in range(0, len(rows), 500):
            connection.execute(insert(table), rows[start : start + 500])


def timed(ground: Ground, account_id: str, text: str) -> tuple[float, Replay]:
    started = perf_counter()
    found = replay(ground.store, account_id, text, now() - timedelta(days=1))
    return perf_counter() - started, found


def measure(folder: Path, messages: int, rules: int) -> None:
    chance = random.Random(1)
    seed = folder / "seed"
    seed.mkdir()
    make_seed(seed)
    ground = fresh_ground(seed, folder / "data")
    asyncio.run(one_message(ground, chance))
    ground = fresh_ground(folder / "data", folder / "again")
    try:
        account_id = named.account_id(ground.store, "acme")
        copy(ground, account_id, messages)
        took, found = timed(ground, account_id, policy(rules, chance))
    finally:
        ground.close()
    assert found.compared == len(found.changed) == messages, (found.compared, len(found.changed))
    verdict = "" if took < AT_MOST_SECONDS else f" - SLOWER than the {AT_MOST_SECONDS} s that are promised for 10,000"
    print(f"{messages:,} messages through {rules + 1} rules: {took:.1f} s, {messages / took:,.0f} messages/s{verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.replay", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=100)
    given = parser.parse_args()
    with run_folder() as folder:
        measure(folder, given.messages, given.rules)


if __name__ == "__main__":
    main()
