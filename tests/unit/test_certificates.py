"""The certificate of STARTTLS: what can serve, what cannot and why, and what happens when files change under it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import time_machine
from prometheus_client import REGISTRY

from gateway import certificates
from gateway.certificates import Certificates, read_pair
from gateway.core.errors import InvalidInput
from tests.servers.certificates import Authority, Issued

HOST = "mx.gw.test"
ROOT = Authority()


@pytest.fixture(scope="module")
def issued() -> Issued:
    return ROOT.issue(HOST)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Lines as (level, event, fields)."""
    lines: list[Any] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda event, **fields: lines.append((level, event, fields))

    monkeypatch.setattr(certificates.log, "get", lambda _name: Log())
    return lines


def handshake(server: ssl.SSLContext, client: ssl.SSLContext | None = None) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, as a client sees and as the server does."""
    if client is None:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return ours, theirs


def shown(server: ssl.SSLContext) -> bytes | None:
    """The certificate that a client sees, in DER."""
    return handshake(server)[0].getpeercert(binary_form=True)


def trusting(authority: Authority) -> ssl.SSLContext:
    client = ssl.create_default_context(cadata=authority.cert_pem)
    client.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # the test's root has no key identifiers
    return client


def wrong(cert: Path, key: Path) -> str:
    """What is said of a pair; the same to whoever starts with it."""
    with pytest.raises(InvalidInput) as said:
        read_pair(cert, key)
    with pytest.raises(InvalidInput) as again:
        Certificates(cert, key)
    assert str(again.value) == str(said.value)
    assert "\n" not in str(said.value)
    return str(said.value)


# --- what can serve ---


@pytest.mark.parametrize("kind", ["ec", "rsa2048", "ed25519"])
def test_a_pair_serves(tmp_path: Path, kind: str) -> None:
    made = ROOT.issue("MX.gw.test", "*.gw.test", key=kind)

    found = Certificates(*made.write(tmp_path))

    ours, _ = handshake(found.context, trusting(ROOT))
    assert ours.getpeercert(binary_form=True) == made.der
    assert found.names == {"mx.gw.test", "*.gw.test"}
    assert found.expires_at == made.cert.not_valid_after_utc


def test_intermediates_are_sent(tmp_path: Path) -> None:
    made = ROOT.intermediate().issue(HOST)

    context = Certificates(*made.write(tmp_path)).context

    handshake(context, trusting(ROOT))
    (tmp_path / "fullchain.pem").write_bytes(made.cert_pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(Certificates(tmp_path / "fullchain.pem", tmp_path / "privkey.pem").context, trusting(ROOT))


def test_one_file_may_hold_both_with_text_around_it(tmp_path: Path, issued: Issued) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"Subject: \xfc\r\n" + (issued.key_pem() + issued.chain_pem).replace(b"\n", b"\r\n"))

    assert shown(Certificates(both, both).context) == issued.der


def test_tls_is_1_2_or_newer_and_asks_for_no_client_certificate(tmp_path: Path, issued: Issued) -> None:
    context = Certificates(*issued.write(tmp_path)).context

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_a_client_of_tls_1_1_is_refused(tmp_path: Path, issued: Issued) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError):
        handshake(Certificates(*issued.write(tmp_path)).context, old)


# --- what cannot ---


def test_what_is_missing_is_named_with_the_setting(tmp_path: Path, issued: Issued) -> None:
    cert, key = issued.write(tmp_path)

    assert wrong(tmp_path / "no.pem", key).startswith(f"smtp.tls_cert: there is no file {tmp_path}/no.pem; correct")
    assert wrong(cert, tmp_path / "no.pem").startswith(f"smtp.tls_key: there is no file {tmp_path}/no.pem; correct")


def test_a_link_that_leads_nowhere_is_missing(tmp_path: Path, issued: Issued) -> None:
    cert, key = issued.write(tmp_path)
    (tmp_path / "link.pem").symlink_to("gone.pem")

    assert "there is no file" in wrong(cert, tmp_path / "link.pem")
    assert "there is no file" in wrong(tmp_path / "link.pem", key)


def test_a_folder_or_device_in_place_of_a_file_is_told(tmp_path: Path, issued: Issued) -> None:
    cert, key = issued.write(tmp_path)
    os.mkfifo(tmp_path / "pipe")

    assert f"smtp.tls_cert: {tmp_path} is a folder" in wrong(tmp_path, key)
    assert f"smtp.tls_key: {tmp_path} is a folder" in wrong(cert, tmp_path)
    assert "is no file" in wrong(Path("/dev/zero"), key)
    assert "is no file" in wrong(cert, tmp_path / "pipe")


def test_a_key_that_this_user_may_not_read_is_told_with_the_user(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = issued.write(tmp_path)
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:  # chmod 0 does not stop a test that runs as root
        if path == key:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)

    assert f"smtp.tls_key: {key} may not be read by the user 4000000000; make it" in wrong(cert, key)


def test_files_that_hold_something_else_are_told(tmp_path: Path, issued: Issued) -> None:
    cert, key = issued.write(tmp_path)
    other = tmp_path / "other"

    other.write_bytes(b"\n")
    assert f"smtp.tls_cert: {other} is empty" in wrong(other, key)
    assert f"smtp.tls_key: {other} is empty" in wrong(cert, other)
    other.write_bytes(issued.der)
    assert "openssl x509 -inform der" in wrong(other, key)
    assert "openssl pkey -inform der" in wrong(cert, other)
    assert "holds no certificate; are smtp.tls_cert and smtp.tls_key the right way round?" in wrong(key, cert)
    assert "smtp.tls_key" in wrong(cert, cert)
    assert "holds no private key" in wrong(cert, cert)


def test_files_that_are_cut_or_damaged_are_told(tmp_path: Path) -> None:
    made = ROOT.intermediate().issue(HOST)
    cert, key = made.write(tmp_path)
    other = tmp_path / "other"

    for content in (made.chain_pem[:300], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        other.write_bytes(content)
        assert f"smtp.tls_cert: {other} is damaged" in wrong(other, key)
    other.write_bytes(made.chain_pem[:-100])
    assert f"smtp.tls_cert: {other} is not taken" in wrong(other, key)
    for content in (made.key_pem()[:90], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        other.write_bytes(content)
        assert f"smtp.tls_key: {other} is damaged" in wrong(cert, other)


@pytest.mark.parametrize(("kind", "other"), [("ec", "ec"), ("ec", "rsa2048"), ("rsa2048", "ec")])
def test_a_key_of_another_certificate_is_told(tmp_path: Path, kind: str, other: str) -> None:
    cert, _ = ROOT.issue(HOST, key=kind).write(tmp_path / "a")
    _, key = ROOT.issue(HOST, key=other).write(tmp_path / "b")

    assert wrong(cert, key).startswith(f"smtp.tls_key: {key} is not the key of {cert}")


def test_a_chain_in_the_wrong_order_is_told(tmp_path: Path) -> None:
    authority = ROOT.intermediate()
    made = authority.issue(HOST)
    cert, key = made.write(tmp_path)
    cert.write_bytes(authority.cert_pem.encode() + made.cert_pem)

    assert "stands at place 2; it must be the first" in wrong(cert, key)


def test_an_encrypted_key_is_told_and_nobody_is_asked_for_its_password(tmp_path: Path, issued: Issued) -> None:
    cert, key = issued.write(tmp_path)
    key.write_bytes(issued.key_pem(b"sesame"))

    said = wrong(cert, key)  # would wait for the terminal here

    assert f"smtp.tls_key: {key} is encrypted" in said
    assert "openssl pkey -in privkey.pem" in said


def test_a_key_that_is_too_weak_is_told(tmp_path: Path) -> None:
    assert "too weak (EE_KEY_TOO_SMALL)" in wrong(*ROOT.issue(HOST, key="rsa1024").write(tmp_path))


# --- dates ---


def figure() -> float | None:
    return REGISTRY.get_sample_value("gateway_certificate_expires_seconds", {"setting": "smtp.tls_cert"})


@pytest.mark.parametrize(
    ("options", "level", "words"),
    [
        ({"ends": timedelta(days=22)}, None, ""),
        ({"ends": timedelta(days=20, minutes=1)}, "warning", "20 days left"),
        ({"ends": timedelta(seconds=-1)}, "error", "expired since"),
        ({"starts": timedelta(hours=1)}, "error", "not valid before"),
    ],
)
def test_dates_that_matter_are_logged_and_the_certificate_serves_all_the_same(
    tmp_path: Path, log: list[Any], options: dict[str, Any], level: str | None, words: str
) -> None:
    made = ROOT.issue(HOST, **options)

    found = Certificates(*made.write(tmp_path))

    assert [line[0] for line in log] == ([level] if level else [])
    assert not level or words in log[0][2]["dates"]
    assert shown(found.context) == made.der
    assert figure() == made.cert.not_valid_after_utc.timestamp()


def test_the_log_is_reminded_once_a_day_and_at_the_end(tmp_path: Path, log: list[Any]) -> None:
    found = Certificates(*ROOT.issue(HOST, ends=timedelta(days=22)).write(tmp_path))
    start = datetime.now(UTC)

    for hours in range(22 * 24 + 2):
        with time_machine.travel(start + timedelta(hours=hours), tick=False):
            found.refresh()

    levels = [line[0] for line in log]
    assert levels == ["warning"] * 21 + ["error"]


# --- replaced at run time ---


def test_files_that_did_not_change_are_not_read_again(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Certificates(*issued.write(tmp_path))
    context = found.context
    monkeypatch.setattr(certificates, "read_pair", lambda *_: pytest.fail("read again"))

    found.refresh()

    assert found.context is context


def replace_in_place(folder: Path, new: Issued) -> None:
    new.write(folder)


def replace_by_rename(folder: Path, new: Issued) -> None:
    for path in new.write(folder / "new"):
        path.replace(folder / path.name)


@pytest.mark.parametrize("replace", [replace_in_place, replace_by_rename])
def test_the_next_handshake_sees_a_renewed_certificate(
    tmp_path: Path, log: list[Any], issued: Issued, replace: Callable[[Path, Issued], None]
) -> None:
    found = Certificates(*issued.write(tmp_path))
    begun = found.context
    new = ROOT.issue("new.gw.test", ends=timedelta(days=180), key="rsa2048")

    replace(tmp_path, new)
    assert shown(found.context) == issued.der
    found.refresh()

    assert shown(found.context) == new.der
    assert shown(begun) == issued.der, "sessions that began with the old one end with it"
    assert found.names == {"new.gw.test"}
    assert found.expires_at == new.cert.not_valid_after_utc
    assert figure() == new.cert.not_valid_after_utc.timestamp()
    assert [(level, event) for level, event, _ in log] == [("info", "new certificate in use")]


def test_links_that_lead_elsewhere_are_seen(tmp_path: Path, issued: Issued) -> None:
    """As certbot renews: live/fullchain.pem leads to another file of archive/."""
    new = ROOT.issue(HOST)
    issued.write(tmp_path / "1")
    new.write(tmp_path / "2")
    (tmp_path / "live").symlink_to("1")
    found = Certificates(tmp_path / "live" / "fullchain.pem", tmp_path / "live" / "privkey.pem")

    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "live")
    found.refresh()

    assert shown(found.context) == new.der


def test_a_pair_replaced_file_by_file_raises_no_alarm(tmp_path: Path, log: list[Any], issued: Issued) -> None:
    found = Certificates(*issued.write(tmp_path))
    new = ROOT.issue(HOST)

    (tmp_path / "fullchain.pem").write_bytes(new.chain_pem)
    for _ in range(3):
        found.refresh()
    assert shown(found.context) == issued.der
    assert log == []
    (tmp_path / "privkey.pem").write_bytes(new.key_pem())
    found.refresh()

    assert shown(found.context) == new.der
    assert [level for level, _, _ in log] == ["info"]


def test_a_pair_that_changes_while_it_is_read_waits_for_the_next_look(
    tmp_path: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the dates of one certificate could stand beside the context of another."""
    found = Certificates(*issued.write(tmp_path))
    between, last = ROOT.issue(HOST), ROOT.issue(HOST)
    between.write(tmp_path)

    def read_and_be_overtaken(cert: Path, key: Path) -> certificates.Pair:
        pair = read_pair(cert, key)
        replace_by_rename(tmp_path, last)
        return pair

    with monkeypatch.context() as patch:
        patch.setattr(certificates, "read_pair", read_and_be_overtaken)
        found.refresh()
    assert shown(found.context) == issued.der
    found.refresh()

    assert shown(found.context) == last.der


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(certificates, "time", SimpleNamespace(monotonic=lambda: self.seconds))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def spoil_key(folder: Path) -> None:
    (folder / "privkey.pem").write_bytes(ROOT.issue(HOST).key_pem())


