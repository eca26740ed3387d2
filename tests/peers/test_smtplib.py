"""Python's smtplib delivers: what scripts and monitoring systems all over the world use."""

from __future__ import annotations

import email.policy
import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.peers.conftest import Edge, trace_in
from tests.servers.gateway import mail
from tests.test_corpora_over_smtp import DELIBERATE, files, with_crlf

FROM, TO = "anna@customer.test", "support@acme.gw.test"


@pytest.fixture
def client(edge: Edge) -> Iterator[smtplib.SMTP]:
    """Greeted, and over TLS with a certificate that was proven."""
    context = ssl.create_default_context(cafile=edge.ca_file)
    with smtplib.SMTP(local_hostname="client.customer.test", timeout=60) as session:
        session.connect("127.0.0.1", edge.port)
        session._host = "mx.gw.test"
        session.starttls(context=context)
        session.ehlo()
        yield session


def test_starttls_then_sendmail_keeps_8bit_text(edge: Edge, client: smtplib.SMTP) -> None:
    content = mail("smtplib-8bit", text="Grüße\r\n.\r\n..\r\n漢字")
    assert client.sendmail(FROM, [TO], content, ["BODY=8BITMIME"]) == {}
    assert edge.raw("smtplib-8bit@customer.test") == content
    seen = edge.client_of("smtplib-8bit@customer.test")
    assert seen["helo"] == "client.customer.test"
    assert re.match(r"TLSv1\.[23] \S+$", seen["tls"] or "")


def test_starttls_is_offered_once_and_what_was_said_before_is_forgotten(client: smtplib.SMTP) -> None:
    assert "starttls" not in client.esmtp_features
    assert {"pipelining", "size", "8bitmime", "smtputf8", "chunking", "enhancedstatuscodes"} <= set(
        client.esmtp_features
    )


def _letter(name: str) -> EmailMessage:
    letter = EmailMessage(policy=email.policy.SMTP)
    letter["From"], letter["To"], letter["Subject"] = f"Anna <{FROM}>", TO, f"Größe {name}"
    letter["Message-ID"], letter["Date"] = f"<{name}@customer.test>", "Mon, 02 Feb 2026 10:00:00 +0000"
    letter.set_content("Grüße\n.\n" + "lang " * 300)
    letter.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="Übersicht.bin")
    letter.set_boundary("=_boundary")
    return letter


def test_send_message_keeps_what_the_policy_wrote(edge: Edge, client: smtplib.SMTP) -> None:
    letter = _letter("smtplib-message")
    assert client.send_message(letter) == {}
    message = edge.kept("smtplib-message@customer.test")
    assert edge.raw("smtplib-message@customer.test") == letter.as_bytes()
    assert [a["name"] for a in message["attachments"]] == ["Übersicht.bin"]


def test_send_message_says_smtputf8_for_an_internationalized_sender(edge: Edge, client: smtplib.SMTP) -> None:
    letter = _letter("smtplib-utf8")
    letter.replace_header("From", "Jürgen <jürgen@customer.test>")
    assert client.send_message(letter) == {}
    message = edge.kept("smtplib-utf8@customer.test")
    assert (message["author"]["name"], message["author"]["address"]) == ("Jürgen", "jürgen@customer.test")
    assert message["reverse_path"] == "jürgen@customer.test"


def test_a_refused_recipient_does_not_hold_up_the_others(edge: Edge, client: smtplib.SMTP) -> None:
    refused = client.sendmail(FROM, ["a@unknown.gw.test", TO], mail("smtplib-two"))
    assert refused == {"a@unknown.gw.test": (550, b"5.1.1 no such recipient here")}
    assert edge.kept("smtplib-two@customer.test")["recipients"] == [TO]


def test_a_mailbox_of_the_corpora_goes_through_one_session(edge: Edge, corpora: Path, client: smtplib.SMTP) -> None:
    """Kept byte for byte, or refused on purpose."""
    paths = files(corpora)
    contents = {p.name: with_crlf(p.read_bytes()) for p in paths[:: max(1, len(paths) // 30)][:30]}
    replies = {name: _transaction(client, content) for name, content in contents.items()}
    kept = {name: trace_in(reply) for name, reply in replies.items() if reply.startswith("250 ")}
    assert [name for name, trace in kept.items() if edge.by_trace(trace) != contents[name]] == []
    assert {reply.split()[1] for name, reply in replies.items() if name not in kept} <= DELIBERATE
    assert len(kept) >= 25, replies


def _transaction(client: smtplib.SMTP, content: bytes) -> str:
    assert client.mail(FROM)[0] == 250
    assert client.rcpt(TO)[0] == 250
    code, text = client.data(content)
    return f"{code} {text.decode('ascii')}"


def test_bytes_with_bare_line_feeds_are_refused_with_the_cure(edge: Edge, client: smtplib.SMTP) -> None:
    """smtplib mends the line ends of `str` alone: a file read as bytes goes out with its LF."""
    content = mail("smtplib-lf").replace(b"\r\n", b"\n")
    with pytest.raises(smtplib.SMTPDataError, match="lines end with CRLF"):
        client.sendmail(FROM, [TO], content)
    assert edge.all_kept("smtplib-lf@customer.test") == []
    assert client.sendmail(FROM, [TO], content.decode()) == {}
    assert edge.raw("smtplib-lf@customer.test") == content.replace(b"\n", b"\r\n")
