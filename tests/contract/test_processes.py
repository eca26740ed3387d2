"""Several operating system processes on one PostgreSQL: no deadlock, no number twice, turns shared fairly."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.commands.audit import audit
from gateway.commands.receive import receive
from gateway.configuration import load
from gateway.core.clock import now
from gateway.core.outcome import Accepted
from gateway.ground import Ground, open_ground
from gateway.line import Line
from gateway.store import changes, outbox
from tests.servers.gateway import RunningGateway, mail, wait_until
from tests.servers.on_postgres import gateway_on
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.xdist_group("postgres-processes")

PROCESSES, EACH = 3, 1000
TURNS = (
    "rules: [{name: turns, if: {sender: {wildcard: '*'}}, then: [{assign: {team: support, strategy: round-robin}}]}]"
)


@pytest.fixture
def gateway(postgres: PostgresServer, tmp_path: Path) -> Iterator[RunningGateway]:
    with gateway_on(postgres, tmp_path, workers=2) as made:
        for name in ("ann", "bob", "cyd"):
            made.add_agent("acme", f"{name}@acme.test")
        changes.publish_policy(made.store, made.named["acme"], TURNS)
        yield made


async def file_all(config: Path, first: int, count: int, step: int = 1, to: str = "support") -> Counter[str]:
    """What one process does: twenty at a time along the line."""
    outcomes: Counter[str] = Counter()
    ground = open_ground(load(config, {}), prompt=True)
    waiting = iter(range(first, first + count * step, step))

    async with Line(ground) as line:

        async def one_after_another() -> None:
            for n in waiting:
                outcome = await receive(
                    line, mail(n), sender="anna@customer.test", recipients=[f"{to}@acme.gw.test"], client_ip="127.0.0.1"
                )
                again = isinstance(outcome, Accepted) and outcome.duplicate
                outcomes["again" if again else type(outcome).__name__] += 1

        await asyncio.gather(*(one_after_another() for _ in range(20)))
    ground.close()
    return outcomes


def in_processes(gateway: RunningGateway, *arguments: tuple[int, int, int, str]) -> Counter[str]:
    """`file_all` with each of the arguments in a process of its own, at the same time; the outcomes together."""
    program = [sys.executable, "-m", "tests.contract.test_processes", str(gateway.config)]
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen([*program, *map(str, given)], stdout=subprocess.PIPE, cwd=root, stderr=subprocess.PIPE)
        for given in arguments
    ]
    outcomes: Counter[str] = Counter()
    for process in running:
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err.decode()[-2000:]
        outcomes += Counter(json.loads(out))
    return outcomes


def test_three_processes_file_three_thousand_messages_each_with_its_number_and_by_turns(
    gateway: RunningGateway,
) -> None:
    outcomes = in_processes(gateway, *((n, EACH, PROCESSES, "support") for n in range(PROCESSES)))
    assert outcomes == {"Accepted": PROCESSES * EACH}
    with gateway.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT number, assignee_id FROM ticket").all()
    assert sorted(r.number for r in rows) == list(range(1, PROCESSES * EACH + 1))
    turns = Counter(r.assignee_id for r in rows)
    assert len(turns) == 3
    assert max(turns.values()) - min(turns.values()) <= 1
    assert audit(gateway.store, gateway.ground.blobs).problems == []


def test_copies_that_reach_two_processes_at_once_make_one_ticket(gateway: RunningGateway) -> None:
    """The same message through two mailboxes: two rows, one ticket."""
    outcomes = in_processes(gateway, (0, 100, 1, "support"), (0, 100, 1, "sales"))
    assert outcomes == {"Accepted": 200}
    assert (len(gateway.messages()), len(gateway.tickets())) == (200, 100)
    assert gateway.audit().problems == []


def test_retries_that_reach_two_processes_at_once_are_kept_once(gateway: RunningGateway) -> None:
    outcomes = in_processes(gateway, (0, 100, 1, "support"), (0, 100, 1, "support"))
    assert outcomes == {"Accepted": 100, "again": 100}
    assert len(gateway.tickets()) == 100
    assert gateway.audit().problems == []


async def test_two_outbox_workers_never_claim_one_row(gateway: RunningGateway) -> None:
    await file_all(gateway.config, 0, 100)
    owed = len(gateway.outbox(state="pending"))
    other = open_ground(gateway.settings)

    def claim_all(ground: Ground) -> list[str]:
        mine: list[str] = []
        while found := outbox.claim(ground.store, now(), 7, database_clock=True):
            mine += [c.id for c in found]
        return mine

    halves = await asyncio.gather(*(asyncio.to_thread(claim_all, g) for g in (gateway.ground, other)))
    other.close()
    ids = [i for half in halves for i in half]
    assert len(ids) == len(set(ids))
    # a worker that finds only rows in the other's hands comes again in a second
    late = claim_all(gateway.ground)
    assert len(ids) + len(late) == len(set(ids + late)) == owed >= 100


# --- serve ---


def children(gateway: RunningGateway) -> list[int]:
    assert gateway.process
    return [
        int(p) for p in Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    ]


def test_serve_takes_mail_with_all_its_workers_and_ends_in_good_order(gateway: RunningGateway) -> None:
    gateway.start()
    workers = wait_until(lambda: children(gateway) if len(children(gateway)) == 3 else [], "three processes")
    wait_until(lambda: gateway.log.read_text().count("ready") >= 3, "all are ready")
    smtp = workers[:2]
    for n, other in enumerate(smtp):
        # with one of the two standing still, it is the other that takes it
        os.kill(other, signal.SIGSTOP)
        try:
            replies = [gateway.send(mail(f"{n}-{i}")).code for i in range(3)]
        finally:
            os.kill(other, signal.SIGCONT)
        assert replies == [250] * 3
    assert len(gateway.tickets()) == 6
    assert gateway.stop() == 0


def refused(gateway: RunningGateway) -> str:
    """What `serve` says when it does not start."""
    done = subprocess.run(
        gateway.command("serve"), check=False, capture_output=True, text=True, timeout=120, cwd=gateway.folder
    )
    assert done.returncode not in (0, -signal.SIGTERM), done.stderr
    return done.stdout + done.stderr


def test_serve_refuses_an_empty_and_an_older_schema_and_names_the_cure(
    gateway: RunningGateway, postgres: PostgresServer
) -> None:
    database = gateway.settings.database_url.rpartition("/")[2]
    postgres.sql("DELETE FROM alembic_version", database)
    assert "db upgrade" in refused(gateway)
    empty = f"{database}_empty"
    postgres.sql(f"CREATE DATABASE {empty}")
    gateway.config.write_text(gateway.config.read_text().replace(database, empty))
    assert "db upgrade" in refused(gateway)


def test_serve_runs_on_a_schema_newer_than_itself(gateway: RunningGateway, postgres: PostgresServer) -> None:
    """Expand and contract: the release before works while the next one is rolled out."""
    database = gateway.settings.database_url.rpartition("/")[2]
    postgres.sql("UPDATE alembic_version SET version_num = '9999'", database)
    gateway.start()
    assert gateway.send(mail(1)).code == 250
    assert gateway.stop() == 0


def test_serve_refuses_a_secret_that_is_not_the_databases_or_not_there(gateway: RunningGateway) -> None:
    key = gateway.settings.secret_key_path
    kept = key.with_suffix(".kept")
    shutil.move(key, kept)
    said = refused(gateway)
    assert "secret key file is missing" in said
    assert "give it to every node" in said
    key.write_text("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n")
    assert "not the one this database was made with" in refused(gateway)


if __name__ == "__main__":
    file, first, count, step, to = sys.argv[1:]
    print(json.dumps(asyncio.run(file_all(Path(file), int(first), int(count), int(step), to))))
