"""The courier against relays that take, refuse at each stage, put off, hang, and cut: real aiosmtpd on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.core.errors import InvalidInput
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify import connect, relay_smtp
from gateway.notify.courier import Relay, deliver, parse_relay
from gateway.notify.patience import Patience
from gateway.notify.relay_smtp import Security, SmtpRelay
from tests.servers.odd_relay import HANG, OddRelay

DELIVERED, RETRY, FAILED = DeliveryResult.DELIVERED, DeliveryResult.RETRY, DeliveryResult.FAILED
CONTENT = b"From: a@acme.example\r\nSubject: x\r\n\r\n.leading dot\r\n..two\r\n.\r\nend\r\n"
Reply = Callable[[], Awaitable[str]]


class Connection(SMTP):
    """An SMTP session that tells when it is over."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.over = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.over.set()


class Sink:
    """An aiosmtpd handler that answers as told, and remembers. `replies` maps a stage to its replies, first come first."""

    def __init__(self, **replies: list[str | Reply]) -> None:
        self.replies = replies
        self.envelopes: list[Envelope] = []
        self.options: list[str] = []
        self.connections = 0
        self.servers: list[Connection] = []

    async def _reply(self, stage: str, default: str) -> str:
        waiting = self.replies.get(stage)
        if not waiting:
            return default
        reply = waiting.pop(0)
        return reply if isinstance(reply, str) else await reply()

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        refusal = await self._reply("ehlo", "")
        return [refusal] if refusal else responses

    async def handle_HELO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str) -> str:  # noqa: N802  # aiosmtpd's name
        session.host_name = hostname
        return await self._reply("helo", "250 sink")

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self.options = options
        return await self._reply("mail", "250 2.1.0 sender fine")

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = await self._reply("rcpt", "250 2.1.5 recipient fine")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        self.envelopes.append(envelope)
        return await self._reply("data", "250 2.0.0 queued as 42")

    def cut(self) -> Reply:
        """A reply that never comes: the connection is reset instead."""

        async def reset() -> str:
            for server in self.servers:
                if server.transport is not None:
                    server.transport.abort()
            return "250 too late"

        return reset


async def hang() -> str:
    await asyncio.Event().wait()
    return ""


Served = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Served]:
    """Starts a sink on a port of its own, and stops all of them at the end."""
    running: list[tuple[asyncio.Server, Sink | None]] = []

    async def start(sink: Sink, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> int:
        def connection() -> SMTP:
            sink.connections += 1
            sink.servers.append(Connection(sink, hostname="sink", **{"enable_SMTPUTF8": True, **options}))
            return sink.servers[-1]

        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=implicit_tls)
        running.append((server, sink))
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server, sink in running:
        server.close()
        for connection in sink.servers if sink else []:
            if connection.transport is not None:
                connection.transport.abort()
    await asyncio.sleep(0.01)


@pytest.fixture
async def script() -> AsyncIterator[Callable[[list[bytes]], Awaitable[int]]]:
    """A server that speaks line by line from a script, where no SMTP library would go: the odd and the hostile."""
    servers: list[asyncio.Server] = []

    async def start(lines: list[bytes]) -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for line in lines:
                writer.write(line)
                if line.startswith(b"354"):
                    await reader.readuntil(b"\r\n.\r\n")
                else:
                    await reader.readline()
            writer.transport.abort()

        servers.append(await asyncio.start_server(talk, "127.0.0.1", 0))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


async def send(
    relay: Relay,
    *,
    sender: str | None = "bounce+x@acme.gw.example",
    to: str = "ann@acme.example",
    content: bytes = CONTENT,
    within: float = 5,
) -> Delivery:
    return await deliver(relay, reverse_path=sender, recipient=to, content=content, patience=Patience(within, within))


async def send_once(port: int, *, within: float = 5, **mail: Any) -> Delivery:
    relay = parse_relay(f"smtp://127.0.0.1:{port}")
    try:
        return await send(relay, within=within, **mail)
    finally:
        await relay.close()


