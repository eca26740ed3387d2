"""What strangers send to break in, to slip mail past others, or to wear the gateway down: trust.md T01, T03, T05 to T12, T27.

After every attack the same holds: a second client's mail is taken at once, and at the end the audit finds what was
accepted, once. Each test has a client address of its own, for what is remembered of a client outlives its sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.commands.audit import audit
from gateway.smtp import pace, session, transactions
from tests.scenarios.legality import replies_of
from tests.servers.certificates import Authority
from tests.servers.inprocess import Client, Gateway, dotted, fresh_ground, numbered, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACME = "support@acme.gw.test"
ADDRESSES = (f"127.7.{a}.{b}" for a, b in itertools.product(range(1, 255), range(1, 255)))
NUMBERS = itertools.count(1)
GROUP = f"MAIL FROM:<carol@customer.test>\r\nRCPT TO:<{ACME}>\r\nDATA\r\n".encode()
SOON_SECONDS = 15.0
"""A busy machine takes another client's mail within it; who waits for the attacker waits for as long as he likes."""
TRACED = re.compile(r"250 2\.0\.0 [A-Z2-7]{16} accepted")


class Stranger(Client):
    """A client with an address of its own, whose every reply is read to be legal."""

    address = ""

    async def rest(self, seconds: float = 60) -> list[str]:
        """The last lines of all replies until the server closes."""
        stream = b""
        with contextlib.suppress(ConnectionResetError):  # the server closed while octets of ours were on their way
            while block := await asyncio.wait_for(self.reader.read(65536), seconds):
                stream += block
        return [lines[-1] for lines in replies_of(stream)]

    async def is_sent_away(self, code: int, enhanced: str) -> None:
        """The next is that reply, the last one, and the connection's end."""
        last = await self.rest()
        assert [line.split()[:2] for line in last] == [[str(code), enhanced]], last

    async def push(self, *pieces: bytes) -> None:
        """Each piece a segment of its own, for what the loop sees; a server that has closed is not an error."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await self.send(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def stranger(
    gateway: Gateway, hello: str | None = "EHLO client.test", address: str = ""
) -> AsyncIterator[Stranger]:
    """Connected, has read the 220 and the reply to `hello`; without `hello` nothing is read."""
    address = address or next(ADDRESSES)
    client = Stranger(*await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(address, 0)))
    client.address = address
    try:
        if hello is not None:
            assert (await client.reply()).code == 220
            assert not hello or (await client.say(hello)).code == 250
        yield client
    finally:
        client.writer.transport.abort()  # never waits for a server that reads no more


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("attacked")
    cert, key = Authority().issue("mx.gw.test").write(folder / "tls")
    ground = fresh_ground(
        seed,
        folder / "data",
        GATEWAY_SMTP__MAX_MESSAGE_BYTES="200000",
        GATEWAY_SMTP__MAX_CONNECTIONS="60",
        GATEWAY_SMTP__MAX_CONNECTIONS_PER_CLIENT="20",
        GATEWAY_SMTP__TLS_CERT=str(cert),
        GATEWAY_SMTP__TLS_KEY=str(key),
    )
    async with running(ground) as gateway:
        yield gateway
        report = audit(ground.store, ground.blobs)
        assert report.problems == []


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def others_are_served(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(session, "GREET_PAUSE_SECONDS", 0.001)
    yield
    monkeypatch.setattr(session, "GREET_PAUSE_SECONDS", 0.001)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            await served(gateway)
        await all_gone(gateway)
    finally:
        for left in tuple(gateway.server._sessions):  # so that one failure makes no others
            left.transport.abort()
            left.connection_lost(None)


async def all_gone(gateway: Gateway, but: int = 0) -> None:
    """The server has ended every session, but so many."""
    async with asyncio.timeout(60):
        while True:
            if len(gateway.server._sessions) <= but:
                return
            await asyncio.sleep(0.005)


async def served(gateway: Gateway) -> None:
    """Another client's mail is taken."""
    async with stranger(gateway) as client:
        reply = await client.mail(numbered(f"served-{next(NUMBERS)}"))
        assert reply.code == 250, reply


def kept(gateway: Gateway, subject: str) -> list[bytes]:
    """The raw content of every message with that subject."""
    found = (m for m in gateway.messages() if m["subject"] == subject)
    return [gateway.raw(m["id"]) or b"" for m in found]


def kept_as(gateway: Gateway, reply: str) -> bytes | None:
    """What a `250 2.0.0 TRACE accepted` stands for."""
    return gateway.raw(gateway.trace(reply.split()[2])["message"])


def nothing_of(gateway: Gateway, marker: str) -> None:
    """No message, no line of the delivery log, speaks of it."""
    assert [m["subject"] for m in gateway.messages() if marker in m["subject"]] == []
    assert [line for line in gateway.log(limit=10_000) if marker in str(line["reverse_path"])] == []


def session_of(gateway: Gateway, client: Stranger) -> session.GatewaySmtp:
    [found] = [s for s in gateway.server._sessions if s.client and s.client.ip == client.address]
    return found


