"""Exim with SPF, DKIM and malware ACLs, queue only: Debian's exim4-daemon-heavy, unpacked (it conflicts with Postfix)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import ClassVar

from bench.isolation import EXIM_USER
from bench.peers.peer import Peer, newest
from bench.places import PEERS
from bench.services import ACCOUNT, HOSTNAME, Services

PROGRAM = PEERS / "exim" / "usr" / "sbin" / "exim4"
CONFIG = """\
primary_hostname = {hostname}
exim_user = {user}
exim_group = {user}
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist ours = {account}
queue_only
smtp_accept_max = 200
smtp_accept_max_per_connection = 100000
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
message_size_limit = 50M
tls_advertise_hosts =
rfc1413_query_timeout = 0s
keep_environment =
av_scanner = clamd:{clamd}
acl_smtp_rcpt = acl_rcpt
acl_smtp_dkim = acl_dkim
acl_smtp_data = acl_data

begin acl

acl_rcpt:
  deny    message = SPF says no
          spf = fail
  accept  domains = +ours
  deny    message = relaying denied

acl_dkim:
  warn    dkim_status = fail
          log_message = DKIM fails: $dkim_verify_reason
  accept

acl_data:
  deny    message = a virus: $malware_name
          malware = *
  accept  add_header = :at_start:${{authresults {{$primary_hostname}}}}
"""


class Exim(Peer):
    name: ClassVar[str] = "exim"
    marks: ClassVar[Mapping[str, str]] = {
        "spf": r"spf=pass", "dkim": r"dkim=pass", "broken dkim": r"dkim=fail|DKIM fails",
    }  # fmt: skip

    @classmethod
    def missing(cls) -> list[str]:
        return [] if PROGRAM.exists() else ["exim4-daemon-heavy"]

    def start(self, services: Services) -> None:
        spool = self.folder / "spool"
        spool.mkdir(mode=0o750)
        for place in (self.folder, spool):  # its logs lie beside the spool
            shutil.chown(place, EXIM_USER, EXIM_USER)
        config = self.folder / "exim.conf"
        config.write_text(
            CONFIG.format(
                hostname=HOSTNAME, user=EXIM_USER, program=PROGRAM, folder=self.folder, port=self.port,
                account=ACCOUNT, clamd=services.clamd_socket,
            )
        )  # fmt: skip
        self._spawn([PROGRAM, "-bdf", "-C", config])
        self._await_ready()

    def said(self) -> str:
        logs = "".join(p.read_text(errors="replace") for p in self.folder.glob("*log"))
        return logs + newest(self.folder / "spool" / "input", "*-H", octets=8000)
