"""The self-check of a peer: that it takes good mail, refuses a virus, and really makes the checks it is measured with."""

from __future__ import annotations

import asyncio

from bench.client import Client, Reply, dotted
from bench.messages import altered, make, with_virus
from bench.peers.peer import Peer
from bench.services import Services


class NotChecking(Exception):
    """A peer does not do what it is measured for; its rate would say nothing."""


def check(peer: Peer, services: Services, source: str) -> None:
    """Sends four messages. Raises NotChecking."""
    before = services.scans()
    good, broken, virus, big = asyncio.run(_send(peer, services, source))
    wrong = [
        f"{name} was answered {reply.line!r}"
        for name, reply, accepted in (
            ("a good message", good, True),
            ("one with a broken signature", broken, True),
            ("the EICAR test file", virus, False),
            ("a message of 10 MB", big, True),
        )
        if reply.accepted != accepted
    ]
    if not virus.line.startswith("5"):
        wrong.append(f"the EICAR test file was not refused for good: {virus.line!r}")
    if (scans := services.scans() - before) < 4:
        wrong.append(f"clamd looked at {scans} of 4 messages")
    wrong += [f"no trace of {what} in its log and queue" for what in peer.unproven()]
    if wrong:
        raise NotChecking(f"{peer.name}: " + "; ".join(wrong))


async def _send(peer: Peer, services: Services, source: str) -> list[Reply]:
    key = services.key
    contents = [
        make("small", "check-good", key, to=peer.recipient),
        altered(make("small", "check-broken", key, to=peer.recipient)),
        with_virus("check-virus", key, to=peer.recipient),
        make("large", "check-big", key, to=peer.recipient),
    ]
    client = await Client.connect("127.0.0.1", peer.port, source)
    replies = [await client.send(dotted(content), peer.recipient) for content in contents]
    await client.quit()
    return replies
