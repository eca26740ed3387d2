"""Files that only a start needs are gone or broken when a worker dies: the next one goes on with what the one before it read."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.certificates import Authority
from tests.servers.gateway import RunningGateway, mail, transaction, wait_until


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def served(tmp_path: Path, authority: Authority) -> Iterator[RunningGateway]:
    cert, key = authority.issue("mx.gw.test").write(tmp_path / "tls")
    with RunningGateway(tmp_path, settings={"smtp": {"tls_cert": str(cert), "tls_key": str(key)}}) as gateway:
        gateway.start()
        yield gateway


def send_by_tls(gateway: RunningGateway, authority: Authority, content: bytes) -> tuple[int, bytes]:
    """The code, and the certificate."""
    with gateway.session() as client:
        client._host = "mx.gw.test"  # type: ignore[attr-defined]
        client.starttls(context=ssl.create_default_context(cadata=authority.cert_pem))
        client.ehlo("client.test")
        assert isinstance(client.sock, ssl.SSLSocket)
        seen = client.sock.getpeercert(binary_form=True)
        assert seen
        return transaction(client, content, "support@acme.gw.test").code, seen


def test_a_worker_that_starts_without_its_files_serves_with_the_last_good_ones(
    served: RunningGateway, authority: Authority
) -> None:
    code, first = send_by_tls(served, authority, mail("before"))
    assert code == 250
    # a thread of its own writes the log, behind the reply: what is killed right then leaves no line
    wait_until(lambda: served.log.read_text().count('"sender": "verified"') == 1, "the first is told")
    tls = served.folder / "tls"
    for name in ("tls_cert", "tls_key"):
        Path(str(getattr(served.settings.smtp, name))).unlink()
    (served.folder / "zone").write_text("((( no zone\n")
    killed = served.kill_worker()
    wait_until(lambda: served.worker_pid() != killed, "another worker")

    assert send_by_tls(served, authority, mail("after")) == (250, first)
    for file in ("certificate", "zone file"):
        told = f"{file} not usable; the last good one is"
        wait_until(lambda told=told: told in served.log.read_text(), told)
    wait_until(lambda: served.log.read_text().count('"sender": "verified"') == 2, "the zone vouched for both")

    # and the mended pair is taken by itself
    authority.issue("mx.gw.test").write(tls)
    wait_until(lambda: send_by_tls(served, authority, mail("mended"))[1] != first, "the new certificate")
