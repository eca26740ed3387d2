"""The real gateway, as its own processes on its own ports, for tests that look at it from outside.

The group of processes has a session of its own, so that a test can kill all of it at once and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from gateway.commands import accounts
from gateway.commands.audit import AuditReport, audit
from gateway.configuration import load
from gateway.ground import open_ground, prepare
from gateway.settings import Settings
from gateway.store import log_reading, message_reading, named, outbox_reading, stored_message, ticket_reading
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.team_changes import NewAgent
from tests.servers.ports import free_port

STAGES = Path(__file__).resolve().parent.parent / "faults" / "stages"
"""The folder whose `sitecustomize.py` breaks the gateway at named stages; on PYTHONPATH only where a test asks for it."""

ZONE = """\
$ORIGIN test.
$TTL 60
customer   IN TXT "v=spf1 ip4:127.0.0.0/8 -all"
stranger   IN TXT "v=spf1 ?all"
$ORIGIN arpa.
nothing    IN TXT "-"
"""
"""`customer.test` vouches for every client of a test, `stranger.test` for none; below .test and .arpa nothing is asked."""

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """The first true value of `condition`; AssertionError naming `what` after `seconds`: no promise of ours, only so long
    that a busy machine needs less.
    """
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def forget_figures(data_dir: Path) -> None:
    """Those of a killed group lie in memory until the next start."""
    for folder in (data_dir / "metrics").glob("*"):
        shutil.rmtree(folder.resolve(), ignore_errors=True)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong inside the gateway; told to `stages/sitecustomize.py` through the environment.

    `action`: kill-group, kill-worker, raise, hold (until `let_go`), or the name of an errno. It happens when `stage` is reached for the `after`-th
    time, by content that holds `marker` where one is given; `times` bounds it (0: always), counted over all processes of
    one `start`.
    """

    stage: str
    action: str
    after: int = 1
    marker: str = ""
    times: int = 1


@dataclass(frozen=True)
class Reply:
    """The reply that ended a transaction."""

    code: int
    text: str

    @property
    def trace(self) -> str:
        """The second word of the text line: enhanced code, trace id, words."""
        return self.text.split()[1]


