"""The edge as other servers meet it: TLS and its certificates, front servers (PROXY, LMTP, unix sockets), rates, the spool."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.smtp import session as session_module
from tests.servers.certificates import Authority
from tests.servers.inprocess import ZONE, Client, Gateway, Reply, dotted, fresh_ground, numbered, running

ACME = "support@acme.gw.test"


@contextlib.asynccontextmanager
async def edge(
    seed: Path, folder: Path, *, zone: dict[tuple[str, str], list[str]] | None = None, **settings: str
) -> AsyncIterator[Gateway]:
    ground = fresh_ground(seed, folder / "data", **{f"GATEWAY_SMTP__{k.upper()}": v for k, v in settings.items()})
    async with running(ground, zone=zone) as gateway:
        yield gateway


async def start_tls(client: Client, authority: Authority) -> ssl.SSLObject:
    assert (await client.say("STARTTLS")).code == 220
    await client.writer.start_tls(ssl.create_default_context(cadata=authority.cert_pem), server_hostname="mx.gw.test")
    found: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    return found


# --- TLS ---


async def test_mail_over_tls_is_kept_and_its_trace_names_the_protocol(seed: Path, tmp_path: Path) -> None:
    authority = Authority()
    cert, key = authority.issue("mx.gw.test").write(tmp_path)
    async with edge(seed, tmp_path, tls_cert=str(cert), tls_key=str(key)) as gateway, gateway.client() as client:
        await start_tls(client, authority)
        offered = (await client.say("EHLO client.test")).lines
        assert not any("STARTTLS" in line for line in offered)
        content = numbered(1) + b"x" * 300_000 + b"\r\n"
        reply = await client.mail(content)
        assert reply.code == 250
        assert gateway.raw(gateway.messages()[0]["id"]) == content
        assert gateway.trace(reply.trace)["client"]["tls"].startswith("TLSv1.3 TLS_")


async def test_a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_never(
    seed: Path, tmp_path: Path
) -> None:
    authority = Authority()
    first, second = authority.issue("mx.gw.test"), authority.issue("mx.gw.test")
    cert, key = first.write(tmp_path)
    async with edge(seed, tmp_path, tls_cert=str(cert), tls_key=str(key)) as gateway:
        certificates = gateway.server._certificates
        assert certificates

        async def shown() -> bytes | None:
            async with gateway.client() as client:
                return (await start_tls(client, authority)).getpeercert(binary_form=True)

        assert await shown() == first.der
        second.write(tmp_path)
        certificates.refresh()
        assert await shown() == second.der
        cert.write_text("no certificate")
        certificates.refresh()
        assert await shown() == second.der


async def test_where_tls_is_required_mail_begins_with_it(seed: Path, tmp_path: Path) -> None:
    authority = Authority()
    cert, key = authority.issue("mx.gw.test").write(tmp_path)
    more = {"tls_cert": str(cert), "tls_key": str(key), "require_tls": "true"}
    async with edge(seed, tmp_path, **more) as gateway, gateway.client() as client:
        reply = (await client.begin())[0]
        assert (reply.code, reply.enhanced) == (530, "5.7.0")
        await start_tls(client, authority)
        assert (await client.say("EHLO client.test")).code == 250
        assert (await client.mail(numbered(1))).code == 250


@pytest.mark.parametrize("versions", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_tls_older_than_1_2_is_refused_and_the_next_client_served(
    seed: Path, tmp_path: Path, versions: ssl.TLSVersion
) -> None:
    authority = Authority()
    cert, key = authority.issue("mx.gw.test").write(tmp_path)
    async with edge(seed, tmp_path, tls_cert=str(cert), tls_key=str(key)) as gateway:
        async with gateway.client() as client:
            assert (await client.say("STARTTLS")).code == 220
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning, match="deprecated"):
                context.minimum_version = context.maximum_version = versions
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await client.writer.start_tls(context)
        async with gateway.client() as client:
            assert (await client.mail(numbered(1))).code == 250


@pytest.mark.parametrize("how", ["reset", "silent"])
async def test_who_breaks_off_a_handshake_is_counted_no_longer(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """asyncio tells the protocol nothing of it: each was counted for ever, and the fiftieth shut a network out."""
    monkeypatch.setattr(session_module, "HANDSHAKE_SECONDS", 0.1)
    cert, key = Authority().issue("mx.gw.test").write(tmp_path)
    more = {"tls_cert": str(cert), "tls_key": str(key), "max_connections_per_client": "1"}
    async with edge(seed, tmp_path, **more) as gateway:
        async with gateway.client() as client:
            assert (await client.say("STARTTLS")).code == 220
            await client.send(b"\x16\x03\x01\x02\x00\x01\x00")
            if how == "reset":
                client.cut()
            assert await gateway.server._finished(60)
        async with gateway.client() as client:
            assert (await client.mail(numbered(1))).code == 250


async def test_a_stop_does_not_wait_for_a_goodbye_within_tls(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio waits half a minute for the close_notify of a client that reads nothing while it is idle."""
    monkeypatch.setattr(session_module, "TLS_CLOSE_SECONDS", 0.1)
    authority = Authority()
    cert, key = authority.issue("mx.gw.test").write(tmp_path)
    async with edge(seed, tmp_path, tls_cert=str(cert), tls_key=str(key)) as gateway, gateway.client() as client:
        await start_tls(client, authority)
        assert (await client.say("EHLO client.test")).code == 250
        transport = client.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        drained = await gateway.server.drain(20)
        transport.abort()
        assert drained


