"""What a small message waits while ten of 10 MB are being taken: python -m bench.fairness [--messages 3]."""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor

from bench.alone import SOURCES, figure, gateway, load, refusals
from bench.client import Client, dotted
from bench.figures import percentile
from bench.load import Taken
from bench.messages import make
from bench.peers.ours import Ours

STREAMS = 10
PAUSE_SECONDS = 0.05


async def measure(peer: Ours, each: int) -> tuple[Taken, list[float], float]:
    """What came of the large ones, the seconds of each small one, and the worst loop lag seen meanwhile."""
    latencies: list[float] = []
    lag = 0.0
    client = await Client.connect("127.0.0.1", peer.port, "127.0.0.9")
    with ThreadPoolExecutor(2) as threads:
        loop = asyncio.get_running_loop()
        large = loop.run_in_executor(threads, load, peer, "large", STREAMS, each, "large")
        while not large.done():
            content = dotted(make("small", f"second-{len(latencies)}", peer.key, to=peer.recipient))
            reply = await client.send(content, peer.recipient)
            if not reply.accepted:
                raise ConnectionAbortedError(reply.line)
            latencies.append(reply.seconds)
            if len(latencies) % 10 == 0:
                lag = max(lag, await loop.run_in_executor(threads, figure, peer, "gateway_loop_lag_seconds"))
            await asyncio.sleep(PAUSE_SECONDS)
        taken = await large
    await client.quit()
    return taken, latencies, lag


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.fairness", description=__doc__)
    parser.add_argument("--messages", type=int, default=3, help="on each of the ten connections")
    given = parser.parse_args()
    assert "127.0.0.9" not in SOURCES
    with gateway(checks=True) as peer:
        load(peer, "small", 10, 5, "warm")
        taken, latencies, lag = asyncio.run(measure(peer, given.messages))
    print(
        f"{len(latencies)} small messages beside {STREAMS} connections with 10 MB: "
        f"p50 {1000 * percentile(latencies, 50):.0f} ms, p99 {1000 * percentile(latencies, 99):.0f} ms, "
        f"worst {1000 * max(latencies):.0f} ms; loop lag {1000 * lag:.0f} ms; "
        f"large {taken.rate:.1f}/s, p99 {taken.percentile(99):.0f} ms{refusals(taken)}"
    )


if __name__ == "__main__":
    main()
