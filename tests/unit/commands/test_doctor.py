"""What doctor finds out about services and DNS records, against servers that answer as told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import doctor_certificate, doctor_records, doctor_services
from gateway.commands.doctor_records import AccountNames
from gateway.commands.findings import Finding, Health
from gateway.core.errors import DnsFailure
from gateway.settings import HttpSettings, RelaySettings, Settings, SmtpSettings
from tests.servers.certificates import Authority

HOST, DOMAIN = "mx.gw.test", "gw.test"
ACME = AccountNames("acme", "acme.gw.test", "gw1._domainkey.acme.gw.test", "v=DKIM1; k=rsa; p=QUJD", ("own.test",))
PUBLISHED: dict[tuple[str, str], tuple[Any, ...]] = {
    (HOST, "A"): ("192.0.2.1",),
    (DOMAIN, "MX"): ((10, HOST),),
    (DOMAIN, "TXT"): ((b"v=spf1 a:mx.gw.test -all",),),
    ("*", "MX"): ((10, HOST),),
    ("*", "TXT"): ((b"v=spf1 a:mx.gw.test -all",),),
    (HOST, "TXT"): ((b"v=spf1 a -all",),),
    ("_dmarc.gw.test", "TXT"): ((b"v=DMARC1; p=reject",),),
    ("1.2.0.192.in-addr.arpa", "PTR"): (HOST,),
    ("acme.gw.test", "MX"): ((10, HOST),),
    ("acme.gw.test", "TXT"): ((b"v=spf1 a:mx.gw.test -all",),),
    ("own.test", "MX"): ((10, HOST),),
    ("gw1._domainkey.acme.gw.test", "TXT"): ((b"v=DKIM1; k=rsa; ", b"p=QU JD"),),
}


class Zone:
    """A resolver that answers from a dictionary; `*` stands for names nobody has."""

    def __init__(self, records: dict[tuple[str, str], tuple[Any, ...]], silent: frozenset[str] = frozenset()) -> None:
        self._records, self._silent = records, silent

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return tuple(b"".join(strings) for strings in await self.records(name, "TXT"))

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        if name in self._silent:
            raise DnsFailure(f"no answer for {kind} {name}")
        label, _, rest = name.partition(".")
        if rest == DOMAIN and len(label) == 12:
            name = "*"
        return self._records.get((name, kind), ())

    def known(self, _name: str, _kind: str) -> tuple[Any, ...] | None:
        return None


async def _records(changes: dict[tuple[str, str], tuple[Any, ...]], **more: Any) -> dict[str, Finding]:
    zone = Zone(PUBLISHED | changes, **more)
    return {f.check: f async for f in doctor_records.examine(zone, HOST, DOMAIN, (ACME,))}


async def test_what_is_published_well_is_well() -> None:
    found = await _records({})

    assert {f.status for f in found.values()} == {Health.OK}
    assert len(found) == 8


@pytest.mark.parametrize(
    ("gone", "check", "record"),
    [
        ((DOMAIN, "MX"), "MX of gw.test", "gw.test. MX 10 mx.gw.test."),
        (("*", "MX"), "MX of *.gw.test", "*.gw.test. MX 10 mx.gw.test."),
        (("*", "TXT"), "SPF of *.gw.test", '*.gw.test. TXT "v=spf1 a:mx.gw.test -all"'),
        ((HOST, "TXT"), "SPF of mx.gw.test", 'mx.gw.test. TXT "v=spf1 a -all"'),
        (("_dmarc.gw.test", "TXT"), "DMARC of gw.test", '_dmarc.gw.test. TXT "v=DMARC1;'),
        (("1.2.0.192.in-addr.arpa", "PTR"), "PTR of mx.gw.test", "192.0.2.1 leads to nothing"),
        (("own.test", "MX"), "account acme", "own.test. MX 10 mx.gw.test."),
        ((ACME.dkim_name, "TXT"), "account acme", f'{ACME.dkim_name}. TXT "v=DKIM1; k=rsa; p=QUJD"'),
    ],
)
async def test_what_is_missing_is_a_warning_with_the_record_to_publish(
    gone: tuple[str, str], check: str, record: str
) -> None:
    found = await _records({gone: ()})

    assert {name for name, f in found.items() if f.status is not Health.OK} == {check}
    assert found[check].status is Health.WARN
    assert record in found[check].detail


async def test_an_account_that_its_dkim_record_takes_from_the_wildcard_is_noticed() -> None:
    found = await _records({("acme.gw.test", "MX"): (), ("acme.gw.test", "TXT"): ()})

    assert "acme.gw.test. MX 10" in found["account acme"].detail
    assert "RFC 4592" in found["account acme"].detail


async def test_an_exchange_by_another_name_at_our_address_is_us() -> None:
    found = await _records({(DOMAIN, "MX"): ((10, "mail.test"),), ("mail.test", "A"): ("192.0.2.1",)})

    assert found["MX of gw.test"].status is Health.OK


@pytest.mark.parametrize(
    ("key", "value", "check", "words"),
    [
        ((DOMAIN, "MX"), ((10, "other.test"),), "MX of gw.test", "leads to other.test"),
        ((DOMAIN, "TXT"), ((b"v=spf1 -all",), (b"v=spf1 a -all",)), "SPF of gw.test", "count as none"),
        ((DOMAIN, "TXT"), ((b"v=spf10 -all",),), "SPF of gw.test", "publish"),
        ((ACME.dkim_name, "TXT"), ((b"v=DKIM1; p=WFla",),), "account acme", "another key is there"),
        ((ACME.dkim_name, "TXT"), ((b"v=DKIM1; p=",),), "account acme", "publish"),
        (("1.2.0.192.in-addr.arpa", "PTR"), ("host1.isp.test",), "PTR of mx.gw.test", "leads to host1.isp.test"),
        ((HOST, "A"), (), "PTR of mx.gw.test", "no address"),
    ],
)
async def test_what_is_published_wrongly_is_told(key: Any, value: Any, check: str, words: str) -> None:
    found = await _records({key: value})

    assert found[check].status is Health.WARN
    assert words in found[check].detail


async def test_a_name_whose_servers_are_silent_spoils_no_other() -> None:
    found = await _records({}, silent=frozenset({"_dmarc.gw.test"}))

    assert found["DMARC of gw.test"].detail.startswith("not known")
    assert found["account acme"].status is Health.OK


async def test_records_of_a_name_of_this_machine_only_are_not_looked_for() -> None:
    found = [f async for f in doctor_records.examine(Zone({}), HOST, "gateway.localhost", (ACME,))]

    assert [f.check for f in found] == ["own records"]


def _settings(tmp_path: Path, **sections: Any) -> Settings:
    return Settings(hostname=HOST, domain=DOMAIN, data_dir=tmp_path, **sections)


# --- relay and listeners ---


async def _serving(lines: bytes, reply: bytes = b"") -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(lines)
        while command := await reader.readline():
            writer.write(b"221 bye\r\n" if command.startswith(b"QUIT") else reply)
            if command.startswith(b"QUIT") or reply.startswith(b"HTTP"):
                break
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def test_a_relay_is_greeted_and_left_without_a_mail(tmp_path: Path) -> None:
    async with await _serving(b"220 relay\r\n", b"250 relay\r\n") as server:
        found = await doctor_services.relays(
            _settings(tmp_path, relay=RelaySettings(url=(f"smtp://127.0.0.1:{_port(server)}",)))
        )

    assert [f.status for f in found] == [Health.OK]


async def test_a_relay_that_fails_is_told_without_its_password(tmp_path: Path) -> None:
    async with await _serving(b"220 relay\r\n", b"250 relay without STARTTLS\r\n") as server:
        urls = (
            f"smtp+starttls://gw:sesame@127.0.0.1:{_port(server)}",
            f"file:{tmp_path}/out",
            "mx:",
            "smtp://127.0.0.1:1",
        )
        found = await doctor_services.relays(_settings(tmp_path, relay=RelaySettings(url=urls)))

    assert [f.status for f in found] == [Health.FAIL, Health.OK, Health.FAIL, Health.FAIL]
    assert "STARTTLS" in found[0].detail
    assert "sesame" not in str(found)


async def test_without_a_relay_the_outbox_holds(tmp_path: Path) -> None:
    assert [f.status for f in await doctor_services.relays(_settings(tmp_path))] == [Health.WARN]


async def test_listeners_are_asked_as_clients_do(tmp_path: Path) -> None:
    async with (
        await _serving(b"220 mx.gw.test ESMTP\r\n") as smtp,
        await _serving(b"SSH-2.0-OpenSSH\r\n") as other,
        await _serving(b"", b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as http,
    ):
        addresses = (
            f"127.0.0.1:{_port(smtp)}",
            f"0.0.0.0:{_port(other)}",
            "127.0.0.1:1",
            f"unix:{tmp_path}/x",
            "127.0.0.1:0",
        )
        settings = _settings(
            tmp_path, smtp=SmtpSettings(listen=addresses), http=HttpSettings(listen=f"127.0.0.1:{_port(http)}")
        )
        found = await doctor_services.listeners(settings)

    ok, warn, fail = Health.OK, Health.WARN, Health.FAIL
    assert [f.status for f in found] == [ok, fail, warn, warn, warn, fail]
    assert "another program" in found[1].detail
    assert "gateway serve" in found[2].detail
    assert "503" in found[5].detail


async def test_listeners_that_wait_for_a_proxy_header_get_one_and_http_does_not(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"220 mx.gw.test ESMTP\r\n")
        await reader.readline()
        writer.write(b"221 bye\r\n")
        writer.close()

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async def lmtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.gw.test LMTP\r\n")
        heard.append(await reader.readline())
        writer.close()

    async with (
        await asyncio.start_server(smtp, "127.0.0.1", 0) as smtp_server,
        await asyncio.start_server(http, "127.0.0.1", 0) as http_server,
        await asyncio.start_unix_server(lmtp, tmp_path / "lmtp.sock"),
    ):
        settings = _settings(
            tmp_path,
            smtp=SmtpSettings(
                listen=(f"127.0.0.1:{_port(smtp_server)}", f"lmtp:unix:{tmp_path}/lmtp.sock"),
                proxy_protocol_from=("127.0.0.0/8",),
            ),
            http=HttpSettings(listen=f"127.0.0.1:{_port(http_server)}"),
        )
        found = await doctor_services.listeners(settings)

    assert [f.status for f in found] == [Health.OK] * 3
    assert sorted(heard) == [b"GET /healthz HTTP/1.0\r\n", b"PROXY UNKNOWN\r\n", b"QUIT\r\n"]


async def test_a_listener_that_says_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_services, "GREETING_SECONDS", 0.1)
    async with await _serving(b"") as server:
        settings = _settings(
            tmp_path, smtp=SmtpSettings(listen=(f"127.0.0.1:{_port(server)}",)), http=HttpSettings(listen="127.0.0.1:1")
        )
        found = await doctor_services.listeners(settings)

    assert found[0].status is Health.FAIL


# --- certificate ---


def _serving_with(cert: Path, key: Path) -> SmtpSettings:
    return SmtpSettings(tls_cert=cert, tls_key=key)


@pytest.mark.parametrize(
    ("names", "options", "statuses", "words"),
    [
        ([HOST], {}, ["ok"], "valid until"),
        (["*.gw.test"], {}, ["ok"], "valid until"),
        (["MX.GW.TEST"], {}, ["ok"], "valid until"),
        ([HOST], {"ends": timedelta(days=22)}, ["ok"], "valid until"),
        ([HOST], {"ends": timedelta(days=20)}, ["warn"], "19 days left; renew it"),
        ([HOST], {"ends": timedelta(seconds=-1)}, ["fail"], "expired"),
        ([HOST], {"starts": timedelta(days=1)}, ["fail"], "not valid before"),
        (["old.test"], {}, ["ok", "warn"], "is for old.test, not for mx.gw.test"),
        (["*.mx.gw.test", "gw.test"], {}, ["ok", "warn"], "not for mx.gw.test"),
        ([], {}, ["ok", "warn"], "is for no name"),
        ([HOST], {"issuer_url": "http://ca.test/root.der"}, ["ok", "warn"], "fullchain.pem"),
    ],
)
def test_a_certificate_is_judged_by_its_dates_names_and_chain(
    tmp_path: Path, names: list[str], options: dict[str, Any], statuses: list[str], words: str
) -> None:
    cert, key = Authority().issue(*names, **options).write(tmp_path)

    found = list(doctor_certificate.examine(_settings(tmp_path, smtp=_serving_with(cert, key))))

    assert [f.status.value for f in found] == statuses
    assert words in found[-1].detail


def test_a_chain_with_its_intermediate_lacks_nothing(tmp_path: Path) -> None:
    issued = Authority().intermediate().issue(HOST, issuer_url="http://ca.test/intermediate.der")
    settings = _settings(tmp_path, smtp=_serving_with(*issued.write(tmp_path)))

    assert [f.status for f in doctor_certificate.examine(settings)] == [Health.OK]


@pytest.mark.parametrize(("mode", "statuses"), [(0o600, ["ok"]), (0o640, ["ok"]), (0o604, ["ok", "warn"])])
def test_a_key_that_everybody_can_read_is_a_warning(tmp_path: Path, mode: int, statuses: list[str]) -> None:
    cert, key = Authority().issue(HOST).write(tmp_path)
    key.chmod(mode)

    found = list(doctor_certificate.examine(_settings(tmp_path, smtp=_serving_with(cert, key))))

    assert [f.status.value for f in found] == statuses
    assert len(found) == 1 or f"chmod o= {key}" in found[1].detail


def test_a_pair_that_cannot_serve_fails_with_the_cure(tmp_path: Path) -> None:
    cert, key = Authority().issue(HOST).write(tmp_path / "a")
    _, other = Authority().issue(HOST).write(tmp_path / "b")

    (wrong,) = doctor_certificate.examine(_settings(tmp_path, smtp=_serving_with(cert, other)))
    (gone,) = doctor_certificate.examine(_settings(tmp_path, smtp=_serving_with(tmp_path / "nowhere.pem", key)))

    assert (wrong.status, gone.status) == (Health.FAIL, Health.FAIL)
    assert "is not the key of" in wrong.detail
    assert "there is no file" in gone.detail


def test_without_a_certificate_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert list(doctor_certificate.examine(_settings(tmp_path))) == []
