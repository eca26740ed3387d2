"""Postfix with opendkim, policyd-spf and clamav-milter on Unix sockets; what it accepts goes to the hold queue."""

from __future__ import annotations

import grp
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench import isolation
from bench.peers.peer import SBIN, Peer, newest
from bench.services import ACCOUNT, HOSTNAME, Services
from tests.servers.gateway import wait_until

MAIN = """\
compatibility_level = 3.6
myhostname = {hostname}
mydestination = {account}
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
local_recipient_maps =
alias_maps =
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/maillog
message_size_limit = 52428800
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = none
smtpd_recipient_restrictions =
    reject_unauth_destination,
    check_policy_service unix:private/policyd-spf,
    check_recipient_access static:HOLD
policyd-spf_time_limit = 3600
smtpd_milters = unix:{folder}/sockets/opendkim, unix:{folder}/sockets/clamav
milter_default_action = tempfail
milter_protocol = 6
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
proxymap  unix  - - n - - proxymap
error     unix  - - n - - error
retry     unix  - - n - - error
local     unix  - n n - - local
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {folder}/policyd-spf.conf
"""
POLICYD_SPF = """\
debugLevel = 1
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
Header_Type = AR
Authserv_Id = {hostname}
skip_addresses = 192.0.2.1
"""
OPENDKIM = """\
Mode v
Syslog no
LogResults yes
AlwaysAddARHeader yes
AuthservID {hostname}
On-BadSignature accept
UMask 000
Socket local:{folder}/sockets/opendkim
UserID opendkim
InternalHosts {folder}/nobody
Nameservers {nameserver}
"""
CLAMAV_MILTER = """\
MilterSocket unix:{folder}/sockets/clamav
MilterSocketMode 666
Foreground yes
ClamdSocket unix:{clamd}
OnInfected Reject
OnFail Defer
RejectMsg a virus: %v
AddHeader Replace
MaxFileSize 100M
LogFile {folder}/clamav-milter.log
LogClean Basic
LogInfected Basic
User clamav
"""
PROGRAMS = {
    "postfix": "postfix",
    "opendkim": "opendkim",
    "policyd-spf": "postfix-policyd-spf-python",
    "clamav-milter": "clamav-milter",
}


class Postfix(Peer):
    name: ClassVar[str] = "postfix"
    marks: ClassVar[Mapping[str, str]] = {
        "spf": r"spf=pass",
        "dkim": r"dkim=pass",
        "broken dkim": r'dkim=fail reason="(?!key)',
        "clamav-milter": r"X-Virus-Scanned",
    }  # fmt: skip

    @classmethod
    def missing(cls) -> list[str]:
        return [package for program, package in PROGRAMS.items() if not shutil.which(program, path=SBIN)]

    def start(self, services: Services) -> None:
        self._write(services)
        self._spawn(["opendkim", "-f", "-x", self.folder / "opendkim.conf"], helper=True)
        self._spawn(["clamav-milter", "-c", self.folder / "clamav-milter.conf"], helper=True)
        for name in ("opendkim", "clamav"):
            wait_until((self.folder / "sockets" / name).exists, f"{name}'s socket: {self.said()[-2000:]}")
        self._spawn(["postfix", "-c", self.folder / "etc", "start-fg"])
        self._await_ready()

    def _write(self, services: Services) -> None:
        places: dict[str, object] = {"folder": self.folder, "hostname": HOSTNAME, "account": ACCOUNT, "port": self.port}
        # the libunbound inside opendkim asks no forwarder on 127.0.0.1, and a configuration file that would make it do so
        # is parsed by all its threads at once: now and then opendkim dies of that
        places |= {"clamd": services.clamd_socket, "nameserver": isolation.HOST}
        for name in ("etc", "queue", "data", "sockets"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "sockets").chmod(0o777)
        postfix = pwd.getpwnam("postfix").pw_uid
        shutil.chown(self.folder / "data", postfix, grp.getgrgid(pwd.getpwuid(postfix).pw_gid).gr_gid)
        files = {
            "etc/main.cf": MAIN, "etc/master.cf": MASTER, "policyd-spf.conf": POLICYD_SPF,
            "opendkim.conf": OPENDKIM, "clamav-milter.conf": CLAMAV_MILTER, "nobody": "192.0.2.1\n",
        }  # fmt: skip
        for name, text in files.items():
            (self.folder / name).write_text(text.format(**places))
        (self.folder / "clamav-milter.log").touch()
        shutil.chown(self.folder / "clamav-milter.log", "clamav")

    def stop(self) -> None:
        """Its master leaves the process group it was started in, and must be told by Postfix's own command."""
        command = ["postfix", "-c", str(self.folder / "etc"), "stop"]
        subprocess.run(command, check=False, capture_output=True, env={"PATH": SBIN})
        super().stop()

    def said(self) -> str:
        logs = [self.log, self.folder / "maillog", self.folder / "clamav-milter.log"]
        queue = newest(Path(self.folder / "queue" / "hold"), "*", octets=8000)
        return "".join(p.read_text(errors="replace") for p in logs if p.exists()) + queue