async def test_a_relay_that_takes_it_gets_exactly_the_octets(serve: Served) -> None:
    sink = Sink()
    port = await serve(sink)

    result = await send_once(port)

    assert result == Delivery(DELIVERED, 250, "2.0.0 queued as 42", f"smtp://127.0.0.1:{port}")
    (envelope,) = sink.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bounce+x@acme.gw.example", ["ann@acme.example"])
    assert envelope.original_content == CONTENT
    assert f"SIZE={len(CONTENT)}" in sink.options


async def test_the_null_reverse_path_is_sent_as_such(serve: Served) -> None:
    sink = Sink()

    result = await send_once(await serve(sink), sender=None)

    assert result.result is DELIVERED
    assert sink.envelopes[0].mail_from in ("", "<>")


@pytest.mark.parametrize(
    ("stage", "reply", "expected"),
    [
        ("mail", "450 4.1.8 later", RETRY),
        ("mail", "550 5.1.8 no such sender", FAILED),
        ("mail", "530 5.7.0 authenticate first", RETRY),
        ("mail", "421 4.3.2 going down", RETRY),
        ("rcpt", "450 4.2.0 greylisted, come back", RETRY),
        ("rcpt", "550 5.1.1 no such user", FAILED),
        ("rcpt", "552 5.2.2 mailbox full", FAILED),
        ("data", "451 4.3.0 try again", RETRY),
        ("data", "554 5.7.1 looks like spam", FAILED),
    ],
)
async def test_a_refusal_is_kept_word_for_word(serve: Served, stage: str, reply: str, expected: DeliveryResult) -> None:
    port = await serve(Sink(**{stage: [reply]}))

    result = await send_once(port)

    of_the_relay = reply[:3] in ("421", "530")
    via = f"smtp://127.0.0.1:{port}"
    assert result == Delivery(expected, int(reply[:3]), reply[4:], via, of_the_relay=of_the_relay)


@pytest.mark.parametrize("reply", ["554 5.7.1 we do not know you", "421 4.3.2 too many of you"])
async def test_a_refusal_of_our_connection_is_not_held_against_the_mail(serve: Served, reply: str) -> None:
    result = await send_once(await serve(Sink(ehlo=[reply], helo=[reply])))

    assert (result.result, result.code, result.uncertain) == (RETRY, int(reply[:3]), False)


async def test_a_refusing_greeting_is_not_held_against_the_mail(
    script: Callable[[list[bytes]], Awaitable[int]],
) -> None:
    result = await send_once(await script([b"554 5.3.2 not today\r\n"]))

    assert (result.result, result.code, result.reply) == (RETRY, 554, "5.3.2 not today")


async def test_a_server_of_the_old_school_is_greeted_with_helo(serve: Served) -> None:
    sink = Sink(ehlo=["502 5.5.1 what is EHLO"])

    assert (await send_once(await serve(sink))).result is DELIVERED
    assert sink.options == []


async def test_a_greylisted_mail_is_taken_the_next_time_over_the_same_connection(serve: Served) -> None:
    sink = Sink(rcpt=["450 4.2.0 greylisted"])
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")

    results = [(await send(relay)).result, (await send(relay)).result]
    await relay.close()

    assert results == [RETRY, DELIVERED]
    assert sink.connections == 1


async def test_a_closed_port_is_tried_again() -> None:
    result = await send_once(1)

    assert (result.result, result.code, result.uncertain) == (RETRY, 0, False)
    assert "while connecting" in result.reply


async def test_a_cut_before_the_final_dot_is_certain(serve: Served) -> None:
    for stage in ("mail", "rcpt"):
        sink = Sink()
        sink.replies[stage] = [sink.cut()]
        result = await send_once(await serve(sink))
        assert (result.result, result.code, result.uncertain) == (RETRY, 0, False)


async def test_a_cut_after_the_final_dot_is_uncertain(serve: Served) -> None:
    sink = Sink()
    sink.replies["data"] = [sink.cut()]

    result = await send_once(await serve(sink))

    assert (result.result, result.code, result.uncertain) == (RETRY, 0, True)
    assert "after the message was sent" in result.reply
    assert len(sink.envelopes) == 1