def remove_cert(folder: Path) -> None:
    (folder / "fullchain.pem").unlink()


def encrypt_key(folder: Path) -> None:
    (folder / "privkey.pem").write_bytes(ROOT.issue(HOST).key_pem(b"sesame"))


def folder_for_key(folder: Path) -> None:
    (folder / "privkey.pem").unlink()
    (folder / "privkey.pem").mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_key, "is not the key of"),
        (remove_cert, "there is no file"),
        (encrypt_key, "is encrypted"),
        (folder_for_key, "is a folder"),
    ],
)
def test_a_bad_replacement_keeps_the_last_good_and_is_logged_once(
    tmp_path: Path, log: list[Any], issued: Issued, clock: Clock, spoil: Callable[[Path], None], words: str
) -> None:
    found = Certificates(*issued.write(tmp_path))

    spoil(tmp_path)
    for _ in range(200):
        found.refresh()
        clock.seconds += 1

    assert shown(found.context) == issued.der
    assert found.expires_at == issued.cert.not_valid_after_utc
    ((level, event, fields),) = log
    assert (level, event) == ("error", "new certificate not usable; the one before stays in use")
    assert words in fields["reason"]


def test_what_is_bad_is_logged_after_ten_seconds_and_anew_when_it_changes(
    tmp_path: Path, log: list[Any], issued: Issued, clock: Clock
) -> None:
    found = Certificates(*issued.write(tmp_path))
    told_at = []
    for second in range(40):
        if second in (0, 20):
            spoil_key(tmp_path)
        found.refresh()
        if len(log) > len(told_at):
            told_at.append(second)
        clock.seconds += 1

    assert told_at == [10, 30]