# --- PROXY ---


def v2(client: str) -> bytes:
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.25") + struct.pack("!HH", 4711, 25)
    return b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize("header", [b"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\r\n", v2("198.51.100.7")])
async def test_behind_a_proxy_the_client_is_whom_its_header_names(seed: Path, tmp_path: Path, header: bytes) -> None:
    zone = ZONE | {("customer.test", "TXT"): ['"v=spf1 ip4:198.51.100.7 -all"']}
    async with edge(seed, tmp_path, zone=zone, proxy_protocol_from="127.0.0.0/8") as gateway:
        client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port))
        await client.send(header[:9])
        await asyncio.sleep(0.01)
        await client.send(header[9:])
        assert (await client.reply()).code == 220
        await client.say("EHLO client.test")
        trace = gateway.trace((await client.mail(numbered(1))).trace)
        await client.close()
    assert trace["client"]["ip"] == "198.51.100.7"
    assert gateway.messages()[0]["auth"]["spf"] == "pass"


async def test_the_limit_of_connections_counts_the_clients_behind_a_proxy(seed: Path, tmp_path: Path) -> None:
    more = {"proxy_protocol_from": "127.0.0.1", "max_connections_per_client": "1"}
    async with edge(seed, tmp_path, **more) as gateway:
        codes, clients = [], []
        for ip in ("198.51.100.7", "198.51.100.8", "198.51.100.7"):
            client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port))
            await client.send(f"PROXY TCP4 {ip} 192.0.2.25 4711 25\r\n".encode())
            codes.append((await client.reply()).code)
            clients.append(client)
        for client in clients:
            await client.close()
    assert codes == [220, 220, 421]


@pytest.mark.parametrize("header", [b"PROXY TCP4 nonsense\r\n", b"EHLO client.test\r\n", b"PROXY " + b"x" * 200])
async def test_a_proxy_header_that_cannot_be_read_ends_the_connection_and_is_told(
    seed: Path, tmp_path: Path, header: bytes
) -> None:
    async with edge(seed, tmp_path, proxy_protocol_from="127.0.0.1") as gateway:
        client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port))
        await client.send(header)
        assert (await client.reply()).code == 421
        with pytest.raises(EOFError):
            await client.reply()
        assert (await gateway.log_line())["reason"] == "bad-proxy-header"
        await client.close()