@pytest.mark.parametrize(("stage", "uncertain"), [("ehlo", False), ("mail", False), ("rcpt", False), ("data", True)])
async def test_a_relay_that_hangs_is_left_in_time(serve: Served, stage: str, uncertain: bool) -> None:
    result = await send_once(await serve(Sink(**{stage: [hang]})), within=0.2)

    assert (result.result, result.code, result.uncertain) == (RETRY, 0, uncertain)
    assert "no answer within 0.2 s" in result.reply


async def test_an_attempt_that_is_called_off_leaves_no_connection(serve: Served) -> None:
    asked = asyncio.Event()

    async def ask_and_hang() -> str:
        asked.set()
        return await hang()

    sink = Sink(rcpt=[ask_and_hang])
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")
    attempt = asyncio.create_task(send(relay))
    await asked.wait()

    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert (await send(relay)).result is DELIVERED
    assert sink.connections == 2
    await relay.close()


async def test_a_reply_that_is_none_after_the_dot_is_uncertain(script: Callable[[list[bytes]], Awaitable[int]]) -> None:
    port = await script([b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"what?\r\n"])

    result = await send_once(port)

    assert (result.result, result.uncertain) == (RETRY, True)


async def test_a_reply_of_many_lines_is_kept_on_one_and_short(script: Callable[[list[bytes]], Awaitable[int]]) -> None:
    lines = b"".join(b"550-no \x1b[31m" + b"x" * 60 + b"\r\n" for _ in range(20)) + b"550 end\r\n"

    result = await send_once(await script([b"220 x\r\n", b"250 x\r\n", lines]))

    assert result.result is FAILED
    assert len(result.reply) <= 500
    assert result.reply.isprintable()


async def test_connections_are_used_again_and_end_after_their_share(
    serve: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_smtp, "MESSAGES_PER_CONNECTION", 3)
    sink = Sink()
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")

    results = [(await send(relay)).result for _ in range(7)]
    await relay.close()

    assert results == [DELIVERED] * 7
    assert sink.connections == 3


async def test_an_idle_connection_is_closed(serve: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_smtp, "IDLE_SECONDS", 0)
    sink = Sink()
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")
    await send(relay)

    await asyncio.wait_for(sink.servers[0].over.wait(), 60)


@pytest.mark.parametrize("gone", ["cut", "421 4.4.2 idle too long"])
async def test_a_connection_that_went_stale_is_not_the_mail_s_misfortune(serve: Served, gone: str) -> None:
    sink = Sink()
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")
    await send(relay)
    sink.replies["mail"] = [sink.cut() if gone == "cut" else gone]

    result = await send(relay)
    await relay.close()

    assert result.result is DELIVERED
    assert sink.connections == 2


async def test_many_at_once_each_have_a_connection(serve: Served) -> None:
    sink = Sink()
    relay = parse_relay(f"smtp://127.0.0.1:{await serve(sink)}")

    results = await asyncio.gather(*(send(relay, to=f"ann{n}@acme.example") for n in range(20)))
    await relay.close()

    assert [r.result for r in results] == [DELIVERED] * 20
    assert sorted(e.rcpt_tos[0] for e in sink.envelopes) == sorted(f"ann{n}@acme.example" for n in range(20))


async def test_an_internationalised_address_needs_smtputf8(serve: Served) -> None:
    sink = Sink()

    assert (await send_once(await serve(sink), to="élodie@acme.example")).result is DELIVERED
    assert "SMTPUTF8" in sink.options
    assert sink.envelopes[0].rcpt_tos == ["élodie@acme.example"]

    refused = await send_once(await serve(Sink(), enable_SMTPUTF8=False), to="élodie@acme.example")
    assert (refused.result, refused.code) == (FAILED, 0)
    assert "SMTPUTF8" in refused.reply


@pytest.mark.parametrize(
    ("mail", "fault"),
    [
        ({"content": b"From: a\r\n\r\nx\n"}, "line ends"),
        ({"content": b"From: a\r\n\r\n\r.\r\nMAIL FROM:<e@evil.example>\r\n"}, "line ends"),
        ({"content": b"From: a\r\n\r\nno end"}, "line ends"),
        ({"content": b"From: a\r\n\r\n" + b"x" * 999 + b"\r\n"}, "998"),
        ({"to": "ann@acme.example>\r\nRCPT TO:<eve@evil.example"}, "cannot write to"),
        ({"to": "Ann <ann@acme.example>"}, "cannot write to"),
        ({"sender": "bounce@acme example"}, "cannot write to"),
    ],
)
async def test_what_must_not_leave_us_never_reaches_the_relay(serve: Served, mail: dict[str, Any], fault: str) -> None:
    sink = Sink()

    result = await send_once(await serve(sink), **mail)

    assert (result.result, result.code) == (FAILED, 0)
    assert fault in result.reply
    assert sink.connections == 0


