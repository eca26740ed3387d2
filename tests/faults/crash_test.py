"""Kill -9 of the gateway, at random moments and at every named stage, while clients send and repeat until 250.

    ./dev crash-test --messages 5000 --kills 10 --worker-kills 5 --stages --database postgres
    ./dev crash-test --messages 1000000 --clients 20 --kill-every random --stages --database postgres --folder /srv/space

The load goes on until every planned kill was made, so there may be more messages than were asked for. Afterwards what was
answered is compared with what is stored: each message once, byte for byte, in one ticket.
A million messages take hours and 20 GB of --folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from gateway.cli.progress import progress
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns
from tests.faults.clients import CLIENTS, Clients, Sent, load_until
from tests.faults.comparison import Result, compare
from tests.faults.relay import Relay
from tests.faults.tracing import smtp_worker_pids
from tests.servers.gateway import Fault, RunningGateway, wait_until
from tests.servers.on_postgres import gateway_on
from tests.servers.postgres import PostgresServer

STAGES = (
    "receive",
    "parse",
    "verify",
    "recall",
    "decide",
    "blob-written",
    "before-commit",
    "in-commit",
    "after-commit",
    "after-render",
    "after-relay-accepted",
    "before-outbox-settle",
)
LONGEST_RANDOM_SECONDS = 30.0
LEASE_SECONDS = 300.0
"""With PostgreSQL other nodes may live: what a killed one had in hand is sent when its lease has run out."""
SHORT_LEASE = {"lease_seconds": 30.0}
STAGE_SECONDS = 120.0
"""How long a stage is waited for, from the start of the life that it is to end."""
_state = columns(Outbox).state


@dataclass(frozen=True)
class End:
    """How a life ends: `group` or `worker` (one process, the others go on), at a named stage or at a random moment."""

    who: str
    stage: str = ""


def ends(*, kills: int, worker_kills: int, stages: Iterable[str], chance: random.Random) -> list[End]:
    """In random order."""
    found = [End("group")] * kills + [End("worker")] * worker_kills + [End("group", s) for s in stages]
    chance.shuffle(found)
    return found


class Killer:
    """Starts the gateway, ends its life, and again; the last life is left in peace."""

    def __init__(
        self,
        gateway: RunningGateway,
        clients: Clients,
        result: Result,
        chance: random.Random,
        tune: Mapping[str, float] | None,
    ) -> None:
        self._gateway = gateway
        self._tune = tune
        self._clients = clients
        self._result = result
        self._chance = chance

    def spread(self, planned: Sequence[End]) -> None:
        """Evenly over the messages."""
        for i, end in enumerate(planned, 1):
            self._end(end, answered=round(self._result.messages * i / (len(planned) + 2)))
        self._live()

    def every(self, seconds: float | None, stages: Sequence[str]) -> None:
        """Every so many seconds, or after random times, until all is answered; the stages one after the other, again and
        again.
        """
        turn = 0
        while self._clients.at_work:
            who = self._chance.choice(("group", "group", "worker"))
            at_stage = stages and turn % 2
            end = End("group", stages[turn // 2 % len(stages)]) if at_stage else End(who)
            self._end(end, after=seconds or self._chance.uniform(0.1, LONGEST_RANDOM_SECONDS))
            turn += 1
        self._live()

    def _live(self) -> None:
        if not self._gateway.running:
            self._gateway.start(tune=self._tune)

    def _end(self, end: End, *, answered: int = 0, after: float = 0.0) -> None:
        """`after` so many seconds, or as one of a plan: each of those must be made."""
        if not end.stage or self._gateway.running:
            self._live()
            self._clients.wait_answered(answered)
        if not end.stage:
            self._clients.wait_seconds(after)
        if not self._clients.at_work:
            if not after:
                self._result.problems.append(f"{end.who} not killed {end.stage}".rstrip() + ": the load had ended")
            return
        if end.stage:
            self._at_stage(end, is_planned=not after)
            return
        # the moment is random by intention; nothing waits for it
        threading.Event().wait(self._chance.random() * 0.05)
        if end.who == "group":
            self._gateway.kill_group()
            self._result.kills += 1
        else:
            self._kill_worker()

    def _kill_worker(self) -> None:
        """One process that talks SMTP; the supervisor starts another."""
        pid = self._chance.choice(wait_until(lambda: smtp_worker_pids(self._gateway), "a worker runs"))
        os.kill(pid, signal.SIGKILL)
        self._result.worker_kills += 1
        wait_until(lambda: pid not in smtp_worker_pids(self._gateway), "it is buried")

    def _at_stage(self, end: End, *, is_planned: bool) -> None:
        if self._gateway.running:
            self._gateway.kill_group()
            self._result.kills += 1
        fault = Fault(end.stage, "kill-group", after=_after(end.stage, self._chance))
        self._gateway.begin(fault, tune=self._tune)
        with suppress(AssertionError):
            # where work ends earlier, it is killed as at random
            wait_until(lambda: not self._gateway.running or not self._clients.at_work, fault.stage, STAGE_SECONDS)
        if self._gateway.running:
            self._gateway.kill_group()
            if is_planned:
                self._result.problems.append(f"stage {fault.stage} was not reached {fault.after} times")
            return
        assert self._gateway.wait_dead() == -9, f"ended otherwise than by a kill at {fault.stage}"
        self._result.stages.append(f"{fault.stage} #{fault.after}")


def _after(stage: str, chance: random.Random) -> int:
    """Blobs are rare; a group commits the messages of all clients at once, so sixty messages may be four groups."""
    return 1 if stage == "blob-written" or "commit" in stage else chance.randrange(1, 12)


def crash_test(
    gateway: RunningGateway,
    relay: Relay,
    *,
    messages: int,
    seed: int,
    kills: int = 0,
    worker_kills: int = 0,
    stages: Sequence[str] = STAGES,
    kill_every: float | None = None,
    clients: int = CLIENTS,
    seconds: float = 600.0,
    tune: Mapping[str, float] | None = None,
) -> Result:
    """Run it, on a gateway that is not started yet; leaves it running. `kill_every`: 0 means random times.
    `tune` as in `RunningGateway.begin`. At least `messages`, and as many more as it takes until all kills are made.
    """
    began = time.monotonic()
    chance = random.Random(seed)
    sent: list[Sent] = []
    enough = threading.Event()
    result = Result(messages, "sqlite" if gateway.store.is_sqlite else "postgres", clients)
    crowd = Clients(gateway, load_until(enough, messages, seed, sent), seconds, count=clients)
    killer = Killer(gateway, crowd, result, chance, tune)
    crowd.start()
    try:
        with _shown(crowd, messages):
            if kill_every is None:
                killer.spread(ends(kills=kills, worker_kills=worker_kills, stages=stages, chance=chance))
                enough.set()
            else:
                enough.set()
                killer.every(kill_every or None, stages)
            crowd.join()
    except BaseException:
        crowd.give_up()
        raise
    finally:
        crowd.join()
    wait_until(lambda: not _pending(gateway), "all notifications are settled", LEASE_SECONDS + 120 + messages / 100)
    result.seconds = time.monotonic() - began
    result.problems += crowd.unexpected
    # what no client took in time was not answered either
    sent += [Sent(n, seed) for n in range(len(sent), messages)]
    result.messages = len(sent)
    compare(gateway, relay, sent, result)
    return result


@contextmanager
def _shown(clients: Clients, total: int) -> Iterator[None]:
    """A bar on a terminal."""
    ended = threading.Event()
    with progress() as show:

        def watch() -> None:
            while not ended.wait(0.5):
                show(clients.answered, total)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _pending(gateway: RunningGateway) -> int:
    with gateway.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(Outbox).where(_state == "pending")).scalar())


# --- the tests: five thousand messages together, and what it takes to make every kill ---


def test_2500_messages_survive_kills_at_random_and_at_every_stage(gateway: RunningGateway, relay: Relay) -> None:
    gateway.add_agent("acme", "agent@acme.test")
    result = crash_test(gateway, relay, messages=2500, kills=2, worker_kills=2, seed=1, seconds=600)
    _nothing_lost(result)
    assert gateway.stop() == 0


def test_2500_messages_survive_kills_at_random_and_at_every_stage_on_postgres(
    postgres: PostgresServer, tmp_path: Path, relay: Relay
) -> None:
    with gateway_on(postgres, tmp_path, relay=relay.url, workers=2) as gateway:
        gateway.add_agent("acme", "agent@acme.test")
        result = crash_test(
            gateway, relay, messages=2500, kills=2, worker_kills=2, seed=2, seconds=600, tune=SHORT_LEASE
        )
        _nothing_lost(result)
        assert gateway.stop() == 0


def _nothing_lost(result: Result) -> None:
    print(result.table())
    assert result.problems == []
    assert result.messages >= 2500
    assert (result.answered, result.stored, result.lost, result.doubled) == (result.messages, result.messages, 0, 0)
    assert result.blobs == len(range(7, result.messages, 40))
    assert sorted(s.split()[0] for s in result.stages) == sorted(STAGES)
    assert (result.kills >= 2, result.worker_kills) == (True, 2)


# --- the command ---


def main() -> int:
    given = _arguments()
    sys.stderr.write(f"seed {given.seed}\n")
    # as Ctrl-C does it: what was started is ended, and the folder removed
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        return _run(given)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(given: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-test-", dir=given.folder)))
        folder.chmod(0o755)
        relay = stack.enter_context(Relay(remembers=False))
        gateway = stack.enter_context(_gateway(given.database, folder, relay, stack))
        # the acknowledgements of an account have a budget: without others the outbox's stages are never reached again
        gateway.add_agent("acme", "agent@acme.test")
        result = crash_test(
            gateway,
            relay,
            messages=given.messages,
            kills=given.kills,
            worker_kills=given.worker_kills,
            stages=STAGES if given.stages else (),
            kill_every=given.kill_every,
            clients=given.clients,
            seed=given.seed,
            seconds=600 + given.messages * 0.5,
        )
        if result.problems:
            sys.stderr.write(gateway.log.read_text()[-5000:])
    print(json.dumps(result.document(), indent=2) if given.json else result.table())
    return 1 if result.problems else 0


def _gateway(database: str, folder: Path, relay: Relay, stack: ExitStack) -> RunningGateway:
    if database == "sqlite":
        return RunningGateway(folder, relay=relay.url)
    server = PostgresServer(folder / "postgres")
    stack.callback(server.stop)
    server.create()
    server.start()
    (folder / "gateway").mkdir()
    return gateway_on(server, folder / "gateway", relay=relay.url, workers=2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev crash-test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1000, help="unique ones (1000)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"that send at the same time ({CLIENTS})")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--kills", type=int, default=10, help="of the whole group, at random moments (10)")
    parser.add_argument("--worker-kills", type=int, default=5, help="of one worker, at random moments (5)")
    parser.add_argument(
        "--kill-every", type=_seconds, metavar="SECONDS|random", help="until all is answered, instead of counted kills"
    )
    parser.add_argument(
        "--stages", action=argparse.BooleanOptionalAction, default=True, help="kill at every named stage, too (yes)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--folder", type=Path, help="where database and blobs lie while it runs (the system's own)")
    parser.add_argument("--json", action="store_true", help="the counts as one JSON document")
    return parser.parse_args()


def _seconds(text: str) -> float:
    """`random` is 0."""
    seconds = 0.0 if text == "random" else float(text)
    if seconds < 0 or (seconds == 0 and text != "random"):
        raise argparse.ArgumentTypeError("give seconds above 0, or random")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
