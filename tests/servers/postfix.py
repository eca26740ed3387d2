"""A real Postfix for tests: the system's programs, with configuration, queue and ports of its own in a temporary folder.

Nothing of the system's own Postfix is read, written or started. `master` has to be root; everything listens on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.gateway import wait_until
from tests.servers.ports import free_port

HOW_TO_GET_IT = "Postfix 3.5 or newer, and root to run it: apt-get install postfix"

INNER = "inner.company.test"
CUSTOMERS = "customer.test"
"""Mail to anybody at this domain lies in `mailbox`: what bounces to a customer is read there."""

_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
_PROGRAM_SERVICES = (
    "bounce",
    "cleanup",
    "error",
    "lmtp",
    "proxymap",
    "qmgr",
    "scache",
    "showq",
    "smtp",
    "tlsmgr",
    "virtual",
)
_SERVICES = {
    **{name: name for name in _PROGRAM_SERVICES},
    "defer": "bounce", "trace": "bounce", "retry": "error", "rewrite": "trivial-rewrite",
}  # fmt: skip
_SINGLE = {"qmgr", "tlsmgr", "scache"}
_PUBLIC = {"cleanup", "qmgr", "showq"}
_PRIVILEGED = {"virtual"}
"""It becomes the mailbox's owner, so it may not give up root's rights at its start."""
_ATTEMPT = re.compile(
    r"postfix/(?P<service>\S+)\[\d+\]: (?P<queue_id>\w+): to=<(?P<recipient>[^>]*)>,.* relay=(?P<relay>[^,]+),.* "
    r"dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<reply>.*)\)$"
)


def _inner_lines(cleanup: Mapping[str, str], port: int) -> str:
    """Another name than the first server's, or that would take it for itself: a loop."""
    return "\n".join(
        [
            f"127.0.0.1:{port} inet n - n - - smtpd",
            f"    -o myhostname={INNER} -o cleanup_service_name=cleanup-inner",
            "cleanup-inner unix n - n - 0 cleanup",
            f"    -o myhostname={INNER}",
            *(f"    -o {{{key} = {value}}}" for key, value in cleanup.items()),
            "",
        ]
    )


def is_available() -> bool:
    """Whether this machine has Postfix and we may run it."""
    return os.geteuid() == 0 and _program("postfix") is not None


def _program(name: str) -> str | None:
    """Packages put it into sbin, which a person's PATH often lacks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt as Postfix logs it. `status`: sent, deferred or bounced; `reply`: why, with the other's words."""

    service: str
    queue_id: str
    recipient: str
    relay: str
    dsn: str
    status: str
    reply: str


