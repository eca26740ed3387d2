"""The demo's course: set up, serve, send the example mail to ourselves, show each trace, go on serving."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import smtplib
import subprocess
import sys
import threading
import time
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gateway.ground import open_ground, prepare_to_serve
from gateway.commands import accounts
from gateway.commands.publish import publish
from gateway.core.addresses import without_controls
from gateway.demo import world as example
from gateway.demo.world import Letter
from gateway.scan.scanners import clamav
from gateway.settings import NOT_SETTINGS, Settings, load, split_host_port
from gateway.store import queries
from gateway.store.changes import NewAccount, NewAgent, NewMailbox
from gateway.store.engine import Store
from gateway.supervisor import RoleLocks, Supervisor

ACCOUNT = "acme"
ROLES = ("smtp", "outbox", "web")

CONFIG = "gateway.toml"
SET_UP = "set-up"

INVITATION = """\
Serving. Now your own message, with any mail program or swaks; the answer appears here and in the outgoing folder:

  swaks --server 127.0.0.1:{port} --from you@{newcomer} --to support@{domain} --header "Subject: Hello"

Look around in another terminal (put --config {config} behind `.venv/bin/gateway`):

  .venv/bin/gateway --config {config} ticket list --account acme
  .venv/bin/gateway --config {config} ticket show 1001 --account acme
  .venv/bin/gateway --config {config} log
  .venv/bin/gateway --config {config} policy show --account acme

To a real account: write a gateway.toml with `hostname`, `domain`, `smtp.listen` and `relay.url`, then
`gateway serve`, `gateway account add NAME`, `gateway mailbox add support@your.company --account NAME --name "Your Support"`,
and let support@your.company forward to support@NAME.<domain>. Ctrl-C ends this demo; `./dev run --fresh` begins anew.
"""

POLICY = """\
rules:
  - name: billing goes to finance
    if: {mailbox: billing@acme.example}
    then: [{route: finance}]
  - name: leaks are urgent
    if: {subject: {contains: leak}}
    then:
      - set: {priority: high}
      - assign: {team: support, strategy: round-robin}
"""


def run(settings: Settings, *, fresh: bool = False) -> int:
    """Serve the example account until stopped; the exit code. Raises InvalidInput when a port or the folder is taken."""
    folder = settings.data_dir / "demo"
    set_up = folder / SET_UP
    is_new = fresh or not set_up.exists()
    if is_new:
        _make_folder(folder)
    demo = _configure(settings, folder)
    supervisor = Supervisor(
        data_dir=demo.data_dir,
        roles=ROLES,
        smtp=demo.smtp.listen,
        http=(demo.http.listen,),
        worker_command=[sys.executable, "-m", "gateway.worker"],
        configuration=demo.model_dump_json().encode(),
    )
    supervisor.claim()
    prepare_to_serve(demo)
    if is_new:
        _set_up_account(demo)
        set_up.touch()
    guide = Guide(demo, folder, is_new=is_new)
    threading.Thread(target=guide.run, name="guide", daemon=True).start()
    return supervisor.run()


def _make_folder(folder: Path) -> None:
    """An empty folder with a new world. A demo that still runs there is named, and nothing of it is touched."""
    locks = RoleLocks(folder)
    locks.take(ROLES)
    (folder / SET_UP).unlink(missing_ok=True)  # first: what is left half deleted is not taken for a demo
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    locks.release()
    example.make(folder)


def _configure(settings: Settings, folder: Path) -> Settings:
    """The demo's own configuration file, so that every other command can be tried with --config."""
    listen = list(settings.smtp.listen)
    if ":" in example.read(folder).forwarder_ip:
        listen.append(f"[::1]:{split_host_port(listen[0])[1]}")
    lines = [
        "# made by `gateway demo`",
        'hostname = "mx.gateway.localhost"',
        'domain = "gateway.localhost"',
        f"data_dir = {json.dumps(str(folder))}",
        f"smtp = {{ listen = {json.dumps(listen)} }}",
        f"http = {{ listen = {json.dumps(settings.http.listen)} }}",
        f"clamav = {{ address = {json.dumps(settings.clamav.address)} }}",
        'dns = { zone_file = "zone.txt", timeout_seconds = 1 }',
        'relay = { url = ["file:outgoing"] }',
        f"log = {{ format = {json.dumps(settings.log.format)} }}",
    ]
    (folder / CONFIG).write_text("\n".join(lines) + "\n", "utf-8")
    # what the environment said is in the file now; the worker must not read it twice
    for variable in [v for v in os.environ if v.startswith("GATEWAY_") and v not in NOT_SETTINGS]:
        del os.environ[variable]
    return load(folder / CONFIG)


def _set_up_account(demo: Settings) -> None:
    """What an admin would type: an account, teams, agents, two mailboxes, a policy."""
    ground = open_ground(demo)
    store = ground.store
    accounts.add_account(
        store, ground.secret, demo, NewAccount("", ACCOUNT, "Acme Pumps", "", b"", "", first_number=1001)
    )
    account_id = queries.account_id(store, ACCOUNT)
    accounts.add_team(store, account_id, "finance")
    for name, team in (("ann", "support"), ("bob", "support"), ("fay", "finance")):
        accounts.add_agent(store, demo, account_id, NewAgent(f"{name}@{example.COMPANY}", name.capitalize(), (team,)))
    for local, name, team in (("support", "Acme Support", "support"), ("billing", "Acme Billing", "finance")):
        new = NewMailbox(f"{local}@{example.COMPANY}", name, None, team=team, default=local == "support")
        accounts.add_mailbox(store, demo, account_id, ACCOUNT, new)
    publish(store, account_id, POLICY, note="the example", author="demo")
    ground.close()


