"""What the demo shows beside its server: the example mail, each trace, then whatever arrives."""

from __future__ import annotations

import asyncio
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Collection
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gateway.core.addresses import without_controls
from gateway.demo import letters, world
from gateway.demo.letters import Letter
from gateway.demo.world import ACCOUNT, CONFIG, OUTGOING
from gateway.scan.clamd_address import describe
from gateway.scan.scanners import clamav
from gateway.settings import Settings, split_host_port
from gateway.store import log_reading
from gateway.store.engine import Store

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


class Guide:
    """Runs beside the server: sends the letters, shows what came of each, then whatever else arrives."""

    def __init__(self, demo: Settings, folder: Path, sent_before: Collection[str], *, is_new: bool) -> None:
        """`sent_before`: names of mails that were in the outgoing folder before the server began."""
        self._demo = demo
        self._folder = folder
        self._is_new = is_new
        self._console = Console(highlight=False, soft_wrap=True)
        self._store = Store(demo.database_url, demo.data_dir)
        self._shown = set(sent_before)

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
        people = world.read(self._folder)
        domain = f"{ACCOUNT}.{self._demo.domain}"
        say = self._console.print
        say(Text(f"\nAn example company, {world.COMPANY}, forwards its mail to {domain}.", style="bold"))
        scanner = describe(self._demo.clamav.address, self._folder / "clamd.seen")
        say(Text(f"Virus scanner: {scanner}\n"))
        with_virus = self._scanner_answers()
        for number, letter in enumerate(letters.letters(people, domain, with_virus=with_virus), 1):
            self._deliver(number, letter)
        if acknowledged := self._acknowledgement():
            self._deliver(number + 1, letters.answer(people, domain, acknowledged))

    def _scanner_answers(self) -> bool:
        return asyncio.run(clamav.make(self._demo.clamav.address, 5, self._folder / "clamd.seen").ping())

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
        command = [sys.executable, "-P", "-m", "gateway", "--config", str(self._folder / CONFIG), "trace", trace_id]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment())
        for line in (shown.stdout or shown.stderr).splitlines():
            self._console.print(Text.from_ansi(f"   {line}"))

    def _environment(self) -> dict[str, str]:
        width = str(max(60, self._console.width - 3))
        colour = {"FORCE_COLOR": "1"} if self._console.is_terminal else {}
        return {**os.environ, "COLUMNS": width, **colour}

    def _outgoing(self) -> list[Path]:
        return sorted((self._folder / OUTGOING).glob("*.eml"))

    def _acknowledgement(self) -> str | None:
        """The Message-ID of the confirmation Carol got."""
        for _ in range(50):
            for path in self._outgoing():
                message = BytesParser(policy=default).parsebytes(path.read_bytes())
                if world.CUSTOMER in str(message["To"]):
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
        self._console.print(Text(INVITATION.format(port=port, domain=domain, config=config, newcomer=world.NEWCOMER)))

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

    def _log(self) -> list[log_reading.Json]:
        return log_reading.log_lines(self._store, log_reading.LogFilter(limit=50))