async def test_a_quoted_local_part_goes_out_as_it_is(serve: Served) -> None:
    """T59: what `parseaddr` reads out of this is another address."""
    sink = Sink()
    await send_once(await serve(sink), to='"eve@evil.example x"@acme.example')

    assert sink.envelopes[0].rcpt_tos == ['"eve@evil.example x"@acme.example']


# --- commands in one piece


@pytest.mark.parametrize(("offered", "pieces"), [(True, [1, 3, 2, 1]), (False, [1, 1, 1, 1])])
async def test_commands_go_in_one_piece_where_the_relay_offers_it(offered: bool, pieces: list[int]) -> None:
    async with OddRelay(pipelining=offered) as relay:
        assert (await send_once(relay.port)).result is DELIVERED
    assert relay.seen[:4] == ["ehlo", "mail", "rcpt", "data"]
    assert relay.groups[:4] == pieces
    assert relay.contents == [CONTENT.replace(b"\r\n.", b"\r\n..") + b".\r\n"]


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("code", ["450", "550"])
async def test_replies_stay_with_their_commands_when_one_of_them_refuses(stage: str, code: str) -> None:
    async with OddRelay() as odd:
        relay = parse_relay(odd.url)
        odd.once[stage] = f"{code} 5.7.1 this one".encode()
        if stage != "data":
            odd.once["data"] = b"503 5.5.1 nothing to send"
        results = [await send(relay), await send(relay, to="bob@acme.example")]
        await relay.close()
    assert [(r.result, r.code) for r in results] == [({"4": RETRY, "5": FAILED}[code[0]], int(code)), (DELIVERED, 250)]
    assert results[0].reply == "5.7.1 this one"
    assert odd.taken == ["bob@acme.example"]
    assert odd.connections == 1


async def test_content_is_never_sent_to_a_relay_that_asks_for_it_behind_a_refusal() -> None:
    """RFC 2920 section 3.1: 354 may come although no recipient was taken; a lone dot would be an empty message to nobody."""
    async with OddRelay() as odd:
        relay = parse_relay(odd.url)
        odd.once["rcpt"] = b"550 5.1.1 no such user"
        results = [await send(relay), await send(relay, to="bob@acme.example")]
        await relay.close()
    assert [(r.result, r.code) for r in results] == [(FAILED, 550), (DELIVERED, 250)]
    assert len(odd.contents) == 1
    assert odd.connections == 2


async def test_a_relay_that_took_its_leave_unasked_is_not_sent_the_next_mail() -> None:
    async with OddRelay(last=1) as odd:
        relay = parse_relay(odd.url)
        odd.answers["dot"] = b"250 2.0.0 taken\r\n421 4.3.2 enough"
        results = [(await send(relay)).result, (await send(relay)).result]
        await relay.close()
    assert results == [DELIVERED, DELIVERED]
    assert odd.connections == 2


async def test_a_reply_in_pieces_is_one_reply(script: Callable[[list[bytes]], Awaitable[int]]) -> None:
    replies = b"250-one\r\n250 two\r\n"

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for answer in (b"250 x\r\n", replies, replies, b"354 go\r\n"):
            await reader.readline()
            for octet in answer:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(0)
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250-2.0.0 taken\r\n250 twice\r\n")
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        result = await send_once(server.sockets[0].getsockname()[1])
    assert (result.result, result.code, result.reply) == (DELIVERED, 250, "2.0.0 taken twice")