class Guide:
    """Runs beside the server: sends the letters, shows what came of each, then whatever else arrives."""

    def __init__(self, demo: Settings, folder: Path, *, is_new: bool) -> None:
        self._demo = demo
        self._folder = folder
        self._is_new = is_new
        self._console = Console(highlight=False, soft_wrap=True)
        self._store = Store(demo.database_url, demo.data_dir)
        self._shown: set[str] = {p.name for p in self._outgoing()}

    def run(self) -> None:
        self._wait_until_ready()
        if self._is_new:
            self._send_letters()
        self._invite()
        self._follow()

    def _wait_until_ready(self) -> None:
        host, port = split_host_port(self._demo.smtp.listen[0])
        for _ in range(200):
            try:
                with smtplib.SMTP(host, port, timeout=5):
                    return
            except (OSError, smtplib.SMTPException):
                time.sleep(0.1)

    def _send_letters(self) -> None:
        people = example.read(self._folder)
        domain = f"{ACCOUNT}.{self._demo.domain}"
        say = self._console.print
        say(Text(f"\nAn example company, {example.COMPANY}, forwards its mail to {domain}.", style="bold"))
        scanner = clamav.describe(self._demo.clamav.address, self._folder / "clamd.seen")
        say(Text(f"Virus scanner: {scanner}\n"))
        with_virus = self._scanner_answers()
        for number, letter in enumerate(example.letters(people, domain, with_virus=with_virus), 1):
            self._deliver(number, letter)
        if acknowledged := self._acknowledgement():
            self._deliver(number + 1, example.answer(people, domain, acknowledged))

    def _scanner_answers(self) -> bool:
        scanner = clamav.make(self._demo.clamav.address, 5, self._folder / "clamd.seen")
        try:
            return asyncio.run(scanner.ping())
        finally:
            scanner.close()

    def _deliver(self, number: int, letter: Letter) -> None:
        say = self._console.print
        say(Text(f"{number}. {letter.title}", style="bold cyan"))
        say(Text(f"   {letter.lesson}", style="dim"))
        reply = self._send(letter)
        say(Text(f"   SMTP reply: {reply}", style="green" if reply.startswith("250") else "red"))
        time.sleep(0.3)  # for the eye, and for the outbox to catch up
        self._show_trace(reply.split()[2])
        self._show_outgoing()
        say()

    def _send(self, letter: Letter) -> str:
        """One transaction from the letter's own address; the reply to the final dot."""
        port = split_host_port(self._demo.smtp.listen[0])[1]
        host = "::1" if ":" in letter.client_ip else split_host_port(self._demo.smtp.listen[0])[0]
        with smtplib.SMTP(timeout=30, source_address=(letter.client_ip, 0)) as client:
            client.connect(host, port)
            client.ehlo("mail.example")
            client.mail(letter.sender)
            client.rcpt(letter.recipient)
            code, text = client.data(letter.content)
        return f"{code} {text.decode('ascii', 'replace')}"

    def _show_trace(self, trace_id: str) -> None:
        """By the very command that operations use."""
        self._console.print(Text(f"   $ gateway trace {trace_id}", style="bold"))
        command = [sys.executable, "-m", "gateway", "--config", str(self._folder / CONFIG), "trace", trace_id]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment())
        for line in (shown.stdout or shown.stderr).splitlines():
            self._console.print(Text.from_ansi(f"   {line}"))

    def _environment(self) -> dict[str, str]:
        width = str(max(60, self._console.width - 3))
        colour = {"FORCE_COLOR": "1"} if self._console.is_terminal else {}
        return {**os.environ, "COLUMNS": width, **colour}

    def _outgoing(self) -> list[Path]:
        return sorted((self._folder / "outgoing").glob("*.eml"))

    def _acknowledgement(self) -> str | None:
        """The Message-ID of the confirmation Carol got."""
        for _ in range(50):
            for path in self._outgoing():
                message = BytesParser(policy=default).parsebytes(path.read_bytes())
                if example.CUSTOMER in str(message["To"]):
                    return str(message["Message-ID"])
            time.sleep(0.1)
        return None

    def _show_outgoing(self) -> None:
        for path in self._outgoing():
            if path.name in self._shown:
                continue
            self._shown.add(path.name)
            message = BytesParser(policy=default).parsebytes(path.read_bytes())
            name = os.path.relpath(path)
            line = Text("   → sent ", style="magenta")
            line.append(without_controls(f"to {message['To']}, from {message['From']}: {message['Subject']}"))
            line.append(f"\n     reply to {without_controls(str(message['Reply-To']))}; {name}", style="dim")
            self._console.print(line)

    def _invite(self) -> None:
        port = split_host_port(self._demo.smtp.listen[0])[1]
        domain = f"{ACCOUNT}.{self._demo.domain}"
        config = os.path.relpath(self._folder / CONFIG)
        self._console.print(Text(INVITATION.format(port=port, domain=domain, config=config, newcomer=example.NEWCOMER)))

    def _follow(self) -> None:
        """One line for each transaction that arrives from now on, and for each mail that leaves."""
        seen = {line["trace"] for line in self._log()}
        while True:
            for line in self._log():
                if line["trace"] not in seen:
                    seen.add(line["trace"])
                    self._console.print(Text(f"← {line['outcome']}: {line['reply']}", style="bold"))
                    self._show_trace(line["trace"])
            self._show_outgoing()
            time.sleep(0.3)

    def _log(self) -> list[queries.Json]:
        return queries.log_lines(self._store, queries.LogFilter(limit=50))