class RunningGateway:
    """A gateway with two accounts, `acme` (support@, sales@) and `globex` (help@), in a folder of its own."""

    def __init__(
        self, folder: Path, *, relay: str = "", zone: str = ZONE, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.smtp_port, self.http_port = free_port(), free_port()
        self.config = folder / "gateway.toml"
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        (folder / "zone").write_text(zone)
        self._write_config(relay, settings or {})
        self.settings: Settings = load(self.config, {})
        prepare(self.settings)
        self.ground = open_ground(self.settings)
        self.named: dict[str, str] = {}
        self.add_account("acme", "support@acme.test", "sales@acme.test")
        self.add_account("globex", "help@globex.test")

    def _write_config(self, relay: str, changed: Mapping[str, Any]) -> None:
        sections: dict[str, dict[str, Any]] = {
            "smtp": {"listen": [f"127.0.0.1:{self.smtp_port}"]},
            "dns": {"nameservers": ["127.0.0.1"], "port": 9, "timeout_seconds": 1, "zone_file": "zone"},
            "auth": {"budget_seconds": 15},
            "http": {"listen": f"127.0.0.1:{self.http_port}"},
            "clamav": {"address": "off"},
            "relay": {"url": [relay] if relay else []},
        }
        plain: dict[str, Any] = {"hostname": "mx.gw.test", "domain": "gw.test", "data_dir": "var"}
        plain |= {"shutdown_grace_seconds": 15} | {k: v for k, v in changed.items() if not isinstance(v, dict)}
        for name, values in changed.items():
            if isinstance(values, dict):
                sections[name] = {**sections.get(name, {}), **values}
        lines = [f"{k} = {json.dumps(v)}" for k, v in plain.items()]
        for section, values in sections.items():
            lines += ["", f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def add_account(self, name: str, *mailboxes: str) -> None:
        """The first mailbox is the default one."""
        new = NewAccount("", name, name.capitalize(), "", b"", "")
        accounts.add_account(self.ground.store, self.ground.secret, self.settings, new)
        self.named[name] = named.account_id(self.ground.store, name)
        for i, address in enumerate(mailboxes):
            mailbox = NewMailbox(address, f"{name.capitalize()} {address.partition('@')[0]}", None, default=i == 0)
            accounts.add_mailbox(self.ground.store, self.settings, self.named[name], name, mailbox)

    def add_agent(self, account: str, address: str) -> None:
        accounts.add_agent(
            self.ground.store,
            self.settings,
            self.named[account],
            NewAgent(address, address.partition("@")[0], ("support",)),
        )

    # --- its life ---

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gateway", "--config", str(self.config), *arguments]

    def begin(self, *faults: Fault, tune: Mapping[str, float] | None = None) -> None:
        """Start `serve`; does not wait. `tune` shortens waiting times that no setting offers (see sitecustomize.py)."""
        assert self.process is None, "it runs already"
        self._starts += 1
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        if faults or tune:
            self._marks.mkdir()
            plan = {"faults": [dataclasses.asdict(f) for f in faults], "tune": dict(tune or {})}
            plan["spent"] = str(self._marks)
            path = os.pathsep.join(filter(None, (str(STAGES), os.environ.get("PYTHONPATH"))))
            environment |= {"PYTHONPATH": path, "FAULTS": json.dumps(plan)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("serve"),
                stdout=log, stderr=log, env=environment, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    @property
    def _marks(self) -> Path:
        """Where this start's injected faults leave word of what has happened."""
        return self.folder / f"faults-{self._starts}"

    def held(self, stage: str) -> bool:
        """Whether something waits at this stage for `let_go`."""
        return (self._marks / f"held-{stage}").exists()

    def let_go(self, stage: str) -> None:
        (self._marks / f"go-{stage}").touch()

    def start(self, *faults: Fault, tune: Mapping[str, float] | None = None) -> None:
        """Start `serve` and wait until it is ready."""
        self.begin(*faults, tune=tune)
        wait_until(self.ready, "gateway ready", 120)

    def ready(self) -> bool:
        """What /readyz says. AssertionError with the end of its log when the gateway has ended."""
        assert self.running, f"the gateway ended:\n{self.log.read_text()[-3000:]}"
        return self.answers("/readyz")

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_dead(self, seconds: float = 60.0) -> int:
        """Wait for the end of the supervisor, then make sure that nothing of its group is left; its exit code."""
        assert self.process
        code = self.process.wait(seconds)
        self._kill(signal.SIGKILL)
        wait_until(self._group_is_gone, "the process group is gone")
        self.process = None
        return code

    def _group_is_gone(self) -> bool:
        assert self.process
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _kill(self, number: int) -> None:
        assert self.process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill_group(self) -> None:
        """SIGKILL to supervisor and worker at once, as a power cut would end them."""
        self._kill(signal.SIGKILL)
        self.wait_dead()

    def kill_worker(self) -> int:
        """SIGKILL to the worker alone; its pid."""
        pid = self.worker_pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def worker_pid(self) -> int:
        """The supervisor's only child."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(wait_until(lambda: children.read_text().split(), "a worker runs")[0])

    def terminate(self) -> None:
        """SIGTERM to the supervisor; does not wait."""
        assert self.process
        self.process.terminate()

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM and wait; the exit code."""
        self.terminate()
        return self.wait_dead(seconds)

    def restart(self, *faults: Fault, tune: Mapping[str, float] | None = None) -> None:
        """After a kill, or a stop in good order first."""
        if self.running:
            assert self.stop() == 0
        self.start(*faults, tune=tune)

    def close(self) -> None:
        if self.process is not None:
            self._kill(signal.SIGKILL)
            self.wait_dead()
        forget_figures(self.settings.data_dir)
        self.ground.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- mail ---

    @contextlib.contextmanager
    def session(self, client_ip: str = "127.0.0.1", timeout: float = 60.0) -> Iterator[smtplib.SMTP]:
        """A greeted SMTP session. Raises OSError (ConnectionRefusedError) or smtplib.SMTPException."""
        client = smtplib.SMTP(timeout=timeout, source_address=(client_ip, 0))
        try:
            code, text = client.connect("127.0.0.1", self.smtp_port)
            if code != 220:
                raise smtplib.SMTPServerDisconnected(f"{code} {text.decode()}")
            client.ehlo("client.test")
            yield client
        finally:
            client.close()

    def send(
        self,
        content: bytes,
        recipients: str | Sequence[str] = "support@acme.gw.test",
        sender: str | None = "anna@customer.test",
        client_ip: str = "127.0.0.1",
    ) -> Reply:
        """One transaction in a session of its own. Raises OSError or smtplib.SMTPException where it broke."""
        with self.session(client_ip) as client:
            return transaction(client, content, recipients, sender)

    # --- what is stored ---

    @property
    def store(self) -> Any:
        return self.ground.store

    def audit(self) -> AuditReport:
        return audit(self.ground.store, self.ground.blobs)

    def messages(self, account: str = "acme", **wanted: Any) -> list[dict[str, Any]]:
        return message_reading.messages(self.ground.store, self.named[account], **wanted)

    def raw(self, account: str, message_id: str) -> bytes | None:
        return stored_message.raw_content(self.ground.store, self.ground.blobs, self.named[account], message_id)

    def tickets(self, account: str = "acme") -> list[dict[str, Any]]:
        return ticket_reading.tickets(self.ground.store, self.named[account])

    def outbox(self, account: str | None = None, **wanted: Any) -> list[dict[str, Any]]:
        return outbox_reading.outbox_rows(self.ground.store, account, **wanted)

    def log_lines(self, **wanted: Any) -> list[dict[str, Any]]:
        return log_reading.log_lines(self.ground.store, log_reading.LogFilter(**wanted))

    def trace(self, trace_id: str) -> dict[str, Any]:
        return log_reading.trace(self.ground.store, trace_id)


def transaction(
    client: smtplib.SMTP, content: bytes, recipients: str | Sequence[str], sender: str | None = "anna@customer.test"
) -> Reply:
    """MAIL to final dot; the reply that ended it. The content goes out as it is: smtplib's own `data` mends line ends."""
    start_data(client, recipients, sender)
    client.send(dotted(content))
    return last_reply(client)


def start_data(
    client: smtplib.SMTP,
    recipients: str | Sequence[str] = "support@acme.gw.test",
    sender: str | None = "a@customer.test",
) -> None:
    """Up to the 354. Raises SMTPResponseException for any other reply."""
    steps = [f"MAIL FROM:<{sender or ''}>"]
    steps += [f"RCPT TO:<{r}>" for r in ([recipients] if isinstance(recipients, str) else recipients)]
    for step in (*steps, "DATA"):
        code, text = client.docmd(step)
        if code >= 400:
            raise smtplib.SMTPResponseException(code, text)


def dotted(content: bytes) -> bytes:
    """Content as it goes over the wire: transparent, and ended by the final dot (RFC 5321 section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if content.startswith(b".") else b"") + stuffed + b".\r\n"


def last_reply(client: smtplib.SMTP) -> Reply:
    code, text = client.getreply()
    return Reply(code, text.decode("ascii"))


def mail(
    n: object, *, author: str = "anna@customer.test", to: str = "support@acme.test", text: str = "Hello."
) -> bytes:
    """A message that no other `n` gives, with CRLF line ends."""
    return (
        f"From: Anna <{author}>\r\nTo: <{to}>\r\nSubject: Question {n}\r\nMessage-ID: <{n}@customer.test>\r\n"
        f"Date: Mon, 02 Feb 2026 10:00:00 +0000\r\n\r\n{text} ({n})\r\n"
    ).encode()
