"""A gateway with TLS, LMTP and named faults that all peers share, and one behind a proxy.

It is the real process. Tests tell their messages apart by Message-ID, so nothing has to be begun anew between them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.servers.certificates import Authority
from tests.servers.gateway import Fault, RunningGateway
from tests.servers.ports import free_port

MAX_MESSAGE_BYTES = 2_000_000
PUT_OFF, PUT_OFF_ONCE, CUT_OFF = "put-this-off-twice", "put-this-off-one-time", "cut-this-off-once"
"""What holds one of the first two is answered 451 so often; the last one's process dies between its commit and the 250."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other: they share a gateway and a Postfix."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("peers"))


@dataclass(frozen=True)
class Edge:
    """The gateway as its peers find it: `ca_file` is what they trust, `lmtp_socket` where a front server hands mail in."""

    gateway: RunningGateway
    ca_file: Path
    lmtp_socket: Path

    @property
    def port(self) -> int:
        return self.gateway.smtp_port

    def all_kept(self, message_id: str) -> list[dict[str, Any]]:
        """Every stored message with this Message-ID, without its angle brackets."""
        return [m for m in self.gateway.messages() if m["message_id"] == message_id]

    def kept(self, message_id: str) -> dict[str, Any]:
        """The one message with this Message-ID, as the only one of its ticket."""
        [message] = self.all_kept(message_id)
        [ticket] = [t for t in self.gateway.tickets() if message["id"] in t["messages"]]
        assert ticket["messages"] == [message["id"]]
        return message

    def by_trace(self, trace: str) -> bytes:
        """The content of the message whose 250 told this trace id."""
        [message] = [m for m in self.gateway.messages() if m["trace"] == trace]
        content = self.gateway.raw("acme", message["id"])
        assert content is not None
        return content

    def raw(self, message_id: str) -> bytes:
        return self.by_trace(self.kept(message_id)["trace"])

    def client_of(self, message_id: str) -> dict[str, str | None]:
        """Address, name and TLS of the client that brought it."""
        client: dict[str, str | None] = self.gateway.trace(self.kept(message_id)["trace"])["client"]
        return client


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    authority, folder = Authority(), tmp_path_factory.mktemp("gateway")
    ca_file = folder / "ca.pem"
    ca_file.write_text(authority.cert_pem)
    certificate, key = authority.issue("mx.gw.test").write(folder / "tls")
    # Postfix's own user must get to the socket, and nobody but root gets into pytest's folders
    sockets = Path(tempfile.mkdtemp(prefix="gateway-lmtp-"))
    sockets.chmod(0o755)
    port, lmtp = free_port(), sockets / "lmtp.sock"
    smtp = {"listen": [f"127.0.0.1:{port}", f"lmtp:unix:{lmtp}"], "max_message_bytes": MAX_MESSAGE_BYTES}
    smtp |= {"tls_cert": str(certificate), "tls_key": str(key)}
    # real messages name domains of the world, and nobody answers for them here
    with RunningGateway(folder, settings={"smtp": smtp, "dns": {"timeout_seconds": 0.1}}) as gateway:
        gateway.smtp_port = port
        # a delivery tries two commits: one that files the message, one that would park it
        gateway.start(
            Fault("group", "raise", marker=PUT_OFF, times=4),
            Fault("group", "raise", marker=PUT_OFF_ONCE, times=2),
            Fault("after-commit", "kill-worker", marker=CUT_OFF),
        )
        yield Edge(gateway, ca_file, lmtp)
    shutil.rmtree(sockets)


def run(*command: str | Path, content: bytes = b"") -> str:
    """What a mail program said, given `content` on its standard input. Fails where the program does, skips without it."""
    name, *_ = command
    if not shutil.which(str(name)):
        missing(f"{name}: apt-get install {name}")
    ran = subprocess.run(command, check=False, input=content, capture_output=True, timeout=120)
    said = (ran.stdout + ran.stderr).decode("utf-8", "replace")
    assert ran.returncode == 0, said
    return said


def trace_in(said: str) -> str:
    """The trace id of the 250 that a program showed."""
    found = re.search(r"250 2\.0\.0 (\w+) accepted", said)
    assert found, said
    return found[1]


@pytest.fixture(scope="session")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Every connection begins with a PROXY header."""
    settings = {"smtp": {"proxy_protocol_from": ["127.0.0.0/8"]}}
    with RunningGateway(tmp_path_factory.mktemp("proxied"), settings=settings) as gateway:
        gateway.start()
        yield gateway