def test_a_pair_mended_after_the_alarm_is_taken(tmp_path: Path, issued: Issued, clock: Clock) -> None:
    found = Certificates(*issued.write(tmp_path))
    spoil_key(tmp_path)
    for _ in range(15):
        found.refresh()
        clock.seconds += 1

    new = ROOT.issue(HOST)
    new.write(tmp_path)
    found.refresh()

    assert shown(found.context) == new.der


def test_a_cause_that_changes_no_file_is_overcome_within_a_minute(
    tmp_path: Path, log: list[Any], issued: Issued, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Certificates(*issued.write(tmp_path))
    new = ROOT.issue(HOST)
    new.write(tmp_path)
    reads = []

    def no_descriptor(path: Path) -> bytes:
        reads.append(path)
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", no_descriptor)
        for _ in range(60):
            found.refresh()
            clock.seconds += 1
    assert len(reads) == 11
    assert "Too many open files" in log[0][2]["reason"]
    for _ in range(60):
        found.refresh()
        clock.seconds += 1

    assert shown(found.context) == new.der


def test_a_renewal_that_came_expired_is_taken_and_told(tmp_path: Path, log: list[Any], issued: Issued) -> None:
    found = Certificates(*issued.write(tmp_path))

    ROOT.issue(HOST, ends=timedelta(days=-2)).write(tmp_path)
    found.refresh()

    assert [level for level, _, _ in log] == ["info", "error"]


def test_the_figure_of_all_workers_is_the_earliest_and_a_worker_without_a_certificate_has_none(tmp_path: Path) -> None:
    """A figure of 0 from such a worker would be an alarm for ever."""

    def worker(code: str) -> str:
        run = [sys.executable, "-c", f"from gateway import metrics; {code}"]
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        return subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout

    for code in ("2e9", "1.9e9", ""):
        worker(f"metrics.CERTIFICATE_EXPIRES_SECONDS.labels('smtp.tls_cert').set({code})" if code else "")

    figures = worker("print(metrics.exposition().decode())").splitlines()
    found = [line for line in figures if line.startswith("gateway_certificate")]
    assert found == ['gateway_certificate_expires_seconds{setting="smtp.tls_cert"} 1.9e+09']


def test_log_lines_can_be_written_by_the_real_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as lines:
        Certificates(*ROOT.issue(HOST, ends=timedelta(days=3)).write(tmp_path))

    assert [line["log_level"] for line in lines] == ["warning"]
    assert capsys.readouterr() == ("", "")
