"""The load generator: N connections that send M messages each, in a process of its own so that its CPU is apart.

`python -m bench.load --sink` measures the generator itself against a server that throws everything away: a peer's rate
near that ceiling says more about the generator than about the peer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter, process_time

from bench import sink
from bench.client import Client, Reply, dotted
from bench.figures import percentile
from bench.messages import BYTES, SigningKey, author, make
from bench.places import ROOT, free_port

SHAPES = {"small": (10, 20), "medium": (10, 20), "large": (2, 2)}
"""Connections, and messages on each."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send where. `label` makes the messages of this load unlike those of any other."""

    host: str
    port: int
    recipient: str
    size: str
    label: str
    pem: str
    connections: int
    messages: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a load: `latencies` and `seconds` in seconds, of accepted messages; `replies` counts what was said."""

    accepted: int
    seconds: float
    latencies: tuple[float, ...]
    replies: dict[str, int]
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds

    def percentile(self, percent: float) -> float:
        """In milliseconds."""
        return 1000 * percentile(self.latencies, percent)


def run(load: Load) -> Taken:
    """In a process of its own. Raises RuntimeError with what it said when that fails."""
    command = [sys.executable, "-m", "bench.load", "--plan"]
    done = subprocess.run(
        command, input=json.dumps(asdict(load)), capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-2000:]}")
    result = json.loads(done.stdout)
    return Taken(**(result | {"latencies": tuple(result["latencies"])}))


async def generate(load: Load) -> Taken:
    """All messages are made and all connections greeted before the clock starts."""
    key = SigningKey(load.pem.encode())
    names = [[f"{load.label}-{c}-{m}" for m in range(load.messages)] for c in range(load.connections)]
    queues = [[(author(n), dotted(make(load.size, n, key, to=load.recipient))) for n in some] for some in names]
    sources = load.sources or ("",)
    clients = [await Client.connect(load.host, load.port, sources[i % len(sources)]) for i in range(load.connections)]
    cpu, started = process_time(), perf_counter()
    pairs = zip(clients, queues, strict=True)
    replies = [r for some in await asyncio.gather(*(_send(c, q, load.recipient) for c, q in pairs)) for r in some]
    seconds, cpu = perf_counter() - started, process_time() - cpu
    accepted = [r.seconds for r in replies if r.accepted]
    said = Counter("accepted" if r.accepted else r.line[:120] for r in replies)
    return Taken(len(accepted), seconds, tuple(accepted), dict(said), cpu)


async def _send(client: Client, queue: list[tuple[str, bytes]], recipient: str) -> list[Reply]:
    """A lost connection is an answer too: what was still to be sent on it counts as not accepted."""
    replies: list[Reply] = []
    try:
        for sender, content in queue:
            replies.append(await client.send(content, recipient, sender))
        await client.quit()
    except (OSError, asyncio.IncompleteReadError) as error:
        lost = Reply(f"connection lost: {error}", 0.0)
        replies += [lost] * (len(queue) - len(replies))
    return replies


@contextlib.contextmanager
def any_sink() -> Iterator[tuple[str, int]]:
    """Postfix's `smtp-sink` where it is installed, else our own; its name and its port on 127.0.0.1."""
    port = free_port()
    found = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    # its backlog of connections is an argument; as root it wants to become somebody
    command = (
        [found, "-u", "nobody", f"127.0.0.1:{port}", "100"]
        if found
        else [sys.executable, "-m", sink.__name__, str(port)]
    )
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        sink.await_greeting(port)
        yield ("smtp-sink" if found else "bench.sink"), port
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", action="store_true", help="read one load as JSON from standard input, print JSON")
    parser.add_argument("--sink", action="store_true", help="measure the generator itself")
    given = parser.parse_args()
    if given.plan:
        plan = json.load(sys.stdin)
        print(json.dumps(asdict(asyncio.run(generate(Load(**(plan | {"sources": tuple(plan["sources"])})))))))
        return
    if not given.sink:
        parser.error("say --sink, or run bench.compare")
    pem = SigningKey.make().pem.decode()
    with any_sink() as (name, port):
        for size in BYTES:
            connections, messages = SHAPES[size]
            load = Load("127.0.0.1", port, "support@acme.test", size, "sink", pem, connections, messages * 5)
            taken = run(load)
            print(
                f"{name}, {size}: {taken.rate:.0f}/s, p50 {taken.percentile(50):.1f} ms, p99 {taken.percentile(99):.1f} ms, "
                f"generator {1000 * taken.cpu_seconds / taken.accepted:.2f} ms CPU a message"
            )


if __name__ == "__main__":
    main()