async def told_of(gateway: Gateway, client: Stranger) -> list[dict[str, Any]]:
    """The delivery log's lines of that client. They are written behind the reply, but in order: those of a message that
    came later are there only when all are.
    """
    await all_gone(gateway, but=1)
    gateway.server._floods.flush(all=True)
    await served(gateway)
    return [line for line in gateway.log(limit=10_000) if line["client"] == client.address]


# --- T01: smuggling ---

BEFORE = (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"")
DOT = (b".", b"..", b"\0.", b".\0", b". ", b".\x1a", b"\x0b.")
AFTER = (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n")
ENDS = [end for x in itertools.product(BEFORE, DOT, AFTER) if b"\r\n.\r\n" not in (end := b"".join(x))]
HIDDEN = (
    b"MAIL FROM:<smuggler@customer.test>\r\nRCPT TO:<support@acme.gw.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
)


def badly_framed(content: bytes) -> bool:
    """T01, said once more and in another way than the gateway does. `content` as it came, dots still doubled."""
    if re.search(rb"\r(?!\n)", content):
        return True
    header = content if content.startswith(b"\r\n") else content.partition(b"\r\n\r\n")[0]
    if not content.startswith(b"\r\n") and re.search(rb"(?<!\r)\n", header):
        return True
    return any(b"\0" in line and line.replace(b"\0", b"") == b"." for line in re.split(rb"\r\n|\n", content)[:-1])


def undotted(stuffed: bytes) -> bytes:
    return b"\r\n".join(line.removeprefix(b".") for line in stuffed.split(b"\r\n"))


async def smuggle(client: Stranger, cover: bytes, *pieces: bytes) -> str:
    """One transaction with this content; the only reply to it."""
    await client.begin(ACME)
    assert (await client.say("DATA")).code == 354
    await client.push(*pieces)
    reply = await client.reply()
    assert (await client.say("NOOP")).code == 250, (cover, "out of step")
    return str(reply)


@pytest.mark.parametrize("place", ["body", "header"])
async def test_no_other_end_than_crlf_dot_crlf_ends_a_message(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """All ends that mail servers were ever found to take (CVE-2023-51764 and its kin), in the body and in the header."""
    monkeypatch.setattr(session, "MAX_ERRORS", 10_000)
    monkeypatch.setattr(session, "MAX_JUNK", 10_000)
    wrong, taken, before = [], 0, len(gateway.messages())
    async with stranger(gateway) as client:
        for end in ENDS:
            cover = b"cover-%d" % next(NUMBERS)
            content = b"From: a@customer.test\r\nSubject: " + cover + (b"\r\n\r\ntext" if place == "body" else b"")
            content += end + HIDDEN
            reply = await smuggle(client, cover, content + b".\r\n")
            if badly_framed(content):
                as_due = reply.startswith("550 5.6.0")
            else:
                as_due = bool(TRACED.fullmatch(reply)) and kept_as(gateway, reply) == undotted(content)
                taken += as_due
            if not as_due:
                wrong.append((content, reply))
    assert wrong == []
    assert len(gateway.messages()) == before + taken
    assert [m for m in gateway.messages() if m["subject"] == "smuggled"] == []
    assert [line for line in gateway.log(limit=10_000) if line["reverse_path"] == "smuggler@customer.test"] == []


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n..\r\n"])
async def test_an_end_that_is_none_is_none_wherever_segments_cut_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    monkeypatch.setattr(session, "MAX_ERRORS", 10_000)
    monkeypatch.setattr(session, "MAX_JUNK", 10_000)
    async with stranger(gateway) as client:
        for cut in range(len(end) + 1):
            cover = b"cut-%d" % next(NUMBERS)
            head = b"From: a@customer.test\r\nSubject: " + cover + b"\r\n\r\ntext"
            first, second = end[:cut], end[cut:]
            reply = await smuggle(client, cover, head + first, second, HIDDEN, b".", b"\r", b"\n")
            content = head + end + HIDDEN
            if badly_framed(content):
                assert reply.startswith("550 5.6.0"), (end, cut)
            else:
                assert TRACED.fullmatch(reply), (end, cut, reply)
                assert kept_as(gateway, reply) == undotted(content), (end, cut)
    assert [m for m in gateway.messages() if m["subject"] == "smuggled"] == []


async def test_a_chunk_ends_where_its_length_says_whatever_stands_in_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BDAT has no dot to be taken for an end, and none to be undone."""
    monkeypatch.setattr(session, "MAX_ERRORS", 10_000)
    monkeypatch.setattr(session, "MAX_JUNK", 10_000)
    async with stranger(gateway) as client:
        for end in (
            b"\r\n.\r\n",
            b"\r\n..\r\n",
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
        ):
            cover = b"chunk-%d" % next(NUMBERS)
            content = b"From: a@customer.test\r\nSubject: " + cover + b"\r\n\r\ntext" + end + HIDDEN
            for cut in (0, content.index(b"text" + end) + 4 + len(end) // 2, len(content)):
                await client.begin(ACME)
                first, second = content[:cut], content[cut:]
                await client.push(b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (len(first), first, len(second), second))
                replies = [str(await client.reply()), str(await client.reply())]
                assert (await client.say("NOOP")).code == 250, (end, cut, replies)
                if badly_framed(content):
                    assert any(r.startswith("550 5.6.0") for r in replies), (end, cut, replies)
                    await client.say("RSET")
                else:
                    assert TRACED.fullmatch(replies[1]), (end, cut, replies)
            assert kept(gateway, cover.decode()) == ([] if badly_framed(content) else [content])
    assert [m for m in gateway.messages() if m["subject"] == "smuggled"] == []


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "LAST",
        "-1",
        "+5 LAST",
        "0x10",
        "1e3",
        "5 last please",
        "5,LAST",
        "٣ LAST",
        "5 FIRST",
        "99999999999999999999",
        "1 1",
    ],
)
async def test_a_chunk_whose_length_cannot_be_read_ends_the_session(gateway: Gateway, argument: str) -> None:
    """Where the chunk ends nobody knows; its octets must not become commands."""
    async with stranger(gateway) as client:
        await client.begin(ACME)
        await client.push(f"BDAT {argument}\r\n".encode() + GROUP.replace(b"carol", b"injected") + b"QUIT\r\n")
        await client.is_sent_away(501, "5.5.4")
    nothing_of(gateway, "injected@")


async def test_a_chunk_longer_than_what_comes_keeps_nothing(gateway: Gateway) -> None:
    subject = f"short-{next(NUMBERS)}"
    async with stranger(gateway) as client:
        await client.begin(ACME)
        await client.push(b"BDAT 9999999999 LAST\r\nSubject: " + subject.encode() + b"\r\n\r\n\r\n.\r\nQUIT\r\n")
        client.half_close()
        assert await client.rest() == []
    assert kept(gateway, subject) == []


# --- T03: STARTTLS ---


def tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    "behind",
    [GROUP, b"NOOP\r\n", b"EHLO x\r\n", b"\r\n", b"x", b"MAIL FROM:<injected@customer.test>", b"\0", b"\x16\x03\x01"],
)
async def test_whatever_stands_behind_starttls_ends_the_session(gateway: Gateway, behind: bytes) -> None:
    """CVE-2021-33515, CVE-2024-34083 (NO STARTTLS): commands in clear that would be answered within TLS."""
    async with stranger(gateway) as client:
        await client.push(b"STARTTLS\r\n" + behind.replace(b"carol", b"injected"))
        await client.is_sent_away(554, "5.5.1")
    nothing_of(gateway, "injected@")


async def test_what_comes_in_clear_between_the_220_and_the_handshake_is_nobodys(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        assert (await client.say("STARTTLS")).code == 220
        await client.push(GROUP.replace(b"carol", b"injected") + b"Subject: injected\r\n\r\n.\r\nQUIT\r\n")
        rest = b""
        with contextlib.suppress(ConnectionError):
            rest = await asyncio.wait_for(client.reader.read(), 60)
        assert not re.search(rb"^[2-5]\d\d[ -]", rest, re.MULTILINE), rest
    nothing_of(gateway, "injected")


async def test_nothing_said_in_clear_counts_within_tls(gateway: Gateway) -> None:
    """RFC 3207 section 4.2: the greeting, the transaction and what was offered begin anew."""
    async with stranger(gateway) as client:
        await client.begin(ACME)
        assert (await client.say("STARTTLS")).code == 220
        await client.writer.start_tls(tls())
        for line in ("DATA", f"RCPT TO:<{ACME}>", "MAIL FROM:<carol@customer.test>"):
            reply = await client.say(line)
            assert (reply.code, reply.enhanced) == (503, "5.5.1"), (line, str(reply))
        offered = {line[4:].split()[0] for line in (await client.say("EHLO client.test")).lines}
        assert "PIPELINING" in offered
        assert "STARTTLS" not in offered
        reply = await client.say("STARTTLS")
        assert (reply.code, reply.enhanced) == (503, "5.5.1")
        content = numbered(f"tls-{next(NUMBERS)}")
        reply = await client.mail(content)
        assert reply.code == 250
        assert gateway.trace(reply.trace)["client"]["tls"].startswith("TLSv1.")
        assert (await client.say("QUIT")).code == 221


async def test_starttls_takes_no_argument_and_what_follows_is_still_in_clear(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        reply = await client.say("STARTTLS now")
        assert (reply.code, reply.enhanced) == (501, "5.5.4")
        assert (await client.mail(numbered(f"clear-{next(NUMBERS)}"))).code == 250


async def test_early_talkers_are_told_within_tls_too(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        assert (await client.say("STARTTLS")).code == 220
        await client.writer.start_tls(tls())
        assert (await client.say("EHLO client.test")).code == 250
        await client.push(GROUP + b"Subject: early-in-tls\r\n\r\n.\r\n")
        last = await client.rest()
        assert [line[:9] for line in last] == ["250 2.1.0", "250 2.1.5", "554 5.5.1"]
    nothing_of(gateway, "early-in-tls")


# --- T05: talking out of turn, junk ---


@pytest.mark.parametrize("early", [b"EHLO client.test\r\n", GROUP, b"\r\n", b"x", b"\xff\xfe\0", b"HELO a\r\n" * 500])
async def test_who_speaks_before_the_greeting_is_sent_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, early: bytes
) -> None:
    monkeypatch.setattr(session, "GREET_PAUSE_SECONDS", 0.2)
    async with stranger(gateway, None) as client:
        await client.push(early)
        await client.is_sent_away(554, "5.5.1")


@pytest.mark.parametrize("hello", [b"EHLO client.test\r\n", b"HELO client.test\r\n", b"ehlo client.test\r\n"])
@pytest.mark.parametrize("behind", [GROUP, b"\r\n", b"Q", b"EHLO again.test\r\n"])
async def test_who_does_not_wait_for_the_reply_to_its_greeting_is_sent_away(
    gateway: Gateway, hello: bytes, behind: bytes
) -> None:
    async with stranger(gateway, "") as client:
        await client.push(hello + behind)
        await client.is_sent_away(554, "5.5.1")


@pytest.mark.parametrize("behind", [b"Subject: early-content\r\n\r\n.\r\n", b".", b"\r\n", b"QUIT\r\n"])
async def test_content_that_does_not_wait_for_the_354_is_not_taken(gateway: Gateway, behind: bytes) -> None:
    async with stranger(gateway) as client:
        await client.push(GROUP + behind)
        assert [line[:9] for line in await client.rest()] == ["250 2.1.0", "250 2.1.5", "554 5.5.1"]
    nothing_of(gateway, "early-content")


@pytest.mark.parametrize(
    "behind", [b"RSET\r\n", b"MAIL FROM:<a@customer.test>\r\n", b"QUIT\r\n", b"NOOP\r\n", b"noop\r\n"]
)
async def test_commands_right_behind_the_final_dot_are_in_their_turn(gateway: Gateway, behind: bytes) -> None:
    """RFC 2920 section 3.1: the final dot ends a command group's predecessor, and a new group may follow at once."""
    async with stranger(gateway) as client:
        await client.push(GROUP)
        assert [(await client.reply()).code for _ in range(3)] == [250, 250, 354]
        await client.push(dotted(numbered(f"behind-{next(NUMBERS)}")) + behind)
        assert (await client.reply()).code == 250
        assert (await client.reply()).code in (250, 221)


JUNK = [b"NOOP", b"RSET", b"VRFY x", b"HELP", b"noop x", b"Rset"]


@pytest.mark.parametrize(
    "junk", [[b"NOOP"], [b"MAIL FROM:<a@customer.test>", b"RSET"], JUNK], ids=["one", "mail", "all"]
)
async def test_a_hundred_commands_without_mail_are_enough(gateway: Gateway, junk: list[bytes]) -> None:
    async with stranger(gateway) as client:
        lines = itertools.islice(itertools.cycle(junk), 300)
        await client.push(b"".join(line + b"\r\n" for line in lines))
        replies = await client.rest()
        assert 90 <= len(replies) <= 102
        assert replies[-1].startswith("421 4.7.0")
        assert all(r[0] == "2" for r in replies[:-1])


async def test_greetings_without_end_are_junk_too(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        codes = [(await client.say(f"EHLO client{n}.test")).code for n in range(99)]
        assert set(codes) == {250}
        assert [(await client.say("EHLO again.test")).code for _ in range(1)] == [421]


async def test_a_message_taken_pays_for_the_junk_before_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_JUNK", 10)
    async with stranger(gateway) as client:
        for _ in range(4):
            for _ in range(6):
                assert (await client.say("NOOP")).code == 250
            assert (await client.mail(numbered(f"paid-{next(NUMBERS)}"))).code == 250


async def test_twenty_errors_are_enough(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        await client.push(b"NONSENSE\r\n" * 30)
        replies = await client.rest()
        assert [r[:9] for r in replies] == ["500 5.5.2"] * 20 + ["421 4.7.0"]


async def test_a_client_that_reads_no_reply_cannot_make_us_hold_them(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands wait in its own buffers, not ours in memory: nothing more is read until the replies are."""
    monkeypatch.setattr(session, "MAX_JUNK", 1 << 40)
    monkeypatch.setattr(session, "MAX_ERRORS", 1 << 40)
    async with stranger(gateway) as client:
        flood = b"HELP\r\n" * 10_000
        client.writer.transport.set_write_buffer_limits(high=1 << 30)
        for _ in range(100):
            client.writer.write(flood)
        for _ in range(20):
            await served(gateway)
        attacked = session_of(gateway, client)
        assert len(attacked._out) < 100_000
        assert attacked.transport.get_write_buffer_size() < 1_000_000
        assert len(attacked._wire._held) < 1_000_000
        client.cut()


# --- T06: other protocols ---

VERBS = [b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE"]
PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x19\x00\x19"


def client_hello() -> bytes:
    """What a browser says first to a server it thinks is HTTPS (ALPACA)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = tls().wrap_bio(incoming, outgoing, server_hostname="mx.gw.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


OTHERS = {verb.decode(): verb + b" /injected@ HTTP/1.1\r\nHost: mx.gw.test\r\n\r\n" for verb in VERBS} | {
    "lower": b"get / http/1.0\r\n\r\n",
    "form": b"POST / HTTP/1.1\r\nHost: mx\r\nContent-Length: 99\r\n\r\nEHLO x\r\n"
    + GROUP.replace(b"carol", b"injected"),
    "h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": client_hello(),
    "sslv2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\n",
    "proxy1": b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n",
    "proxy1+": b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\nEHLO client.test\r\n" + GROUP.replace(b"carol", b"injected"),
    "proxy2": PROXY_V2,
    "proxy2+": PROXY_V2 + b"EHLO client.test\r\n" + GROUP.replace(b"carol", b"injected"),
}


@pytest.mark.parametrize("other", [k for k in OTHERS if k not in ("h2", "sslv2")])
@pytest.mark.parametrize("when", ["early", "greeted"])
async def test_another_protocol_is_sent_away_and_told_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, other: str, when: str
) -> None:
    if when == "early":
        monkeypatch.setattr(session, "GREET_PAUSE_SECONDS", 0.1)
    async with stranger(gateway, None if when == "early" else "") as client:
        await client.push(OTHERS[other])
        last = await client.rest()
        assert len(last) == 1, last
        assert last[0].startswith(("502 5.5.1", "554 5.5.1") if when == "early" else "502 5.5.1"), last
    assert len(await told_of(gateway, client)) == 1
    nothing_of(gateway, "injected@")


@pytest.mark.parametrize("other", ["h2", "sslv2", "ssh", "redis", "smb", "rdp"])
async def test_a_protocol_we_do_not_know_gets_nothing_but_errors(gateway: Gateway, other: str) -> None:
    octets = OTHERS | {
        "ssh": b"SSH-2.0-OpenSSH_9.9\r\n",
        "redis": b"*1\r\n$4\r\nPING\r\n",
        "smb": b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00\x18\x53\xc8" + b"\0" * 40,
        "rdp": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    }
    async with stranger(gateway, "") as client:
        await client.push(octets[other])
        client.half_close()
        assert all(line[0] == "5" for line in await client.rest())


@pytest.mark.parametrize("where", ["hello", "mail"])
async def test_a_verb_of_http_later_in_a_session_sends_no_mail(gateway: Gateway, where: str) -> None:
    async with stranger(gateway, "" if where == "hello" else "EHLO client.test") as client:
        if where == "mail":
            await client.begin(ACME)
        else:
            await client.say("NOOP")
        await client.push(OTHERS["form"])
        client.half_close()
        replies = await client.rest()
        assert replies[0][0] == "5"
    nothing_of(gateway, "injected@")


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<injected@customer.test>\n",
        b"EHLO a\nMAIL FROM:<injected@customer.test>\r\n",
        b"\n",
        b"NOOP\n\r",
        b"QUIT\n",
    ],
)
async def test_a_command_that_ends_with_a_bare_line_feed_ends_the_session(gateway: Gateway, line: bytes) -> None:
    async with stranger(gateway) as client:
        await client.push(line)
        await client.is_sent_away(500, "5.5.2")
    nothing_of(gateway, "injected@")


@pytest.mark.parametrize(
    "line",
    [
        b"NOOP\rMAIL FROM:<injected@customer.test>\r\n",
        b"\rNOOP\r\n",
        b"NOOP\r\r\n",
        b"MAIL FROM:<injected@customer.test>\r\r\n",
    ],
)
async def test_a_bare_carriage_return_in_a_command_is_no_end_and_no_blank(gateway: Gateway, line: bytes) -> None:
    async with stranger(gateway) as client:
        await client.push(line)
        reply = await client.reply()
        assert reply.code in (500, 501, 554), reply
        if reply.code != 554:
            assert (await client.say(f"RCPT TO:<{ACME}>")).code == 503
    nothing_of(gateway, "injected@")


# --- T07: slow clients ---


async def test_content_that_drips_is_cut_off_and_on_record(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "CONTENT_GRACE_SECONDS", 0.1)
    async with stranger(gateway) as client:
        await client.begin(ACME)
        assert (await client.say("DATA")).code == 354

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"a")
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await client.is_sent_away(421, "4.4.2")
        dripping.cancel()
    [line] = await told_of(gateway, client)
    assert (line["outcome"], line["reason"]) == ("deferred", "too-slow")


async def test_a_chunk_that_drips_is_cut_off(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "CONTENT_GRACE_SECONDS", 0.1)
    for recipients in ((ACME,), ("x@elsewhere.test",)):
        async with stranger(gateway) as client:
            await client.begin(*recipients)
            await client.push(b"BDAT 100000 LAST\r\nabc")
            await client.is_sent_away(421, "4.4.2")


async def test_content_at_a_fair_rate_is_waited_for_though_it_takes_long(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress counts, not the clock: the grace is long over when the last octet comes."""
    monkeypatch.setattr(pace, "CONTENT_GRACE_SECONDS", 0.1)
    content = numbered(f"slow-{next(NUMBERS)}") + b"x" * 998 + b"\r\n"
    wire = dotted(content + b"y" * 3000 + b"\r\n")
    async with stranger(gateway) as client:
        await client.begin(ACME)
        assert (await client.say("DATA")).code == 354
        # what came first pays for seconds in which a busy machine does nothing for us
        await client.send(wire[:-1500])
        for at in range(len(wire) - 1500, len(wire), 100):
            await client.send(wire[at : at + 100])
            await asyncio.sleep(0.03)
        assert (await client.reply()).code == 250


@pytest.mark.parametrize("after", ["", "EHLO client.test", "begin"])
async def test_who_says_nothing_is_sent_away(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    monkeypatch.setattr(pace, "IDLE_SECONDS", 0.6)
    async with stranger(gateway, "" if not after else "EHLO client.test") as client:
        if after == "begin":
            await client.begin(ACME)
        await client.is_sent_away(421, "4.4.2")


async def test_half_a_command_is_not_a_sign_of_life_for_ever(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """An octet now and then must not hold a connection: what counts is commands."""
    monkeypatch.setattr(pace, "IDLE_SECONDS", 0.6)
    async with stranger(gateway) as client:

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"N")
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await client.is_sent_away(421, "4.4.2")
        dripping.cancel()


async def test_no_session_lasts_for_ever_however_busy_it_looks(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "SESSION_SECONDS", 0.6)
    monkeypatch.setattr(session, "MAX_JUNK", 1 << 40)
    last = None
    async with stranger(gateway) as client, asyncio.timeout(60):
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                last = await client.say("NOOP")
                await asyncio.sleep(0.005)
    assert last is not None
    assert (last.code, last.enhanced) == (421, "4.4.2")


async def test_the_client_waits_for_our_work_and_is_not_called_idle_for_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = gateway.server.take

    async def slow(envelope: object) -> object:
        await asyncio.sleep(0.4)
        return await take(envelope)  # type: ignore[arg-type]

    async with stranger(gateway) as client:
        monkeypatch.setattr(pace, "IDLE_SECONDS", 0.2)
        monkeypatch.setattr(pace, "CONTENT_GRACE_SECONDS", 0.2)
        monkeypatch.setattr(gateway.server, "take", slow)
        assert (await client.mail(numbered(f"patience-{next(NUMBERS)}"))).code == 250
        assert (await client.say("NOOP")).code == 250
        monkeypatch.undo()


async def test_a_handshake_that_is_never_finished_holds_nobody(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HANDSHAKE_SECONDS", 0.2)
    async with stranger(gateway) as client:
        assert (await client.say("STARTTLS")).code == 220
        await client.push(client_hello()[:50])
        rest = b""
        with contextlib.suppress(ConnectionError):
            rest = await asyncio.wait_for(client.reader.read(), 60)
        assert not re.search(rb"^[2-5]\d\d[ -]", rest, re.MULTILINE), rest


@pytest.mark.parametrize("begun", [0, 5, 50, 1 << 20], ids=["nothing", "a record", "half", "hello"])
@pytest.mark.parametrize("how", ["cut", "half_close"])
async def test_a_client_that_vanishes_in_its_handshake_is_no_connection_any_more(
    gateway: Gateway, begun: int, how: str
) -> None:
    """Were it counted on, fifty of them would shut its network out, and some hundreds everybody."""
    async with stranger(gateway) as client:
        assert (await client.say("STARTTLS")).code == 220
        await client.push(client_hello()[:begun])
        getattr(client, how)()
        await all_gone(gateway)
        assert gateway.server.clients._table.all_open_connections() == 0


# --- T08: floods ---


async def crowd(gateway: Gateway, addresses: Iterable[str]) -> tuple[list[Stranger], list[str]]:
    """A connection from each address: those that were greeted, and what the others were told before they were closed."""
    clients = []
    for address in addresses:
        client = Stranger(*await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(address, 0)))
        client.address = address
        clients.append(client)
    greeted, told = [], []
    for client in clients:
        reply = await client.reply()
        if reply.code == 220:
            greeted.append(client)
        else:
            told.append(str(reply))
            assert await client.rest() == []
            await client.close()
    return greeted, told


async def test_one_client_has_so_many_connections_and_no_more_and_the_others_are_served(gateway: Gateway) -> None:
    address = next(ADDRESSES)
    clients, told = await crowd(gateway, [address] * 30)
    try:
        assert len(clients) == 20
        assert [t[:9] for t in told] == ["421 4.7.0"] * 10
        async with asyncio.timeout(SOON_SECONDS):
            await served(gateway)
        assert (await clients[0].say("EHLO still.test")).code == 250
        await clients.pop().close()
        await all_gone(gateway, but=len(clients))
        async with stranger(gateway, address=address) as again:
            assert (await again.mail(numbered(f"again-{next(NUMBERS)}"))).code == 250
    finally:
        for client in clients:
            await client.close()


async def test_a_flood_from_many_clients_is_refused_politely_and_ends_with_them(gateway: Gateway) -> None:
    clients, told = await crowd(gateway, itertools.islice(ADDRESSES, 90))
    assert len(clients) == 60
    assert [t[:9] for t in told] == ["421 4.7.0"] * 30
    for client in clients:
        client.cut()
    await all_gone(gateway)


async def test_connections_that_leave_at_once_leave_nothing_behind(gateway: Gateway) -> None:
    for how in ("cut", "close", "half_close"):
        for address in itertools.islice(ADDRESSES, 40):
            client = Stranger(*await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(address, 0)))
            if how == "close":
                await client.close()
            else:
                getattr(client, how)()
                client.writer.close()
    await all_gone(gateway)


async def test_a_client_that_vanishes_at_any_octet_leaves_no_half_of_a_message(gateway: Gateway) -> None:
    subject = f"vanished-{next(NUMBERS)}"
    content = numbered("v").replace(b"Pump v", subject.encode())
    talk = [b"EHLO client.test\r\n", GROUP, dotted(content)]
    whole = sum(map(len, talk))
    for left_after in range(0, whole, 7):
        async with stranger(gateway, "") as client:
            left = left_after
            for piece, replies in zip(talk, (1, 3, 0), strict=True):
                await client.push(piece[:left])
                if left < len(piece):
                    break
                left -= len(piece)
                for _ in range(replies):
                    await client.reply()
            client.cut()
    await all_gone(gateway)
    assert kept(gateway, subject) == []


# --- T09, T10: too long, too much ---


@pytest.mark.parametrize("octets", [513, 1001, 4096, 65_536, 300_000, 1_000_000])
@pytest.mark.parametrize("verb", [b"NOOP ", b"MAIL FROM:<", b"", b"\0"])
async def test_a_command_too_long_is_refused_once_and_the_session_goes_on(
    gateway: Gateway, octets: int, verb: bytes
) -> None:
    octets += 600 if verb.startswith(b"MAIL") else 0
    async with stranger(gateway) as client:
        await client.push(verb + b"x" * (octets - len(verb) - 2) + b"\r\n")
        reply = await client.reply()
        assert (reply.code, reply.enhanced) == (500, "5.5.2"), reply
        assert (await client.say("RSET")).code == 250


async def test_a_command_without_end_is_held_nowhere(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        async with asyncio.timeout(60):
            for _ in range(80):
                await client.send(b"x" * 100_000)
        attacked = session_of(gateway, client)
        assert len(attacked._wire._held) < 600_000
        await client.send(b"\r\nNOOP\r\n")
        assert [(await client.reply()).code, (await client.reply()).code] == [500, 250]


async def test_more_than_the_limit_is_refused_after_its_end_and_never_held(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        await client.begin(ACME)
        assert (await client.say("DATA")).code == 354
        for block in (b"x" * 100_000, b"\r\n" * 50_000, b"..\r\n" * 25_000):
            for _ in range(30):
                await client.send(block)
        await client.send(b"\r\n.\r\n")
        reply = await client.reply()
        assert (reply.code, reply.enhanced) == (552, "5.3.4")
        assert (await client.mail(numbered(f"after-{next(NUMBERS)}"))).code == 250


async def test_a_chunk_over_the_limit_is_read_to_its_end_and_refused(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        await client.begin(ACME)
        await client.push(b"BDAT 2000000 LAST\r\n" + b"x" * 2_000_000)
        reply = await client.reply()
        assert (reply.code, reply.enhanced) == (552, "5.3.4")
        assert (await client.mail(numbered(f"after-{next(NUMBERS)}"))).code == 250


async def test_many_small_chunks_are_one_message(gateway: Gateway) -> None:
    content = numbered(f"small-{next(NUMBERS)}") + b"..\r\nx" * 100
    async with stranger(gateway) as client:
        await client.begin(ACME)
        await client.push(
            b"".join(b"BDAT 1\r\n" + content[i : i + 1] for i in range(len(content))) + b"BDAT 0 LAST\r\n"
        )
        for _ in content:
            assert (await client.reply()).code == 250
        reply = await client.reply()
        assert TRACED.fullmatch(str(reply))
        assert gateway.raw(gateway.trace(reply.trace)["message"]) == content


# --- T11, T12: octets that are no text ---


@pytest.mark.parametrize("octet", [0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0xFF])
async def test_octets_that_are_no_text_never_reach_an_address_or_a_reply(gateway: Gateway, octet: int) -> None:
    async with stranger(gateway) as client:
        for line in (
            b"MAIL FROM:<a%ca@customer.test>",
            b"%cMAIL FROM:<a@customer.test>",
            b"MAIL%cFROM:<a@customer.test>",
        ):
            await client.push(line % octet + b"\r\n")
            reply = await client.reply()
            assert reply.code in (500, 501, 553), (line % octet, str(reply))
        await client.say("MAIL FROM:<a@customer.test>")
        await client.push(b"RCPT TO:<supp%cort@acme.gw.test>\r\n" % octet)
        assert (await client.reply()).code in (500, 501, 553)
        await client.say("QUIT")


async def test_a_greeting_cannot_write_into_the_log_or_the_passport(gateway: Gateway) -> None:
    async with stranger(gateway, "") as client:
        await client.push(b"EHLO a\x1b[31m\xff\xe2\x80\xae\xe2\x80\xa8b.test\r\n")
        reply = await client.reply()
        assert reply.code in (250, 501)
        if reply.code == 501:
            assert (await client.say("EHLO client.test")).code == 250
        reply = await client.mail(numbered(f"helo-{next(NUMBERS)}"))
        helo = gateway.trace(reply.trace)["client"]["helo"]
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff]", helo), ascii(helo)


# --- T27: harvesting ---


async def test_whoever_tries_names_is_answered_ever_later_and_then_no_more(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "HARVEST_PAUSE_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    async with stranger(gateway) as client:
        await client.begin()
        took, replies = [], []
        with contextlib.suppress(EOFError):
            for n in range(30):
                began = loop.time()
                replies.append(str(await client.say(f"RCPT TO:<name{n}@nobody.gw.test>")))
                took.append(loop.time() - began)
        assert {r[:9] for r in replies[:-1]} == {"550 5.1.1"}
        assert replies[-1].startswith("421 4.7.0")
        assert len(replies) == 21
        assert all(t >= 0.05 for t in took[10:20])
    told = await told_of(gateway, client)
    assert {(line["outcome"], line["reason"]) for line in told} == {("deferred", "harvesting")}


async def test_a_new_connection_does_not_forget_how_many_names_its_network_tried(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "HARVEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(transactions, "SLOW_AFTER_OF_NETWORK", 12)
    loop, address, took = asyncio.get_running_loop(), next(ADDRESSES), []
    for _ in range(3):
        async with stranger(gateway, address=address) as client:
            await client.begin()
            for n in range(5):
                began = loop.time()
                assert (await client.say(f"RCPT TO:<name{n}@nobody.gw.test>")).code == 550
                took.append(loop.time() - began)
    assert all(t >= 0.05 for t in took[12:])
    async with stranger(gateway, address=address) as client:
        assert (await client.mail(numbered(f"forgiven-{next(NUMBERS)}"))).code == 250


async def test_unknown_recipients_in_one_group_are_no_way_around_the_pause(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "HARVEST_PAUSE_SECONDS", 0.01)
    async with stranger(gateway) as client:
        names = b"".join(b"RCPT TO:<name%d@nobody.gw.test>\r\n" % n for n in range(100))
        await client.push(b"MAIL FROM:<a@customer.test>\r\n" + names)
        replies = await client.rest()
        assert [r[:9] for r in replies] == ["250 2.1.0"] + ["550 5.1.1"] * 20 + ["421 4.7.0"]


@pytest.mark.parametrize("verb", ["VRFY", "EXPN"])
async def test_nobody_learns_who_is_here(gateway: Gateway, verb: str) -> None:
    async with stranger(gateway) as client:
        names = ("support", "support@acme.gw.test", "nobody@nowhere.test", "", "root", "<postmaster>")
        replies = {str(await client.say(f"{verb} {name}")) for name in names}
        assert len(replies) == 1
        assert replies.pop()[:3] in ("252", "502")


async def test_any_local_part_of_an_account_is_answered_alike(gateway: Gateway) -> None:
    async with stranger(gateway) as client:
        replies = await client.begin("support@acme.gw.test", "no-such-mailbox@acme.gw.test", "ann@acme.gw.test")
        assert len({str(r) for r in replies[1:]}) == 1


async def test_a_thousand_recipients_and_no_more(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_RECIPIENTS", 50)
    async with stranger(gateway) as client:
        names = b"".join(b"RCPT TO:<r%d@acme.gw.test>\r\n" % n for n in range(55))
        await client.push(b"MAIL FROM:<carol@customer.test>\r\n" + names + b"DATA\r\n")
        replies = [str(await client.reply()) for _ in range(57)]
        assert [r[:9] for r in replies[1:51]] == ["250 2.1.5"] * 50
        assert [r[:9] for r in replies[51:56]] == ["452 4.5.3"] * 5
        assert replies[56].startswith("354")
        await client.send(dotted(numbered(f"many-{next(NUMBERS)}")))
        reply = await client.reply()
        assert reply.code == 250
        assert len(gateway.trace(reply.trace)["recipients"]) == 55
