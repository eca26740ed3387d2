"""What a client hears: the reply table, the order of commands, and the odd ways in which clients behave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.core.errors import StorageFull, StoreUnavailable
from gateway.smtp import session as session_module
from gateway.smtp import transactions as transactions_module
from gateway.smtp.pace import STOPPING_SECONDS
from gateway.store import changes, named
from tests.servers.inprocess import Client, Gateway, dotted, fresh_ground, numbered, running, until

ACME = "support@acme.gw.test"


# --- greeting ---


async def test_the_banner_and_ehlo_name_the_host_and_what_is_offered(gateway: Gateway) -> None:
    async with gateway.client(hello=None) as client:
        reply = await client.say("EHLO client.test")
        assert reply.lines[0] == "250-mx.gw.test"
        offered = {line[4:].split()[0] for line in reply.lines[1:]}
        assert {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"} <= offered
        assert "250-SIZE 200000" in reply.lines
        assert not {"AUTH", "VRFY", "EXPN", "STARTTLS"} & offered


async def test_helo_gets_one_line(gateway: Gateway) -> None:
    async with gateway.client(hello=None) as client:
        reply = await client.say("HELO client.test")
        assert (reply.code, len(reply.lines)) == (250, 1)


@pytest.mark.parametrize("argument", ["", " ", "\0", "two words"])
async def test_a_greeting_without_a_name_is_refused(gateway: Gateway, argument: str) -> None:
    async with gateway.client(hello=None) as client:
        assert (await client.say(f"EHLO {argument}")).code == 501
        assert (await client.say("MAIL FROM:<a@customer.test>")).code == 503


async def test_verbs_are_case_insensitive(client: Client) -> None:
    assert (await client.say("mAiL fRoM:<carol@customer.test>")).code == 250
    assert (await client.say(f"rcpt to:<{ACME.upper()}>")).code == 250
    assert (await client.say("data")).code == 354
    await client.send(dotted(numbered("case")))
    assert (await client.reply()).code == 250


# --- the reply table ---


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("support@acme.gw.test", 250, "2.1.5"),
        ("Anything+tag@ACME.GW.TEST", 250, "2.1.5"),
        ("support@acme.gw.test.", 250, "2.1.5"),
        ("anyone@mail.acme.example", 250, "2.1.5"),
        ('"odd local"@acme.gw.test', 250, "2.1.5"),
        (f"{'x' * 255}@acme.gw.test", 250, "2.1.5"),
        (f"{'x' * 256}@acme.gw.test", 553, "5.1.3"),
        ("support@nobody.gw.test", 550, "5.1.1"),
        ("support@a.b.gw.test", 550, "5.1.1"),
        ("support@gw.test", 550, "5.1.1"),
        ("support@mx.gw.test", 550, "5.1.1"),
        ("victim@other.test", 550, "5.7.1"),
        ("victim@xgw.test", 550, "5.7.1"),
        ("victim@acme.gw.test.other.test", 550, "5.7.1"),
        ("support", 553, "5.1.3"),
        ("", 553, "5.1.3"),
        ("@acme.gw.test", 553, "5.1.3"),
        ("support@", 553, "5.1.3"),
        ("sup port@acme.gw.test", 553, "5.1.3"),
        ("support@acme..gw.test", 553, "5.1.3"),
        (".support@acme.gw.test", 553, "5.1.3"),
    ],
)
async def test_every_recipient_gets_the_reply_of_its_kind(
    client: Client, recipient: str, code: int, enhanced: str
) -> None:
    reply = (await client.begin(recipient))[-1]
    assert (reply.code, reply.enhanced) == (code, enhanced), reply


DISGUISES = [
    "victim@other.test",
    "victim%other.test@acme.gw.test",
    "victim%other.test@gw.test",
    "victim%other.test",
    "victim%other.test@[127.0.0.1]",
    "victim%other.test@",
    "other.test!victim",
    "other.test!victim@acme.gw.test",
    "acme.gw.test!victim@other.test",
    "victim@other.test@acme.gw.test",
    "victim@acme.gw.test@other.test",
    '"victim@other.test"',
    '"victim@other.test"@acme.gw.test',
    '"victim%other.test"@acme.gw.test',
    '"victim\\@other.test"@acme.gw.test',
    "@acme.gw.test:victim@other.test",
    "@other.test:victim@acme.gw.test",
    "@acme.gw.test,@mx.gw.test:victim@other.test",
    "victim:other.test@acme.gw.test",
    "victim@[192.0.2.1]",
    "victim@[127.0.0.1]",
    "victim@[IPv6:::1]",
    "victim@127.0.0.1",
    "victim@localhost",
    "victim@",
    "victim @other.test",
    " victim@other.test",
    "victim@other.test ",
    "<victim@other.test>",
    "victim@other.test>,<support@acme.gw.test",
    "victim@other.test\x0bsupport@acme.gw.test",
    "victim@other.test\rsupport@acme.gw.test",
    "victim@other.test\0@acme.gw.test",
    "support@acme.gw.test\0.other.test",
    "victim@acme.gw.test@",
    "victim@other.test.",
]


@pytest.mark.parametrize("sender", ["<x@acme.gw.test>", "<x@other.test>", "<>", "<postmaster@mx.gw.test>"])
async def test_no_disguise_makes_it_a_relay(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setattr(session_module, "MAX_ERRORS", 1000)
    monkeypatch.setattr(transactions_module, "SLOW_AFTER", 1000)
    monkeypatch.setattr(transactions_module, "ENOUGH_AFTER", 1000)
    monkeypatch.setattr(transactions_module, "SLOW_AFTER_OF_NETWORK", 1000)
    async with gateway.client() as client:
        assert (await client.say(f"MAIL FROM:{sender}")).code == 250
        for disguise in DISGUISES:
            reply = await client.say(f"RCPT TO:<{disguise}>")
            assert reply.code in (501, 550, 553, 555), (disguise, str(reply))
            assert reply.enhanced.startswith("5."), (disguise, str(reply))
        assert (await client.say("DATA")).code == 503


@pytest.mark.parametrize(
    "argument",
    [
        "TO:victim@other.test",
        "TO: victim@other.test",
        "TO:<victim@other.test",
        "TO:victim@other.test>",
        "TO <a@b.test>",
        "TO:<support@acme.gw.test><victim@other.test>",
        "TO:<support@acme.gw.test>,<victim@other.test>",
        "TO:",
        "",
    ],
)
async def test_a_recipient_without_its_brackets_is_bad_syntax(client: Client, argument: str) -> None:
    await client.say("MAIL FROM:<x@customer.test>")
    reply = await client.say(f"RCPT {argument}")
    assert (reply.code, reply.enhanced) == (501, "5.5.4")


@pytest.mark.parametrize("claim", ["EHLO mx.gw.test", "EHLO localhost", "HELO acme.gw.test", "EHLO [127.0.0.1]"])
async def test_whatever_the_client_calls_itself_opens_nothing(gateway: Gateway, claim: str) -> None:
    async with gateway.client(hello=claim) as client:
        assert (await client.begin("victim@other.test", sender="<root@mx.gw.test>"))[-1].enhanced == "5.7.1"


@pytest.mark.parametrize(
    ("path", "code", "enhanced"),
    [
        ("<>", 250, "2.1.0"),
        ("<a..b@docomo.test>", 250, "2.1.0"),
        ("<SRS0=hash/+=tt=domain.test=user@forwarder.test>", 250, "2.1.0"),
        ("<a@b@c.test>", 553, "5.1.7"),
        ("<nobody>", 553, "5.1.7"),
        ("<a b@c.test>", 553, "5.1.7"),
        ("<@relay.test:a@c.test>", 553, "5.1.7"),
        ("<a@[300.1.1.1]>", 553, "5.1.7"),
        ("<a@[IPv6:::1%eth0]>", 553, "5.1.7"),
        ("<ärger@c.test>", 553, "5.6.7"),
        ("<a@bücher.test>", 553, "5.6.7"),
        ("<ärger@bücher.test> SMTPUTF8", 250, "2.1.0"),
        ("a@c.test", 501, "5.5.4"),
        ("<a@c.test", 501, "5.5.4"),
        ("<a@c.test>SIZE=10", 501, "5.5.4"),
        ("<a@c.test> SIZE=200000", 250, "2.1.0"),
        ("<a@c.test> size=200000 body=8bitmime", 250, "2.1.0"),
        ("<a@c.test> SIZE=200001", 552, "5.3.4"),
        ("<a@c.test> SIZE=99999999999999999999", 552, "5.3.4"),
        ("<a@c.test> SIZE=-1", 555, "5.5.4"),
        ("<a@c.test> SIZE=", 555, "5.5.4"),
        ("<a@c.test> SIZE=١٠", 555, "5.5.4"),
        ("<a@c.test> BODY=BINARYMIME", 555, "5.5.4"),
        ("<a@c.test> SMTPUTF8=yes", 555, "5.5.4"),
        ("<a@c.test> AUTH=<>", 555, "5.5.4"),
        ("<a@c.test> NONSENSE", 555, "5.5.4"),
    ],
)
async def test_every_sender_gets_the_reply_of_its_kind(client: Client, path: str, code: int, enhanced: str) -> None:
    reply = await client.say(f"MAIL FROM:{path}")
    assert (reply.code, reply.enhanced) == (code, enhanced), reply


async def test_octets_that_are_no_utf8_are_no_address(client: Client) -> None:
    assert (await client.say(b"MAIL FROM:<\xff\xfe@c.test> SMTPUTF8")).enhanced == "5.6.7"
    await client.say("MAIL FROM:<a@c.test> SMTPUTF8")
    assert (await client.say(b"RCPT TO:<\xff@acme.gw.test>")).enhanced == "5.6.7"


async def test_recipient_parameters_are_not_known(client: Client) -> None:
    await client.say("MAIL FROM:<a@c.test>")
    reply = await client.say(f"RCPT TO:<{ACME}> NOTIFY=NEVER")
    assert (reply.code, reply.enhanced) == (555, "5.5.4")


async def test_an_internationalised_recipient_needs_smtputf8(client: Client) -> None:
    await client.say("MAIL FROM:<a@c.test>")
    assert (await client.say("RCPT TO:<münchen@acme.gw.test>")).enhanced == "5.6.7"
    await client.say("RSET")
    await client.say("MAIL FROM:<a@c.test> SMTPUTF8")
    assert (await client.say("RCPT TO:<münchen@acme.gw.test>")).code == 250
    assert (await client.say("RCPT TO:<support@acme。gw．test>")).code == 250  # full stops that IDNA maps
    assert (await client.say("RCPT TO:<support@acmⅇ.gw.test>")).code == 250  # UTS 46 maps a domain's letters,
    reply = await client.say("RCPT TO:<support@аcme.gw.test>")  # never Cyrillic to Latin
    assert reply.enhanced == "5.1.1"


async def test_smtputf8_mail_is_kept_with_its_addresses(gateway: Gateway, client: Client) -> None:
    await client.say("MAIL FROM:<jürgen@customer.test> SMTPUTF8")
    await client.say("RCPT TO:<münchen@acme.gw.test>")
    await client.say("DATA")
    await client.send(dotted("From: jürgen@customer.test\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()))
    reply = await client.reply()
    assert reply.code == 250
    line = gateway.log()[-1]
    assert (line["reverse_path"], line["recipients"]) == ("jürgen@customer.test", ["münchen@acme.gw.test"])


@pytest.mark.parametrize(
    ("line", "code", "enhanced"),
    [
        ("RCPT TO:<support@acme.gw.test>", 503, "5.5.1"),
        ("DATA", 503, "5.5.1"),
        ("DATA now", 501, "5.5.4"),
        ("VRFY support", 252, "2.1.5"),
        ("EXPN list", 502, "5.5.1"),
        ("AUTH PLAIN AAAA", 502, "5.5.1"),
        ("STARTTLS", 454, "4.7.0"),
        ("ETRN x", 502, "5.5.1"),
        ("NONSENSE", 500, "5.5.2"),
        ("", 500, "5.5.2"),
        ("MAIL", 501, "5.5.4"),
        ("MAIL FROM", 501, "5.5.4"),
        ("MAILFROM:<a@c.test>", 500, "5.5.2"),
        ("NOOP", 250, "2.0.0"),
        ("NOOP with words", 250, "2.0.0"),
        ("HELP", 214, "2.0.0"),
        ("RSET", 250, "2.0.0"),
    ],
)
async def test_commands_out_of_place_get_the_reply_of_their_kind(
    client: Client, line: str, code: int, enhanced: str
) -> None:
    reply = await client.say(line)
    assert (reply.code, reply.enhanced) == (code, enhanced), reply
    assert (await client.say("NOOP")).code == 250


async def test_mail_wants_a_greeting_first(gateway: Gateway) -> None:
    async with gateway.client(hello=None) as client:
        reply = await client.say("MAIL FROM:<a@customer.test>")
        assert (reply.code, reply.enhanced) == (503, "5.5.1")


async def test_a_second_mail_within_a_transaction_is_out_of_sequence(client: Client) -> None:
    await client.say("MAIL FROM:<a@customer.test>")
    assert (await client.say("MAIL FROM:<b@customer.test>")).code == 503
    assert (await client.say(f"RCPT TO:<{ACME}>")).code == 250


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a\0@customer.test>",
        b"MAIL FROM:<a@customer.test>\0",
        b"MAIL FROM:<a@customer.test> \0",
        b"\0MAIL FROM:<a@customer.test>",
        b"MAIL\0FROM:<a@customer.test>",
        b"EHLO a\0b",
        b"NOOP\0",
        b"\0",
    ],
)
async def test_a_nul_in_a_command_is_refused_and_the_session_goes_on(client: Client, line: bytes) -> None:
    reply = await client.say(line)
    assert reply.code in (501, 553), reply
    assert (await client.say("NOOP")).code == 250


async def test_a_command_over_the_limit_is_refused_once_and_the_session_goes_on(client: Client) -> None:
    assert (await client.say(b"MAIL FROM:<" + b"a" * 300_000 + b"@customer.test>")).code == 500
    assert (await client.say("NOOP")).code == 250


async def test_more_than_twenty_errors_end_the_session(client: Client) -> None:
    codes = [(await client.say("NONSENSE")).code for _ in range(20)]
    assert set(codes) == {500}
    last = await client.say("NONSENSE")
    assert (last.code, last.enhanced) == (421, "4.7.0")
    with pytest.raises(EOFError):
        await client.reply()


# --- transactions ---


async def test_one_transaction_serves_one_account_and_the_client_sends_the_other_again(
    gateway: Gateway, client: Client
) -> None:
    replies = await client.begin(ACME, "help@globex.gw.test", "billing@acme.gw.test", "postmaster")
    assert [r.enhanced for r in replies] == ["2.1.0", "2.1.5", "4.5.3", "2.1.5", "4.5.3"]
    assert replies[2].code == 452
    await client.say("DATA")
    await client.send(dotted(numbered("two")))
    assert (await client.reply()).code == 250
    line = gateway.log()[-1]
    assert line["recipients"] == [ACME, "billing@acme.gw.test", "help@globex.gw.test", "postmaster"]
    assert gateway.messages("acme")[0]["recipients"] == [ACME, "billing@acme.gw.test"]
    assert (await client.mail(numbered("two"), "help@globex.gw.test")).code == 250
    assert len(gateway.messages("globex")) == 1


async def test_both_domains_of_an_account_are_one_account(client: Client) -> None:
    replies = await client.begin(ACME, "x@mail.acme.example", "postmaster@acme.gw.test")
    assert [r.code for r in replies] == [250, 250, 250, 250]


async def test_a_recipient_given_twice_is_kept_once(gateway: Gateway, client: Client) -> None:
    assert (await client.mail(numbered(1), ACME, ACME.replace("acme", "ACME"), ACME)).code == 250
    assert gateway.messages()[0]["recipients"] == [ACME]


@pytest.mark.parametrize(
    ("address", "account", "mailbox"),
    [
        ("postmaster", "system", "postmaster@system.gw.test"),
        ("PostMaster", "system", "postmaster@system.gw.test"),
        ("abuse", "system", "postmaster@system.gw.test"),
        ("postmaster@gw.test", "system", "postmaster@system.gw.test"),
        ("Abuse@mx.gw.test", "system", "postmaster@system.gw.test"),
        ("postmaster@acme.gw.test", "acme", "support@acme.test"),
        ("abuse@mail.acme.example", "acme", "support@acme.test"),
        ("abuse@globex.gw.test", "globex", "support@globex.gw.test"),
    ],
)
async def test_postmaster_and_abuse_are_taken_everywhere(
    gateway: Gateway, client: Client, address: str, account: str, mailbox: str
) -> None:
    assert (await client.mail(numbered(address), address)).code == 250
    assert gateway.messages(account)[0]["mailbox"] == mailbox


async def test_the_null_reverse_path_is_none(gateway: Gateway, client: Client) -> None:
    assert (await client.mail(numbered(1), sender="<>")).code == 250
    assert gateway.log()[-1]["reverse_path"] is None
    assert gateway.messages()[0]["reverse_path"] is None


@pytest.mark.parametrize("reset", ["RSET", "EHLO again.test", "HELO again.test"])
async def test_a_reset_forgets_the_transaction(client: Client, reset: str) -> None:
    await client.begin(ACME)
    assert (await client.say(reset)).code == 250
    assert (await client.say("DATA")).code == 503
    assert (await client.say(f"RCPT TO:<{ACME}>")).code == 503
    assert (await client.mail(numbered(reset))).code == 250


async def test_many_messages_in_one_session_are_each_kept(gateway: Gateway, client: Client) -> None:
    traces = {(await client.mail(numbered(n))).trace for n in range(5)}
    assert len(traces) == 5
    assert len(gateway.messages()) == 5


async def test_a_pipelined_group_is_answered_in_order(gateway: Gateway, client: Client) -> None:
    wire = f"MAIL FROM:<carol@customer.test>\r\nRCPT TO:<{ACME}>\r\nRCPT TO:<x@other.test>\r\nDATA\r\n".encode()
    await client.send(wire)
    assert [(await client.reply()).code for _ in range(4)] == [250, 250, 550, 354]
    # the next transaction right behind the final dot
    second = f"MAIL FROM:<carol@customer.test>\r\nRCPT TO:<{ACME}>\r\nDATA\r\n".encode()
    await client.send(dotted(numbered(1)) + second)
    assert [(await client.reply()).code for _ in range(4)] == [250, 250, 250, 354]
    await client.send(dotted(numbered(2)) + b"NOOP\r\nQUIT\r\n")
    assert [(await client.reply()).code for _ in range(3)] == [250, 250, 221]
    assert {m["subject"] for m in gateway.messages()} == {"Pump 1", "Pump 2"}


async def test_a_retry_of_what_was_kept_is_accepted_even_where_the_policy_refuses_it_by_now(
    gateway: Gateway, client: Client
) -> None:
    content = numbered("kept-before")
    first = await client.mail(content)
    assert first.code == 250
    store = gateway.ground.store
    account = named.account_id(store, "acme")
    changes.publish_policy(store, account, "block: [{subject: {contains: kept-}}]")
    gateway.line.directory.refresh()
    again = await client.mail(content)
    assert (again.code, again.trace) == (250, first.trace)
    assert (await client.mail(numbered("kept-never"))).code == 550


async def test_a_byte_identical_retry_gets_the_first_trace(gateway: Gateway, client: Client) -> None:
    first = await client.mail(numbered(1), ACME, "billing@acme.gw.test")
    second = await client.mail(numbered(1), "billing@acme.gw.test", ACME, sender="<SRS0=x=y=z=carol@forwarder.test>")
    assert str(first) == str(second)
    assert len(gateway.messages()) == 1


async def test_eight_bit_content_and_nul_are_kept_byte_for_byte(gateway: Gateway, client: Client) -> None:
    content = b"From: carol@customer.test\r\nSubject: \xff\xfe raw \x80\r\n\r\n" + bytes(
        b for b in range(256) if b not in b"\r\n"
    )
    content += b"\r\nbare\nline feeds\n.\n..\r\n.\x00not\r\n..stuffed\r\n"
    reply = await client.mail(content)
    assert reply.code == 250
    assert gateway.raw(gateway.messages()[0]["id"]) == content


async def test_a_message_of_one_empty_line_or_none_is_taken_or_refused_but_never_breaks(
    gateway: Gateway, client: Client
) -> None:
    for content in (b"", b"\r\n", b"\r\n\r\n", b"no header at all\r\n", b":\r\n", b"a"):
        reply = await client.mail(content)
        assert reply.code == 250, (content, str(reply))
    assert {m["disposition"] for m in gateway.messages()} == {"ticketed"}


@pytest.mark.parametrize(
    "wire",
    [
        b"Subject: a\r\n\r\nb\r\n.\rMAIL\r\n.\r\n",
        b"Subject: a\r\n\r\nbare\rreturn\r\n.\r\n",
        b"Subject: a\nX: b\r\n\r\nbody\r\n.\r\n",
        b"Subject: a\n\nbody\n.\r\n\r\n.\r\n",
        b"Subject: a\r\n\r\n\x00.\r\nMAIL FROM:<x@y.test>\r\n.\r\n",
        b"Subject: a\r\n\r\nb\r\n.\x00\r\nMAIL FROM:<x@y.test>\r\n.\r\n",
    ],
)
async def test_bad_framing_is_refused_once_and_the_session_stays_in_step(
    gateway: Gateway, client: Client, wire: bytes
) -> None:
    await client.begin(ACME)
    await client.say("DATA")
    await client.send(wire)
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (550, "5.6.0")
    assert (await client.say("NOOP")).code == 250
    assert (await gateway.log_line())["reason"] == "bad-framing"
    assert gateway.trace(reply.trace)["outcome"] == "refused"


SMUGGLED = b"MAIL FROM:<admin@acme.test>\r\nRCPT TO:<support@acme.gw.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n..\r\n", b"\n\n.\n\n", b"\n..\r\n"])
async def test_an_end_that_is_none_smuggles_nothing(gateway: Gateway, client: Client, end: bytes) -> None:
    content = b"From: a@customer.test\r\nSubject: cover\r\n\r\ntext" + end + SMUGGLED
    await client.begin(ACME)
    await client.say("DATA")
    await client.send(content + b"\r\n.\r\n")
    reply = await client.reply()
    assert reply.code in (250, 550)
    assert (await client.say("NOOP")).code == 250
    assert [m["subject"] for m in gateway.messages()] == (["cover"] if reply.code == 250 else [])


async def test_a_message_over_the_size_is_refused_after_its_dot_and_the_next_is_taken(
    gateway: Gateway, client: Client
) -> None:
    big = numbered("big") + b"x" * 998 + b"\r\n"
    reply = await client.mail(big + (b"y" * 998 + b"\r\n") * 200)
    assert (reply.code, reply.enhanced) == (552, "5.3.4")
    assert (await gateway.log_line())["reason"] == "too-big"
    assert (await client.mail(numbered("next"))).code == 250


async def test_the_largest_message_is_taken_however_many_of_its_lines_begin_with_a_dot(
    gateway: Gateway, client: Client
) -> None:
    """RFC 1870 section 3: doubled dots are not counted."""
    content = numbered("dots")
    content += b".\r\n" * ((200_000 - len(content)) // 3)
    content += b"x" * (200_000 - len(content) - 2) + b"\r\n"
    assert len(content) == 200_000
    reply = await client.mail(content)
    assert reply.code == 250, reply
    assert gateway.raw(gateway.messages()[0]["id"]) == content


async def test_a_forged_author_is_refused_in_the_session(gateway: Gateway, client: Client) -> None:
    reply = await client.mail(b"From: ceo@strict.test\r\nSubject: Pay\r\n\r\nnow\r\n", sender="<x@strict.test>")
    assert (reply.code, reply.enhanced) == (550, "5.7.26")
    assert gateway.trace(reply.trace)["reason"] == "forged"
    assert gateway.messages() == []


async def test_a_loop_is_refused(client: Client) -> None:
    received = ["Received: from a by b; Mon, 02 Feb 2026 10:00:00 +0000"] * 51
    reply = await client.mail(numbered("loop", *received))
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
    assert (await client.mail(numbered("fifty", *received[1:]))).code == 250


async def test_every_reply_from_mail_on_has_an_enhanced_code_of_its_class(client: Client) -> None:
    lines = [
        "MAIL FROM:<a@c.test> SIZE=1",
        f"RCPT TO:<{ACME}>",
        "RCPT TO:<x@other.test>",
        "RCPT TO:<help@globex.gw.test>",
    ]
    lines += ["RCPT", "NOOP", "VRFY x", "HELP", "EXPN x", "FOO", "MAIL FROM:<b@c.test>", "DATA x", "DATA"]
    for line in lines:
        reply = await client.say(line)
        if reply.code == 354:
            break
        assert reply.enhanced[0] == str(reply.code)[0], (line, str(reply))
        assert reply.enhanced.count(".") == 2, (line, str(reply))
    await client.send(dotted(numbered(1)))
    reply = await client.reply()
    assert (reply.code, reply.enhanced, len(reply.trace)) == (250, "2.0.0", 16)
    assert (await client.say("QUIT")).enhanced == "2.0.0"


# --- clients that leave ---


async def test_a_half_close_after_the_final_dot_still_gets_the_reply(gateway: Gateway, client: Client) -> None:
    await client.begin(ACME)
    await client.say("DATA")
    await client.send(dotted(numbered(1)))
    client.half_close()
    assert (await client.reply()).code == 250
    assert len(gateway.messages()) == 1


async def test_a_client_that_vanishes_after_the_final_dot_has_sent_its_message(gateway: Gateway) -> None:
    async with gateway.client() as client:
        await client.begin(ACME)
        await client.say("DATA")
        await client.send(dotted(numbered(1)))
        client.cut()
    assert (await gateway.log_line())["outcome"] == "accepted"
    async with gateway.client() as client:
        assert (await client.mail(numbered(1))).trace == gateway.messages()[0]["trace"]


@pytest.mark.parametrize("how", ["close", "half_close", "cut"])
async def test_a_client_that_leaves_before_the_final_dot_is_on_record_and_nothing_is_kept(
    gateway: Gateway, how: str
) -> None:
    async with gateway.client() as client:
        await client.begin(ACME)
        await client.say("DATA")
        await client.send(numbered(1))
        await asyncio.sleep(0.02)
        left = getattr(client, how)()
        if left is not None:
            await left
        line = await gateway.log_line()
    assert (line["outcome"], line["reason"]) == ("deferred", "client-gone")
    assert gateway.messages() == []


@pytest.mark.parametrize("how", ["quit", "close", "cut", "rset"])
async def test_a_refused_recipient_is_on_record_however_the_session_ends(gateway: Gateway, how: str) -> None:
    async with gateway.client() as client:
        await client.begin("victim@other.test", sender="<spam@evil.test>")
        if how in ("quit", "rset"):
            await client.say(how.upper())
        elif how == "cut":
            client.cut()
        else:
            await client.close()
        line = await gateway.log_line()
    assert (line["account"], line["outcome"], line["reason"]) == ("system", "refused", "relaying-denied")
    assert (line["reverse_path"], line["recipients"]) == ("spam@evil.test", ["victim@other.test"])
    assert line["reply"].startswith("550 5.7.1")


# --- our own faults ---


@pytest.mark.parametrize(
    ("error", "code", "enhanced"),
    [
        (StoreUnavailable("secret path /var/lib"), 451, "4.3.0"),
        (StorageFull("secret path /var/lib"), 452, "4.3.1"),
        (ValueError("secret path /var/lib"), 451, "4.3.0"),
    ],
)
async def test_an_exception_while_a_recipient_is_judged_defers_without_its_text(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, enhanced: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(gateway.server.recipients, "judge", broken)
    reply = (await client.begin(ACME))[-1]
    assert (reply.code, reply.enhanced) == (code, enhanced)
    assert "secret" not in str(reply)
    monkeypatch.undo()
    assert (await client.say(f"RCPT TO:<{ACME}>")).code == 250


async def test_a_bug_behind_the_final_dot_is_never_a_5xx(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_envelope: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(gateway.server, "take", broken)
    reply = await client.mail(numbered(1))
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    assert "secret" not in str(reply)
    assert (await client.say("NOOP")).code == 250


async def test_a_database_that_is_away_defers_the_message_and_the_retry_is_taken(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.line.committer, "_commit", away)
        assert (await client.mail(numbered(1))).code == 451
    assert (await client.mail(numbered(1))).code == 250
    assert len(gateway.messages()) == 1


@pytest.mark.parametrize("stage", ["parse", "verify", "scan", "recall", "decide"])
async def test_a_message_that_breaks_a_stage_is_parked_there_and_the_next_is_unharmed(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    intake = gateway.line.intake
    places = {
        "parse": ("gateway.intake.parse_and_see", None), "decide": ("gateway.intake.decide", None),
        "verify": (intake._verifier, "verify"), "scan": (intake._scanner, "scan"), "recall": (intake, "_recall"),
    }  # fmt: skip

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    async def broken_later(*_: object, **__: object) -> None:
        await asyncio.sleep(0.01)
        raise RuntimeError("secret")

    with monkeypatch.context() as patch:
        target, name = places[stage]
        replacement = broken_later if stage in ("verify", "scan") else broken
        if name is None:
            patch.setattr(target, replacement)
        else:
            patch.setattr(target, name, replacement)
        reply = await client.mail(numbered(1))
    assert reply.code == 250
    assert "secret" not in str(reply)
    trace = gateway.trace(reply.trace)
    assert trace["outcome"] == "parked"
    told = next(e for e in trace["events"] if e["outcome"] == "parked")
    assert (told["stage"], told["reason"]) == (stage, "crashed")

    parked = gateway.messages()[0]
    assert (parked["disposition"], gateway.raw(parked["id"])) == ("parked", numbered(1))
    assert (await client.mail(numbered(2))).code == 250


async def test_what_finds_no_memory_comes_again_and_is_kept_unread_when_it_never_does(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("gateway.intake.parse_and_see", no_memory)
    first = await client.mail(numbered(1))
    assert (first.code, first.enhanced) == (451, "4.3.0")
    await until(lambda: [line["outcome"] for line in gateway.log()] == ["deferred"])
    monkeypatch.setattr("gateway.intake.PATIENCE_WITH_MEMORY", timedelta(0))
    again = await client.mail(numbered(1))
    assert again.code == 250
    assert gateway.trace(again.trace)["outcome"] == "parked"


# --- stop ---


async def test_a_stop_sends_idle_sessions_away(gateway: Gateway, client: Client) -> None:
    drained = asyncio.create_task(gateway.server.drain(60))
    reply = await client.reply()
    assert (reply.code, reply.enhanced) == (421, "4.3.2")
    assert await drained


async def test_a_stop_lets_a_begun_transaction_end_first(gateway: Gateway, client: Client) -> None:
    await client.begin(ACME)
    await client.say("DATA")
    drained = asyncio.create_task(gateway.server.drain(60))
    await asyncio.sleep(0.05)
    await client.send(dotted(numbered(1)))
    assert (await client.reply()).code == 250
    assert (await client.reply()).enhanced == "4.3.2"
    assert await drained


@pytest.mark.parametrize("end", ["RSET", "EHLO again.test"])
async def test_a_stop_does_not_wait_for_a_client_that_gave_its_transaction_up(
    gateway: Gateway, client: Client, end: str
) -> None:
    await client.begin(ACME)
    drained = asyncio.create_task(gateway.server.drain(STOPPING_SECONDS - 1))
    await asyncio.sleep(0.05)
    await client.say(end)
    assert (await client.reply()).enhanced == "4.3.2"
    assert await drained


async def test_a_stop_while_spooled_content_waits_for_its_turn_still_takes_it(seed: Path, tmp_path: Path) -> None:
    """Between the final dot and the line the session was thought idle, and cut."""
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_SMTP__MEMORY_BUDGET_BYTES=str(1 << 20))
    async with running(ground) as gateway, gateway.client() as client:
        budget = gateway.server.spool.budget
        async with budget.turn(1 << 20):
            await client.begin(ACME)
            await client.say("DATA")
            await client.send(dotted(numbered(1) + (b"x" * 998 + b"\r\n") * 700))
            await until(lambda: bool(budget._queue))
            drained = asyncio.create_task(gateway.server.drain(60))
            await asyncio.sleep(0.05)
            assert not drained.done()
        assert (await client.reply()).code == 250
        assert await drained


async def still(amount: Callable[[], int]) -> None:
    """Until there is some, and it has not changed for a while."""
    seen: list[int] = []
    while len(seen) < 20 or not seen[-1] or len(set(seen[-20:])) > 1:
        await asyncio.sleep(0.01)
        seen.append(amount())


async def test_a_stop_does_not_hang_on_a_client_that_never_reads(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_JUNK", 10_000_000)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    [session] = gateway.server._sessions
    for _ in range(200):
        client.writer.write(b"HELP\r\n" * 10_000)
        await asyncio.sleep(0.002)
    await still(session.transport.get_write_buffer_size)
    async with asyncio.timeout(30):
        assert not await gateway.server.drain(0.3)
    client.cut()
