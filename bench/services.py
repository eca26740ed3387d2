"""What all peers share: a name server with the sender's records, and a real clamd with three signatures."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.query

from bench.isolation import CLIENTS, HOST
from bench.messages import DOMAIN, SELECTOR, SigningKey
from bench.places import free_port
from tests.servers.clamd import ClamdServer

ACCOUNT = "acme.gw.test"
RECIPIENT = f"support@{ACCOUNT}"
HOSTNAME = "mx.gw.test"
CLAMD_SETTINGS = "LogClean yes"
"""Each scan a line of its log: that is how a peer's self-check knows that clamd was asked."""


def records(key: SigningKey) -> list[tuple[str, str, str]]:
    """(name, type, value): the sender's SPF, DKIM, DMARC and MX, and who the servers are."""
    spf = f"v=spf1 ip4:{CLIENTS} ip4:127.0.0.0/8 -all"
    return [
        (DOMAIN, "TXT", spf),
        (DOMAIN, "MX", f"10 mail.{DOMAIN}."),
        (DOMAIN, "A", "198.18.0.1"),
        (f"mail.{DOMAIN}", "A", "198.18.0.1"),
        (f"client.{DOMAIN}", "A", "198.18.0.2"),
        (f"client.{DOMAIN}", "TXT", spf),
        (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT", key.record),
        (f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=reject"),
        (ACCOUNT, "MX", f"10 {HOSTNAME}."),
        (HOSTNAME, "A", "127.0.0.1"),
    ]


def _local_data(name: str, kind: str, value: str) -> str:
    if kind == "TXT":  # character-strings of 255 octets at most (RFC 1035 section 3.3)
        value = " ".join(f'"{piece}"' for piece in textwrap.wrap(value, 200, drop_whitespace=False))
    return f"local-data: '{name}. 300 IN {kind} {value}'"


class NameServer:
    """Unbound with local records only: what it does not know does not exist."""

    def __init__(self, folder: Path, port: int, key: SigningKey) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "unbound.conf"
        self._log = folder / "unbound.log"
        lines = [
            "server:",
            f"interface: 127.0.0.1@{port}",
            *(
                [f"interface: {HOST}@{port}"] if port == 53 else []
            ),  # only in the network of its own is that address ours
            "access-control: 127.0.0.0/8 allow",
            f"access-control: {CLIENTS} allow",
            'username: ""',
            'chroot: ""',
            f'directory: "{folder}"',
            f'pidfile: "{folder}/unbound.pid"',
            "use-syslog: no",
            "do-daemonize: no",
            "do-ip6: no",
            'module-config: "iterator"',
            'local-zone: "." static',
            *(_local_data(*record) for record in records(key)),
            "remote-control:",
            "control-enable: no",
        ]
        self._config.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Raises RuntimeError with what it said when it does not answer."""
        unbound = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert unbound, "unbound is not installed"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([unbound, "-d", "-c", self._config], stdout=log, stderr=log)
        question = dns.message.make_query(DOMAIN, "TXT")
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            try:
                dns.query.udp(question, "127.0.0.1", timeout=0.2, port=self.port)
            except (OSError, dns.exception.DNSException):
                continue
            return
        raise RuntimeError(f"unbound does not answer: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)


class Services:
    """Name server and clamd, both running. A context manager."""

    def __init__(self, folder: Path, *, dns_port: int = 0) -> None:
        """`dns_port`: 53 in a network of one's own, else any."""
        self.folder = folder
        self.key = SigningKey.make()
        self.dns_port = dns_port or free_port()
        self._names = NameServer(folder, self.dns_port, self.key)
        self._clamd = ClamdServer(settings=f"{CLAMD_SETTINGS}\nPidFile {folder}/clamd.pid")
        self._clamd.directory.chmod(0o755)  # peers of other users connect

    def __enter__(self) -> Self:
        self._names.start()
        try:
            self._clamd.start()
        except BaseException:
            self._names.stop()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._clamd.remove()
        self._names.stop()

    @property
    def clamd_socket(self) -> Path:
        return self._clamd.socket_path

    @property
    def clamd_pid(self) -> int:
        return int((self.folder / "clamd.pid").read_text())

    def scans(self) -> int:
        """How many files clamd has looked at so far, by its own log."""
        text = (self._clamd.directory / "clamd.log").read_text(errors="replace")
        return sum(line.endswith((": OK", "FOUND")) for line in text.splitlines())