class PostfixServer:
    """The mail server of a company. It takes mail for `company.test` and hands it on as `aliases` and `transports` say.

    `aliases`: address to addresses. `transports`: address or domain to `service:nexthop`, a line of transport(5).
    `services`: more clients of master(5), name to (`smtp` or `lmtp`, settings of its own). `settings`: lines of main.cf.
    `pipes`: programs that take mail, name to the attributes of pipe(8).
    `inner` makes it two servers, one behind the other: settings of a second smtpd's own cleanup, at `inner_port`.
    `tables` are files beside main.cf, in `$config_directory`.
    """

    def __init__(
        self,
        *,
        aliases: Mapping[str, str],
        transports: Mapping[str, str],
        services: Mapping[str, tuple[str, Mapping[str, str]]] | None = None,
        settings: Mapping[str, str] | None = None,
        inner: Mapping[str, str] | None = None,
        inner_port: int = 0,
        tables: Mapping[str, str] | None = None,
        pipes: Mapping[str, str] | None = None,
    ) -> None:
        # Not pytest's tmp_path: Postfix's own user may not go there.
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.mailbox = self.folder / "mailbox" / "customers"
        self._log_file = self.folder / "postfix.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._make_folders()
        (self.folder / "aliases").write_text("".join(f"{a} {to}\n" for a, to in aliases.items()))
        (self.folder / "transports").write_text("".join(f"{a} {to}\n" for a, to in transports.items()))
        (self.folder / "config" / "main.cf").write_text(self._main_cf(settings or {}))
        master = self._master_cf(services or {}) + (_inner_lines(inner, inner_port) if inner else "")
        master += "".join(f"{name} unix - n n - - pipe {attributes}\n" for name, attributes in (pipes or {}).items())
        (self.folder / "config" / "master.cf").write_text(master)
        for name, table in (tables or {}).items():
            (self.folder / "config" / name).write_text(table)

    def _make_folders(self) -> None:
        """What `postfix start` makes of the system's own queue, without its scripts."""
        owner = pwd.getpwnam("postfix")
        for name in ("config", "queue", "queue/pid", "mailbox"):
            (self.folder / name).mkdir()
        for name in (*(f"queue/{q}" for q in _QUEUES), "queue/public", "queue/maildrop", "data"):
            (self.folder / name).mkdir(mode=0o700)
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder / "mailbox", nobody.pw_uid, nobody.pw_gid)

    def _main_cf(self, settings: Mapping[str, str]) -> str:
        nobody = pwd.getpwnam("nobody")
        values = {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "maillog_file": str(self._log_file),
            "maillog_file_prefixes": str(self.folder),
            "myhostname": "mail.company.test",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "local_recipient_maps": "",
            # as for mail from elsewhere: complete headers are left alone
            "local_header_rewrite_clients": "",
            "smtp_dns_support_level": "disabled",
            "lmtp_dns_support_level": "disabled",
            "virtual_alias_domains": "company.test",
            "virtual_alias_maps": f"texthash:{self.folder}/aliases",
            "transport_maps": f"texthash:{self.folder}/transports",
            "default_transport": "error:5.1.2 this Postfix knows nobody else",
            "virtual_mailbox_domains": CUSTOMERS,
            "virtual_mailbox_base": f"{self.folder}/mailbox",
            "virtual_mailbox_maps": "static:customers/",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "smtputf8_enable": "yes",
            "smtp_tls_security_level": "may",
            "smtp_tls_loglevel": "1",
            # what was deferred is tried again within seconds, not minutes; after one second the queue manager may find
            # it "still being delivered", and then leaves it alone for long
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "1s",
            **settings,
        }
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    def _master_cf(self, more: Mapping[str, tuple[str, Mapping[str, str]]]) -> str:
        """Columns: service, type, private, unprivileged, chroot, wake-up, most processes, program."""
        lines = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
        for name, program in _SERVICES.items():
            private, unprivileged = ("n" if name in group else "-" for group in (_PUBLIC, _PRIVILEGED))
            wake_up, most = ("300" if name == "qmgr" else "-"), (1 if name in _SINGLE else 0)
            lines.append(f"{name} unix {private} {unprivileged} n {wake_up} {most} {program}")
        for name, (program, settings) in more.items():
            lines.append(f"{name} unix - - n - 0 {program}")
            lines += [f"    -o {{{key} = {value}}}" for key, value in settings.items()]
        return "\n".join(lines) + "\n"

    # --- its life ---

    def start(self) -> Self:
        settings = subprocess.run(
            [_program("postconf") or "postconf", "-d", "-h", "daemon_directory"],
            check=True,
            capture_output=True,
            text=True,
        )
        master = Path(settings.stdout.strip()) / "master"
        with (self.folder / "master.log").open("ab") as log:
            self._process = subprocess.Popen(
                [master, "-d", "-c", self.folder / "config"], stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        wait_until(self._greets, "Postfix greets")
        return self

    def _greets(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"Postfix ended:\n{(self.folder / 'master.log').read_text()}{self.log}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 30) as client:
            return client.recv(3) == b"220"
        return False

    def stop(self) -> None:
        """`master` ends what it started; what should be left over is killed with its group."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- mail ---

    def submit(
        self,
        content: bytes,
        recipients: str | Sequence[str] = "support@company.test",
        sender: str = "anna@customer.test",
        options: Sequence[str] = (),
        client_ip: str = "127.0.0.1",
    ) -> str:
        """Hand it a message with CRLF line ends, as the world does; its id in Postfix's queue."""
        hello, source = "client.customer.test", (client_ip, 0)
        with smtplib.SMTP("127.0.0.1", self.port, hello, timeout=60, source_address=source) as client:
            client.ehlo()
            to = [recipients] if isinstance(recipients, str) else recipients
            replies = [client.mail(sender, options), *(client.rcpt(r) for r in to), client.data(content)]
        assert [code for code, _ in replies] == [250] * len(replies), replies
        _, text = replies[-1]
        return text.decode().rpartition("queued as ")[2]

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace") if self._log_file.exists() else ""

    def attempts(self, queue_id: str) -> list[Attempt]:
        """Every delivery attempt so far, oldest first."""
        found = (_ATTEMPT.search(line) for line in self.log.splitlines() if f": {queue_id}: " in line)
        return [Attempt(**m.groupdict()) for m in found if m]

    def is_done(self, queue_id: str) -> bool:
        """Whether it has left the queue: delivered or given up for every recipient."""
        return f": {queue_id}: removed" in self.log

    def finished(self, queue_id: str, seconds: float = 60.0) -> list[Attempt]:
        """All attempts, when it has left the queue."""
        try:
            wait_until(lambda: self.is_done(queue_id), f"{queue_id} left the queue", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None
        return self.attempts(queue_id)

    def deliver(self, content: bytes, recipients: str | Sequence[str] = "support@company.test", **how: str) -> Attempt:
        """Hand over a message for one recipient and wait for its end; the last attempt."""
        return self.finished(self.submit(content, recipients, **how))[-1]

    def bounce_of(self, queue_id: str) -> bytes:
        """The report that Postfix wrote to the sender at customer.test about this message."""
        notice = wait_until(
            lambda: re.search(rf": {queue_id}: sender non-delivery notification: (\w+)", self.log),
            "a bounce is written",
        )
        self.finished(notice[1])
        marker = f"id {notice[1]};".encode()
        return next(found for f in (self.mailbox / "new").iterdir() if marker in (found := f.read_bytes()))

    def tls_of(self, queue_id: str) -> str:
        """What the client's process logged last about TLS before its first attempt at this message; "" for none."""
        before = self.log.partition(f": {queue_id}: to=<")[0]
        established = re.findall(r"(\w+ TLS connection established to .*)", before)
        return established[-1] if established else ""
