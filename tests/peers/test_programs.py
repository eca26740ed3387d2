"""Mail programs that others wrote hand in mail: swaks, msmtp and curl."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.peers.conftest import Edge, run, trace_in
from tests.servers.gateway import RunningGateway, mail
from tests.test_corpora_over_smtp import with_crlf

FROM, TO = "anna@customer.test", "support@acme.gw.test"
ODD = "\r\n".join(["Grüße", ".", "..", ".dot", "", "x" * 5000, "."])
"""A text with what programs get wrong: dots, lines over 998 octets, octets over 127."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "message.eml"


def _swaks(port: int, *options: str | Path) -> str:
    """It ends what `--data` gives with a line end of its own."""
    return run("swaks", "--server", "127.0.0.1", "--port", str(port), "--from", FROM, "--to", TO, *options)


# --- swaks ---


@pytest.mark.parametrize("pipelined", [False, True], ids=["in steps", "pipelined"])
@pytest.mark.parametrize("secured", [False, True], ids=["in clear", "over TLS"])
def test_swaks_delivers(edge: Edge, file: Path, pipelined: bool, secured: bool) -> None:
    message_id = f"swaks-{pipelined}-{secured}"
    content = mail(message_id, text=ODD)
    file.write_bytes(content.removesuffix(b"\r\n"))
    tls = ["--tls", "--tls-verify", "--tls-ca-path", edge.ca_file, "--tls-sni", "mx.gw.test"]
    options = [*(["--pipeline"] if pipelined else []), *(tls if secured else [])]
    trace = trace_in(_swaks(edge.port, *options, "--data", f"@{file}"))
    assert edge.by_trace(trace) == content
    assert edge.kept(f"{message_id}@customer.test")["trace"] == trace
    assert bool(edge.client_of(f"{message_id}@customer.test")["tls"]) is secured


def test_swaks_delivers_a_message_of_the_corpora(edge: Edge, corpora: Path, file: Path) -> None:
    content = with_crlf((corpora / "messages" / "stalwart-rfc" / "000.eml").read_bytes())
    file.write_bytes(content.removesuffix(b"\r\n"))
    assert edge.by_trace(trace_in(_swaks(edge.port, "--data", f"@{file}"))) == content


def test_swaks_speaks_lmtp_over_the_socket_and_hears_of_each_recipient(edge: Edge) -> None:
    options = ["--socket", edge.lmtp_socket, "--protocol", "LMTP", "--from", FROM, "--to", f"{TO},sales@acme.gw.test"]
    said = run("swaks", *options, "--data", mail("swaks-lmtp").decode())
    assert said.count(f"<-  250 2.0.0 {edge.kept('swaks-lmtp@customer.test')['trace']} accepted") == 2


@pytest.mark.parametrize(
    ("version", "family", "source"),
    [("1", "TCP4", "192.0.2.7"), ("1", "TCP6", "2001:db8::7"), ("2", "AF_INET", "192.0.2.8"), ("2", "AF_INET6", "2001:db8::8")],
)  # fmt: skip
def test_swaks_says_by_proxy_who_its_client_is(
    behind_proxy: RunningGateway, version: str, family: str, source: str
) -> None:
    dest = "2001:db8::1" if ":" in source else "192.0.2.1"
    addresses = [
        "--proxy-source",
        source,
        "--proxy-source-port",
        "40000",
        "--proxy-dest",
        dest,
        "--proxy-dest-port",
        "25",
    ]
    header = ["--proxy-version", version, "--proxy-family", family, *addresses]
    trace = trace_in(_swaks(behind_proxy.smtp_port, *header, "--data", mail(f"proxy-{source}").decode()))
    assert behind_proxy.trace(trace)["client"]["ip"] == source


# --- msmtp ---


def _msmtp(edge: Edge, content: bytes, *options: str | Path) -> str:
    server = ["--host=127.0.0.1", f"--port={edge.port}", "--domain=client.customer.test"]
    return run("msmtp", *server, *options, f"--from={FROM}", "--debug", TO, content=content)


@pytest.mark.parametrize("secured", [False, True], ids=["in clear", "over TLS"])
def test_msmtp_delivers(edge: Edge, secured: bool) -> None:
    """It reads lines that end with LF, as sendmail does, and adds nothing to a complete header."""
    content = mail(f"msmtp-{secured}", text=ODD)
    tls = ["--tls=on", f"--tls-trust-file={edge.ca_file}", "--tls-host-override=mx.gw.test"]
    said = _msmtp(edge, content.replace(b"\r\n", b"\n"), *(tls if secured else ["--tls=off"]))
    assert edge.by_trace(trace_in(said)) == content
    client = edge.client_of(f"msmtp-{secured}@customer.test")
    assert client["helo"] == "client.customer.test"
    assert bool(client["tls"]) is secured


def test_msmtp_completes_a_header_and_all_of_it_is_kept(edge: Edge) -> None:
    said = _msmtp(edge, b"Subject: short\n\nHello.\n", "--tls=off", "--set-msgid-header=auto")
    sent = edge.by_trace(trace_in(said))
    assert sent.endswith(b"Subject: short\r\n\r\nHello.\r\n")
    assert re.search(rb"^Date: ", sent, re.MULTILINE)


# --- curl ---


@pytest.mark.parametrize("secured", [False, True], ids=["in clear", "over TLS"])
def test_curl_delivers(edge: Edge, file: Path, secured: bool) -> None:
    content = mail(f"curl-{secured}", text=ODD)
    file.write_bytes(content)
    tls = ["--ssl-reqd", "--cacert", edge.ca_file] if secured else []
    url = f"smtp://mx.gw.test:{edge.port}/client.customer.test"
    who = ["--mail-from", FROM, "--mail-rcpt", TO, "--mail-rcpt", "sales@acme.gw.test"]
    said = run("curl", "-sSv", url, "--resolve", f"mx.gw.test:{edge.port}:127.0.0.1", *tls, *who, "-T", file)
    assert edge.by_trace(trace_in(said)) == content
    assert edge.kept(f"curl-{secured}@customer.test")["recipients"] == [TO, "sales@acme.gw.test"]
    assert bool(edge.client_of(f"curl-{secured}@customer.test")["tls"]) is secured


def test_curl_sends_a_form_as_a_mail_with_its_attachment(edge: Edge, file: Path) -> None:
    """Made by curl itself: multipart/mixed, base64."""
    file.write_bytes(bytes(range(256)) * 100)
    form = ["-F", "=(;type=multipart/mixed", "-F", "=See the attachment.;type=text/plain"]
    form += ["-F", f"file=@{file};type=application/octet-stream;encoder=base64", "-F", "=)"]
    head = [
        "-H",
        f"From: Anna <{FROM}>",
        "-H",
        f"To: {TO}",
        "-H",
        "Subject: A form",
        "-H",
        "Message-ID: <curl-form@customer.test>",
    ]
    url = f"smtp://127.0.0.1:{edge.port}/client.customer.test"
    run("curl", "-sSv", url, "--mail-from", FROM, "--mail-rcpt", TO, *form, *head)
    message = edge.kept("curl-form@customer.test")
    assert message["text"].strip() == "See the attachment."
    assert [(a["name"], a["size_bytes"]) for a in message["attachments"]] == [("message.eml", 25_600)]