async def test_a_proxy_that_says_nothing_is_not_waited_for_for_ever(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PROXY_HEADER_SECONDS", 0.1)
    async with edge(seed, tmp_path, proxy_protocol_from="127.0.0.1") as gateway:
        client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port))
        assert (await client.reply()).code == 421
        await client.close()


# --- sockets of this machine ---


@contextlib.asynccontextmanager
async def local_client(path: Path, hello: str) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_unix_connection(str(path)))
    assert (await client.reply()).code == 220
    assert (await client.say(hello)).code == 250
    yield client
    await client.close()


async def test_lmtp_answers_for_each_recipient_that_was_taken(seed: Path, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    async with edge(seed, tmp_path, listen=f"lmtp:unix:{path}") as gateway:
        async with local_client(path, "LHLO front.test") as client:
            assert [r.code for r in await client.begin(ACME, "no@where.test", "billing@acme.gw.test", ACME)] == [
                250, 250, 550, 250, 250,
            ]  # fmt: skip
            assert (await client.say("DATA")).code == 354
            await client.send(dotted(numbered(1)))
            replies = [await client.reply() for _ in range(3)]
            assert (await client.say("NOOP")).code == 250
        assert [r.code for r in replies] == [250, 250, 250]
        message = gateway.messages()[0]
        assert message["recipients"] == [ACME, "billing@acme.gw.test"]
        trace = gateway.trace(replies[0].trace)
        assert trace["client"] is None or trace["client"]["ip"] is None
        assert message["auth"]["spf"] == "none"


async def test_lmtp_tells_every_recipient_of_a_refusal(seed: Path, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    async with (
        edge(seed, tmp_path, listen=f"lmtp:unix:{path}") as _,
        local_client(path, "LHLO front.test") as client,
    ):
        await client.begin(ACME, "billing@acme.gw.test")
        await client.say("DATA")
        await client.send(b"bare\rreturn\r\n.\r\n")
        assert [(await client.reply()).enhanced for _ in range(2)] == ["5.6.0", "5.6.0"]
        await client.begin(ACME, "billing@acme.gw.test")
        content = numbered(2)
        await client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
        assert [(await client.reply()).code for _ in range(2)] == [250, 250]


async def test_lmtp_is_greeted_with_lhlo_and_smtp_is_not(seed: Path, tmp_path: Path) -> None:
    lmtp, smtp = tmp_path / "lmtp.sock", tmp_path / "smtp.sock"
    async with edge(seed, tmp_path, listen=f"lmtp:unix:{lmtp},unix:{smtp}") as gateway:
        async with local_client(lmtp, "LHLO front.test") as client:
            assert (await client.say("EHLO front.test")).code == 500
        async with local_client(smtp, "EHLO front.test") as client:
            assert (await client.say("LHLO front.test")).code == 500
            assert (await client.mail(numbered(1))).code == 250
        assert len(gateway.messages()) == 1


# --- rates ---


async def test_a_client_over_its_rate_comes_again_and_others_are_served(seed: Path, tmp_path: Path) -> None:
    async with edge(seed, tmp_path, rate_per_client="3/h") as gateway:
        async with gateway.client() as client:
            replies = [await client.mail(numbered(n)) for n in range(4)]
        assert [r.code for r in replies] == [250, 250, 250, 451]
        assert replies[-1].enhanced == "4.7.1"
        assert (await gateway.log_line(outcome="deferred"))["reason"] == "over-client-rate"
        other = Client(*await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=("127.0.0.2", 0)))
        assert (await other.reply()).code == 220
        await other.say("EHLO other.test")
        assert (await other.mail(numbered(9))).code == 250
        await other.close()


async def test_an_account_over_its_rate_holds_up_no_other_account(seed: Path, tmp_path: Path) -> None:
    async with edge(seed, tmp_path, rate_per_account="2/h") as gateway, gateway.client() as client:
        assert [(await client.mail(numbered(n))).code for n in range(2)] == [250, 250]
        reply = await client.mail(numbered(2))
        assert (reply.code, reply.enhanced) == (451, "4.7.1")
        await client.say("RSET")
        assert (await client.mail(numbered(3), "help@globex.gw.test")).code == 250


async def test_a_mailbox_s_own_forwarder_is_exempt_from_the_rate_of_clients(seed: Path, tmp_path: Path) -> None:
    """Its SPF passes for the client, so all of the company's mail comes from there."""
    zone = ZONE | {("acme.test", "TXT"): ['"v=spf1 ip4:127.0.0.0/8 -all"']}
    async with edge(seed, tmp_path, zone=zone, rate_per_client="1/h") as gateway, gateway.client() as client:
        assert [(await client.mail(numbered(n))).code for n in range(4)] == [250] * 4


# --- memory ---


async def test_many_large_messages_at_once_are_kept_though_memory_holds_few_of_them(seed: Path, tmp_path: Path) -> None:
    more = {"memory_budget_bytes": str(1 << 20), "max_message_bytes": "2000000"}
    async with edge(seed, tmp_path, **more) as gateway:
        contents = [numbered(n) + (str(n).encode() * 70 + b"\r\n") * 12_000 for n in range(8)]

        async def send(content: bytes) -> Reply:
            async with gateway.client() as client:
                return await client.mail(content)

        replies = await asyncio.gather(*map(send, contents))
        assert [r.code for r in replies] == [250] * 8
        assert sorted(gateway.raw(m["id"]) or b"" for m in gateway.messages()) == sorted(contents)
        assert list((tmp_path / "data" / "spool").iterdir()) == []


async def test_a_bug_of_ours_while_content_came_kept_its_memory_for_ever(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge(seed, tmp_path) as gateway, gateway.client() as client:
        room = gateway.server.spool.budget._coming
        await client.begin(ACME)
        assert (await client.say("BDAT 12\r\nSubject: x")).code == 250
        assert gateway.server.spool.budget._coming < room
        monkeypatch.setattr("gateway.smtp.data.Chunked.feed", lambda *_, **__: 1 / 0)
        assert (await client.say("BDAT 6\r\nQUIT")).code == 451
        with pytest.raises(EOFError):
            await client.reply()
        line = await gateway.log_line()
        assert (line["outcome"], line["reason"]) == ("deferred", "internal")
        assert gateway.server.spool.budget._coming == room


@pytest.mark.parametrize("argument", [b"4\0", b"4\r", b"\0004"])
async def test_a_chunk_whose_command_held_a_nul_was_read_as_commands(
    seed: Path, tmp_path: Path, argument: bytes
) -> None:
    async with edge(seed, tmp_path) as gateway, gateway.client() as client:
        await client.begin(ACME)
        assert (await client.say(b"BDAT " + argument + b"\r\nRSET")).code == 501
        with pytest.raises(EOFError):
            await client.reply()


async def test_the_log_told_a_refused_sender_with_its_keyword(seed: Path, tmp_path: Path) -> None:
    async with edge(seed, tmp_path) as gateway, gateway.client() as client:
        assert (await client.say("MAIL FROM:<root> SIZE=100")).code == 553
        assert (await gateway.log_line())["reverse_path"] == "root"


async def test_a_spool_without_room_defers_after_the_dot_and_the_session_goes_on(seed: Path, tmp_path: Path) -> None:
    more = {"memory_budget_bytes": str(1 << 20), "max_message_bytes": "2000000"}
    async with edge(seed, tmp_path, **more) as gateway, gateway.client() as client:
        (tmp_path / "data" / "spool").write_text("in the way")
        reply = await client.mail(numbered(1) + (b"x" * 70 + b"\r\n") * 12_000)
        assert (reply.code, reply.enhanced) == (452, "4.3.1")
        assert (await gateway.log_line())["reason"] == "storage-full"
        assert (await client.mail(numbered(2))).code == 250