async def test_replies_without_end_end_the_attempt_and_not_our_memory() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(b"220 x\r\n")
            await reader.readline()
            writer.write(b"250 x\r\n")
            await reader.readline()
            while True:
                writer.write(b"250-" + b"x" * 1000 + b"\r\n")
                await writer.drain()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        result = await send_once(server.sockets[0].getsockname()[1])
    assert (result.result, result.uncertain) == (RETRY, False)
    assert "replies without end" in result.reply


async def test_an_address_that_is_dead_is_passed_over_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay whose IPv6 route was dead was not reached at all: the library waits minutes for the first address."""
    monkeypatch.setattr(connect, "ANOTHER_SECONDS", 0.1)
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def two(host: str, port: int, **_options: Any) -> list[Any]:
        tcp = socket.AF_INET, socket.SOCK_STREAM, 0, ""
        return [(*tcp, ("127.0.0.2", port)), (*tcp, ("127.0.0.1", port))]

    async def to_one_nobody_comes_back_from(sock: socket.socket, address: tuple[str, int]) -> None:
        asked.append(address[0])
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await sock_connect(sock, address)

    sock_connect = loop.sock_connect
    monkeypatch.setattr(loop, "getaddrinfo", two)
    monkeypatch.setattr(loop, "sock_connect", to_one_nobody_comes_back_from)
    async with OddRelay() as odd:
        result = await send_once(odd.port)
    assert result.result is DELIVERED
    assert asked == ["127.0.0.2", "127.0.0.1"]


async def test_a_knock_keeps_its_connection_for_the_next_mail() -> None:
    async with OddRelay() as odd:
        relay = parse_relay(odd.url)
        assert await relay.knock(Patience(5, 5)) is None
        assert (await send(relay)).result is DELIVERED
        await relay.close()
    assert odd.connections == 1


@pytest.mark.parametrize(
    ("answers", "code"), [({"connect": b"554 5.7.1 not you"}, 554), ({"connect": HANG}, 0), ({"ehlo": HANG}, 0)]
)
async def test_a_knock_says_what_would_become_of_mail(answers: dict[str, bytes], code: int) -> None:
    async with OddRelay(answers) as odd:
        told = await parse_relay(odd.url).knock(Patience(0.2, 0.2))
    assert told
    assert (told.result, told.code, told.took_no_word) == (RETRY, code, True)


# --- encryption and login


def issued(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(name))])
    return (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
        )
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def contexts(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = issued(name, key).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "cert.pem").write_bytes(pem + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def login(expected: bytes) -> Callable[..., AuthResult]:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == expected, handled=False)

    return authenticate


def encrypted(port: int, security: Security, tls: ssl.SSLContext | None, password: str | None = None) -> SmtpRelay:
    return SmtpRelay(
        host="127.0.0.1",
        port=port,
        security=security,
        username="user" if password else None,
        password=password,
        tls=tls,
    )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the sink does not see that it is in TLS
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_mail_goes_out_encrypted_and_logged_in(serve: Served, tmp_path: Path, security: Security) -> None:
    server, client = contexts(tmp_path, "127.0.0.1")
    options: dict[str, Any] = {"auth_require_tls": False, "authenticator": login(b"p@ss"), "auth_required": True}
    if security is Security.TLS:
        port = await serve(Sink(), implicit_tls=server, **options)
    else:
        port = await serve(Sink(), tls_context=server, require_starttls=True, **options)
    relay = encrypted(port, security, client, "p@ss")

    results = [(await send(relay)).result, (await send(relay)).result]
    await relay.close()

    assert results == [DELIVERED, DELIVERED]
    assert "p@ss" not in relay.name + repr(relay)


async def test_a_wrong_password_is_our_trouble_and_tried_again(serve: Served, tmp_path: Path) -> None:
    server, client = contexts(tmp_path, "127.0.0.1")
    port = await serve(
        Sink(), tls_context=server, require_starttls=True, authenticator=login(b"other"), auth_required=True
    )

    result = await send(encrypted(port, Security.STARTTLS, client, "p@ss"))

    assert (result.result, result.code) == (RETRY, 535)
    assert "p@ss" not in str(result)


async def test_without_starttls_nothing_is_sent(serve: Served) -> None:
    """T04: a relay, or somebody in between, that offers no STARTTLS gets neither the mail nor the password."""
    sink = Sink()
    port = await serve(sink)

    result = await send(encrypted(port, Security.STARTTLS, ssl.create_default_context(), "p@ss"))

    assert (result.result, result.uncertain) == (RETRY, False)
    assert "STARTTLS" in result.reply
    assert sink.envelopes == []


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize("wrong", ["unknown authority", "another name"])
async def test_a_certificate_that_proves_nothing_ends_the_attempt(
    serve: Served, tmp_path: Path, security: Security, wrong: str
) -> None:
    server, client = contexts(tmp_path, "127.0.0.2" if wrong == "another name" else "127.0.0.1")
    sink = Sink()
    how = {"implicit_tls": server} if security is Security.TLS else {"tls_context": server}
    port = await serve(sink, **how)

    result = await send(encrypted(port, security, client if wrong == "another name" else None, "p@ss"))

    assert (result.result, result.uncertain) == (RETRY, False)
    assert "certificate" in result.reply
    assert sink.envelopes == []


async def test_a_response_injected_before_tls_is_not_believed(script: Callable[[list[bytes]], Awaitable[int]]) -> None:
    """T04: what came before the handshake, in the clear, is no answer to anything said within TLS."""
    port = await script([b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n235 injected\r\n"])

    result = await send(encrypted(port, Security.STARTTLS, ssl.create_default_context(), "p@ss"), within=1)

    assert (result.result, result.uncertain) == (RETRY, False)


# --- file:


async def test_a_file_relay_writes_the_octets_and_the_envelope(tmp_path: Path) -> None:
    relay = parse_relay(f"file:{tmp_path}/out")

    result = await send(relay, to="ann/é&co@acme.example")
    await send(relay, sender=None)
    await relay.close()

    assert (result.result, result.code, result.via) == (DELIVERED, 250, f"file:{tmp_path}/out")
    first, second = sorted((tmp_path / "out").glob("*.eml"))
    assert result.reply == f"written as {first.name}"
    assert first.read_bytes() == CONTENT
    assert json.loads(first.with_suffix(".json").read_text()) == {
        "reverse_path": "bounce+x@acme.gw.example",
        "recipients": ["ann/é&co@acme.example"],
    }
    assert json.loads(second.with_suffix(".json").read_text())["reverse_path"] == ""
    assert len(list((tmp_path / "out").iterdir())) == 4


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    result = await send(parse_relay(f"file:{tmp_path}/taken"))

    assert (result.result, result.code) == (RETRY, 0)
    assert "cannot write" in result.reply


# --- relay.url


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:./var/outgoing", "file:var/outgoing"),
        ("file:///var/spool/out", "file:/var/spool/out"),
        ("smtp://relay.example", "smtp://relay.example:25"),
        ("SMTP://Relay.Example:2525/", "smtp://relay.example:2525"),
        ("smtp://[::1]:2525", "smtp://[::1]:2525"),
        ("smtp+starttls://user:secret@relay.example", "smtp+starttls://relay.example:587"),
        ("smtps://us%40er:se%2Fcret%40@relay.example:4650", "smtps://relay.example:4650"),
    ],
)
def test_a_relay_is_named_without_its_credentials(url: str, name: str) -> None:
    assert parse_relay(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example",
        "file:",
        "file://host/dir",
        "mx:",
        "lmtp://secret@relay.example",
        "smtp:relay.example",
        "smtp://",
        "smtp://relay.example:0",
        "smtp://relay.example:99999",
        "smtp://relay.example/secret",
        "smtp://re lay.example",
        "smtp://relay.example\r\nX: secret",
        "smtp://user:secret@relay.example",
        "smtps://user@relay.example",
        "smtps://:secret@relay.example",
        "smtps://user:se#cret@relay.example",
        "smtps://user:se/secret@relay.example",
        "smtps://user:secret?@relay.example",
        "smtps://user:secret@[::zz]:25",
        "user:secret@relay.example:25",
    ],
)
def test_a_bad_relay_url_is_explained_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"relay\.url: ") as caught:
        parse_relay(url)

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or "secret" not in str(caught.value.__cause__)


def test_mx_is_not_available_yet() -> None:
    with pytest.raises(InvalidInput, match="not available in this version"):
        parse_relay("mx:")
