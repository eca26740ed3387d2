"""Memory of all our processes: python -m bench.memory [--messages 100].

Large messages all at once (on the complete line), 4 MB of empty lines against 4 MB of text, 50 clients that stall in the
middle of 25 MB.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from bench.alone import SOURCES, gateway, load, refusals
from bench.client import Client, dotted
from bench.peers.ours import Ours
from bench.processes import Memory, cpu_seconds, watch

STALLED = 50
STALLED_BYTES = 12_500_000
LINES_BYTES = 4_000_000


def at_rest(peer: Ours) -> Memory:
    memory = Memory()
    memory.look(peer.own())
    return memory


def _say(what: str, rest: Memory, memory: Memory, more: str = "") -> None:
    print(
        f"{what}: largest process {memory.largest:.0f} MB (at rest {rest.largest:.0f}), "
        f"all {memory.together:.0f} MB (at rest {rest.together:.0f}){more}"
    )


def large_at_once(count: int) -> None:
    with gateway(checks=True) as peer:
        load(peer, "small", 10, 5, "warm")
        rest = at_rest(peer)
        with watch(peer.own()) as memory:
            taken = load(peer, "large", count, 1, "large")
        more = f"; {taken.accepted} accepted in {taken.seconds:.1f} s{refusals(taken)}"
        _say(f"{count} messages of 10 MB at once", rest, memory, more)


def lines() -> None:
    head = b"From: <a@sender.example>\r\nSubject: lines\r\nMessage-ID: <%s@sender.example>\r\n\r\n"
    shapes = {"text": b"a line of text, and then the next line, and more of them\r\n", "empty lines": b"\r\n"}
    for what, line in shapes.items():
        with gateway(checks=True) as peer:
            load(peer, "small", 10, 5, "warm")
            rest, used = at_rest(peer), cpu_seconds(peer.own())
            content = head % what.encode().replace(b" ", b"-") + line * (LINES_BYTES // len(line))
            with watch(peer.own(), 0.02) as memory:
                reply = asyncio.run(_send(peer, content))
            used = 1000 * (cpu_seconds(peer.own()) - used)
            _say(f"4 MB of {what}", rest, memory, f", {used:.0f} ms CPU; {reply}")


async def _send(peer: Ours, content: bytes) -> str:
    client = await Client.connect("127.0.0.1", peer.port, SOURCES[0])
    reply = await client.send(dotted(content), peer.recipient)
    await client.quit()
    return reply.line


def stalled() -> None:
    with gateway() as peer:
        load(peer, "small", 10, 5, "warm")
        rest = at_rest(peer)
        with watch(peer.own()) as memory:
            still = asyncio.run(_stall(peer))
        each, worst = ((m.together - rest.together) / STALLED for m in (still, memory))
        more = f": {each:.2f} MB a client while they stall, {worst:.2f} MB at worst"
        _say(f"{STALLED} clients stalled after 12.5 of 25 MB", rest, memory, more)


async def _stall(peer: Ours) -> Memory:
    """All send half of their content, then say nothing for two seconds: the memory taken at the end of these."""
    clients = [await Client.connect("127.0.0.1", peer.port, SOURCES[i % 2]) for i in range(STALLED)]
    block = b"x" * 76 + b"\r\n"
    half = b"Subject: stalled\r\n\r\n" + block * (STALLED_BYTES // len(block))

    async def stall(client: Client) -> None:
        if refusal := await client.begin(peer.recipient):
            raise ConnectionAbortedError(refusal)
        await client.write(half)

    await asyncio.gather(*(stall(client) for client in clients))
    await asyncio.sleep(2)
    still = at_rest(peer)
    for client in clients:
        client.close()
    return still


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--only", choices=("lines", "stalled", "large"))
    given = parser.parse_args()
    measures: dict[str, Callable[[], None]] = {
        "lines": lines,
        "stalled": stalled,
        "large": lambda: large_at_once(given.messages),
    }
    for name, measure in measures.items():
        if given.only in (None, name):
            measure()


if __name__ == "__main__":
    main()
