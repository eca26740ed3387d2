"""A company's Postfix forwards its alias to the gateway: over TLS, again after our 4xx, whatever the message is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import missing
from tests.peers.conftest import CUT_OFF, MAX_MESSAGE_BYTES, PUT_OFF, PUT_OFF_ONCE, Edge
from tests.servers.gateway import mail
from tests.servers.postfix import HOW_TO_GET_IT, PostfixServer, is_available

RECEIVED = re.compile(rb"Received: from [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)+")
"""The trace field that Postfix puts on top of what it takes (RFC 5321 section 4.4)."""
LINE_LIMIT = 998


@pytest.fixture(scope="module")
def postfix(edge: Edge) -> Iterator[PostfixServer]:
    if not is_available():
        missing(HOW_TO_GET_IT)
    here = f"[127.0.0.1]:{edge.port}"
    names = ("support", "secured", "tls12", "clear", "lmtp")
    services = {
        "secured": ("smtp", {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "mx.gw.test"}),
        "tls12": ("smtp", {"smtp_tls_mandatory_protocols": "TLSv1.2"}),
        "clear": ("smtp", {"smtp_tls_security_level": "none"}),
    }
    with PostfixServer(
        aliases={f"{n}@company.test": f"{n}@acme.gw.test" for n in names},
        transports={
            **{f"{n}@acme.gw.test": f"{n}:{here}" for n in services},
            **{f"lmtp{n}@acme.gw.test": f"lmtp:unix:{edge.lmtp_socket}" for n in ("", "-too")},
            "lmtp@unknown.gw.test": f"lmtp:unix:{edge.lmtp_socket}",
            ".gw.test": f"smtp:{here}",
        },
        services=services,
        settings={
            "smtp_tls_security_level": "encrypt",
            "smtp_tls_CAfile": str(edge.ca_file),
            "message_size_limit": str(4 * MAX_MESSAGE_BYTES),
            "smtp_line_length_limit": str(LINE_LIMIT),
        },
    ) as server:
        yield server


def _forwarded(raw: bytes) -> bytes:
    """A kept message without what Postfix put on top."""
    [top] = [m for m in [RECEIVED.match(raw)] if m]
    assert b"by mail.company.test (Postfix)" in top[0]
    return raw[top.end() :]


# --- TLS ---


def test_an_alias_is_forwarded_over_tls_and_kept_byte_for_byte(edge: Edge, postfix: PostfixServer) -> None:
    content = mail("postfix-tls")
    attempt = postfix.deliver(content)
    message = edge.kept("postfix-tls@customer.test")
    assert (attempt.status, attempt.reply) == ("sent", f"250 2.0.0 {message['trace']} accepted")
    assert _forwarded(edge.raw("postfix-tls@customer.test")) == content
    assert message["recipients"] == ["support@acme.gw.test"]
    assert message["reverse_path"] == "anna@customer.test"
    client = edge.client_of("postfix-tls@customer.test")
    assert (client["ip"], client["helo"]) == ("127.0.0.1", "mail.company.test")
    assert (client["tls"] or "").startswith("TLSv1.3 ")


@pytest.mark.parametrize(("service", "spoken"), [("secured", "TLSv1.3"), ("tls12", "TLSv1.2")])
def test_the_trace_names_the_tls_that_postfix_logs(
    edge: Edge, postfix: PostfixServer, service: str, spoken: str
) -> None:
    queue_id = postfix.submit(mail(f"postfix-{service}"), f"{service}@company.test")
    [attempt] = postfix.finished(queue_id)
    assert attempt.status == "sent"
    proven = "Verified" if service == "secured" else "Trusted"
    established = re.search(
        rf"{proven} TLS connection established to .*:{edge.port}: (\S+) with cipher (\S+)", postfix.tls_of(queue_id)
    )
    assert established
    assert established[1] == spoken
    assert edge.client_of(f"postfix-{service}@customer.test")["tls"] == f"{established[1]} {established[2]}"


def test_without_tls_the_trace_says_so(edge: Edge, postfix: PostfixServer) -> None:
    assert postfix.deliver(mail("postfix-clear"), "clear@company.test").status == "sent"
    assert edge.client_of("postfix-clear@customer.test")["tls"] is None


# --- again ---


def test_after_our_451_it_comes_again_until_one_ticket_is_there(edge: Edge, postfix: PostfixServer) -> None:
    attempts = postfix.finished(postfix.submit(mail("postfix-again", text=PUT_OFF)))
    assert [a.status for a in attempts] == ["deferred", "deferred", "sent"]
    assert all("said: 451 4.3.0 " in a.reply for a in attempts[:2])
    assert attempts[-1].reply == f"250 2.0.0 {edge.kept('postfix-again@customer.test')['trace']} accepted"


def test_a_reply_that_got_lost_behind_the_commit_makes_no_second_ticket(edge: Edge, postfix: PostfixServer) -> None:
    attempts = postfix.finished(postfix.submit(mail("postfix-lost-reply", text=CUT_OFF)))
    assert "lost connection" in attempts[0].reply
    assert attempts[-1].reply == f"250 2.0.0 {edge.kept('postfix-lost-reply@customer.test')['trace']} accepted"


def test_many_at_once_are_one_ticket_each(edge: Edge, postfix: PostfixServer) -> None:
    ids = [postfix.submit(mail(f"postfix-many-{n}", author=f"many{n}@customer.test")) for n in range(20)]
    assert {a.status for queue_id in ids for a in postfix.finished(queue_id)} == {"sent"}
    for n in range(20):
        assert edge.kept(f"postfix-many-{n}@customer.test")


def test_two_accounts_in_one_transaction_get_a_message_each(edge: Edge, postfix: PostfixServer) -> None:
    """Through one next hop Postfix names both at once: the second is put off and comes again by itself."""
    queue_id = postfix.submit(mail("postfix-two"), ["support@acme.gw.test", "help@globex.gw.test"])
    attempts = postfix.finished(queue_id)
    assert [a.recipient for a in attempts if a.status == "sent"] == ["support@acme.gw.test", "help@globex.gw.test"]
    [put_off] = [a for a in attempts if a.status == "deferred"]
    assert "452 4.5.3" in put_off.reply
    assert edge.kept("postfix-two@customer.test")["recipients"] == ["support@acme.gw.test"]
    assert [m["message_id"] for m in edge.gateway.messages("globex")] == ["postfix-two@customer.test"]


# --- what the message is like ---


MIME = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def _with_text(n: str, *lines: str) -> bytes:
    head, _, _ = mail(n).partition(b"\r\n\r\n")
    return b"\r\n".join([MIME + head, b"", *(line.encode() for line in lines), b""])


def test_8bit_text_is_kept_as_it_is(edge: Edge, postfix: PostfixServer) -> None:
    """A server without 8BITMIME and SMTPUTF8 would get it from Postfix as quoted-printable."""
    content = _with_text("postfix-8bit", "Grüße aus Köln — 漢字", "é" * 400)
    assert postfix.deliver(content, options=["BODY=8BITMIME"]).status == "sent"
    assert _forwarded(edge.raw("postfix-8bit@customer.test")) == content


def test_an_internationalized_address_and_header_are_kept(edge: Edge, postfix: PostfixServer) -> None:
    content = mail("postfix-utf8").replace(b"Subject: ", "Subject: Größe, ".encode())
    sender = "jürgen@customer.test"
    queue_id = postfix.submit(content, sender=sender, options=["SMTPUTF8", "BODY=8BITMIME"])
    assert [a.status for a in postfix.finished(queue_id)] == ["sent"]
    message = edge.kept("postfix-utf8@customer.test")
    assert (message["reverse_path"], message["subject"]) == (sender, "Größe, Question postfix-utf8")
    assert _forwarded(edge.raw("postfix-utf8@customer.test")) == content


def test_a_very_long_line_is_kept_as_postfix_folds_it(edge: Edge, postfix: PostfixServer) -> None:
    long = "".join(str(n % 10) for n in range(5000))
    assert postfix.deliver(_with_text("postfix-long", long)).status == "sent"
    # the blank that begins a continued line is one of its octets
    rest = range(LINE_LIMIT, len(long), LINE_LIMIT - 1)
    folded = [long[:LINE_LIMIT], *(f" {long[i : i + LINE_LIMIT - 1]}" for i in rest)]
    assert _forwarded(edge.raw("postfix-long@customer.test")) == _with_text("postfix-long", *folded)


def test_dot_lines_are_kept(edge: Edge, postfix: PostfixServer) -> None:
    content = _with_text("postfix-dots", ".", "..", ".hidden", "QUIT", ". ", "", ".")
    assert postfix.deliver(content).status == "sent"
    assert _forwarded(edge.raw("postfix-dots@customer.test")) == content


def test_a_report_without_reverse_path_is_taken(edge: Edge, postfix: PostfixServer) -> None:
    content = mail("postfix-null")
    assert postfix.deliver(content, sender="").status == "sent"
    [message] = edge.all_kept("postfix-null@customer.test")
    assert message["reverse_path"] is None


# --- refused ---


def test_what_we_refuse_becomes_the_bounce_of_postfix_and_none_of_ours(edge: Edge, postfix: PostfixServer) -> None:
    owed = len(edge.gateway.outbox())
    queue_id = postfix.submit(mail("postfix-unknown"), "anybody@unknown.gw.test")
    [attempt] = postfix.finished(queue_id)
    assert (attempt.status, attempt.dsn) == ("bounced", "5.1.1")
    assert "said: 550 5.1.1 no such recipient here (in reply to RCPT TO command)" in attempt.reply
    bounce = postfix.bounce_of(queue_id)
    assert b"550 5.1.1 no such recipient here" in re.sub(rb"\s+", b" ", bounce)
    assert b"Status: 5.1.1" in bounce
    assert len(edge.gateway.outbox()) == owed
    assert edge.all_kept("postfix-unknown@customer.test") == []


def test_size_tells_postfix_before_it_sends(edge: Edge, postfix: PostfixServer) -> None:
    content = _with_text("postfix-big", *["x" * 70] * (MAX_MESSAGE_BYTES // 70))
    queue_id = postfix.submit(content)
    [attempt] = postfix.finished(queue_id)
    assert (attempt.status, attempt.dsn) == ("bounced", "5.3.4")
    assert re.match(rf"message size \d+ exceeds size limit {MAX_MESSAGE_BYTES} of server", attempt.reply)
    assert b"exceeds size limit" in re.sub(rb"\s+", b" ", postfix.bounce_of(queue_id))


# --- LMTP ---


def test_lmtp_answers_for_each_recipient(edge: Edge, postfix: PostfixServer) -> None:
    content = mail("postfix-lmtp")
    queue_id = postfix.submit(content, ["lmtp@company.test", "lmtp-too@acme.gw.test"])
    attempts = postfix.finished(queue_id)
    message = edge.kept("postfix-lmtp@customer.test")
    assert {(a.recipient, a.service, a.status) for a in attempts} == {
        ("lmtp@acme.gw.test", "lmtp", "sent"),
        ("lmtp-too@acme.gw.test", "lmtp", "sent"),
    }
    assert {a.reply for a in attempts} == {f"250 2.0.0 {message['trace']} accepted"}
    assert sorted(message["recipients"]) == ["lmtp-too@acme.gw.test", "lmtp@acme.gw.test"]
    assert _forwarded(edge.raw("postfix-lmtp@customer.test")) == content


def test_lmtp_refuses_one_recipient_and_keeps_the_other(edge: Edge, postfix: PostfixServer) -> None:
    queue_id = postfix.submit(mail("postfix-lmtp-one"), ["lmtp@unknown.gw.test", "lmtp@company.test"])
    replies = {a.recipient: (a.status, a.reply) for a in postfix.finished(queue_id)}
    trace = edge.kept("postfix-lmtp-one@customer.test")["trace"]
    assert replies["lmtp@acme.gw.test"] == ("sent", f"250 2.0.0 {trace} accepted")
    status, reply = replies["lmtp@unknown.gw.test"]
    assert status == "bounced"
    assert "550 5.1.1 no such recipient here" in reply


def test_lmtp_puts_off_every_recipient_and_then_keeps_one_message(edge: Edge, postfix: PostfixServer) -> None:
    content = mail("postfix-lmtp-again", text=PUT_OFF_ONCE)
    attempts = postfix.finished(postfix.submit(content, ["lmtp@company.test", "lmtp-too@acme.gw.test"]))
    assert [a.status for a in attempts] == ["deferred", "deferred", "sent", "sent"]
    assert {a.recipient for a in attempts[:2]} == {"lmtp@acme.gw.test", "lmtp-too@acme.gw.test"}
    assert sorted(edge.kept("postfix-lmtp-again@customer.test")["recipients"]) == [
        "lmtp-too@acme.gw.test",
        "lmtp@acme.gw.test",
    ]
