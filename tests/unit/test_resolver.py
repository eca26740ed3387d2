"""The one DNS door, against a real name server on loopback."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from dnsserver import NameServer

from gateway.core.errors import DnsFailure, InvalidInput
from gateway.resolver import CACHE_OCTETS, Answer, AnswerCache, DnsResolver

ZONE = {
    ("customer.test", "TXT"): ['"v=spf1 " "-all"'],
    ("customer.test", "MX"): ["10 mx.customer.test.", "20 mx2.customer.test."],
    ("mx.customer.test", "A"): ["192.0.2.1"],
    ("mx.customer.test", "AAAA"): ["2001:db8::1"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mx.customer.test."],
    ("alias.test", "CNAME"): ["customer.test."],
    ("loop.test", "CNAME"): ["loop.test."],
    ("big.test", "TXT"): [f'"{n:04d}{"x" * 200}"' for n in range(20)],
    ("xn--mnchen-3ya.test", "TXT"): ['"hallo"'],
}


@pytest.fixture
async def server():
    async with NameServer(dict(ZONE)).running() as running:
        yield running


def resolver_of(server: NameServer, *, timeout: float = 2.0, zone: Path | None = None) -> DnsResolver:
    return DnsResolver(["127.0.0.1"], server.port, timeout, zone)


async def test_records_have_the_shapes_pyspf_wants(server):
    resolver = resolver_of(server)
    assert await resolver.txt("customer.test") == (b"v=spf1 -all",)
    assert await resolver.records("customer.test", "TXT") == ((b"v=spf1 ", b"-all"),)
    assert sorted(await resolver.records("Customer.Test.", "MX")) == [
        (10, "mx.customer.test"),
        (20, "mx2.customer.test"),
    ]
    assert await resolver.records("mx.customer.test", "A") == ("192.0.2.1",)
    assert await resolver.records("mx.customer.test", "AAAA") == ("2001:db8::1",)
    assert await resolver.records("1.2.0.192.in-addr.arpa", "PTR") == ("mx.customer.test",)


async def test_aliases_are_followed(server):
    assert await resolver_of(server).txt("alias.test") == (b"v=spf1 -all",)


async def test_absent_names_and_absent_types_have_no_records(server):
    resolver = resolver_of(server)
    assert await resolver.txt("nobody.test") == ()
    assert await resolver.txt("mx.customer.test") == ()


async def test_a_truncated_answer_is_fetched_over_tcp(server):
    found = await resolver_of(server).txt("big.test")
    assert len(found) == 20
    assert [t for n, _, t in server.asked if n == "big.test"] == ["udp", "tcp"]


@pytest.mark.parametrize("how", ["broken", "refused", "silent"])
async def test_what_nobody_can_say_is_a_dns_failure(server, how):
    getattr(server, how).add("sick.test")
    started = time.monotonic()
    with pytest.raises(DnsFailure, match=r"TXT sick\.test"):
        await resolver_of(server, timeout=1.0).txt("sick.test")
    assert time.monotonic() - started < 3.75


async def test_an_alias_loop_is_a_dns_failure(server):
    with pytest.raises(DnsFailure):
        await resolver_of(server, timeout=0.4).txt("loop.test")


async def test_a_dead_server_is_a_dns_failure():
    with pytest.raises(DnsFailure):
        await DnsResolver(["127.0.0.1"], 9, 0.3, None).txt("customer.test")


async def test_fifty_equal_questions_at_once_are_one_packet(server):
    resolver = resolver_of(server)
    answers = await asyncio.gather(*(resolver.txt("customer.test") for _ in range(50)))
    assert set(answers) == {(b"v=spf1 -all",)}
    assert server.count("customer.test") == 1


async def test_a_waiter_that_gives_up_leaves_the_others_their_answer(server):
    server.hold = asyncio.Event()
    resolver = resolver_of(server, timeout=5)
    patient, hasty = (asyncio.create_task(resolver.txt("customer.test")) for _ in range(2))
    await server.question_came.wait()
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    server.hold.set()
    assert await patient == (b"v=spf1 -all",)
    assert server.count("customer.test") == 1


async def test_answers_are_kept_for_their_time_to_live(server, monkeypatch):
    resolver = resolver_of(server)
    await resolver.txt("customer.test")
    await resolver.txt("CUSTOMER.test")
    assert server.count("customer.test") == 1
    now = time.monotonic()
    monkeypatch.setattr("gateway.resolver.monotonic", lambda: now + 61)
    await resolver.txt("customer.test")
    assert server.count("customer.test") == 2


async def test_negative_answers_are_kept_as_long_as_the_soa_says(server, monkeypatch):
    server.soa = True
    resolver = resolver_of(server)
    await resolver.txt("nobody.test")
    now = time.monotonic()
    monkeypatch.setattr("gateway.resolver.monotonic", lambda: now + 50)
    await resolver.txt("nobody.test")
    assert server.count("nobody.test") == 1


@pytest.mark.parametrize("name", ["nobody.test", "sick.test"])
async def test_failures_and_negatives_without_soa_are_forgotten_within_seconds(server, monkeypatch, name):
    server.broken.add("sick.test")
    resolver = resolver_of(server)

    async def ask():
        try:
            return await resolver.txt(name)
        except DnsFailure:
            return "failed"

    before = await ask()
    assert await ask() == before
    assert server.count(name) == 1
    server.broken.clear()
    server.zone[(name, "TXT")] = ['"back"']
    now = time.monotonic()
    monkeypatch.setattr("gateway.resolver.monotonic", lambda: now + 4)
    assert await ask() == (b"back",)


HOSTILE = [
    "",
    ".",
    "a..b",
    ".a.test",
    "x" * 64 + ".test",
    ".".join(["x" * 60] * 5),
    "\ud800.test",
    "\u200b.test",
    "a\\",
    "a\\999.test",
    "\x00.test",
    "a b.test",
    "*.test",
    "münchen" * 20 + ".test",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_that_cannot_be_asked_have_no_records(server, name):
    assert await resolver_of(server).txt(name) == ()


async def test_a_backslash_is_itself_and_does_not_join_labels(server):
    server.zone[("evil\\.test", "TXT")] = ['"two labels"']
    assert await resolver_of(server).txt("evil\\.test") == (b"two labels",)


async def test_international_names_are_asked_as_a_labels(server):
    assert await resolver_of(server).txt("München.test") == (b"hallo",)


def test_the_cache_is_bounded_and_forgets_the_least_recently_used():
    cache = AnswerCache(1000)
    keys = [(n, 16) for n in "abcd"]
    for key in keys[:3]:
        cache.put(key, Answer((key,), 60, 300))
    assert cache.get(keys[0]) is not None
    cache.put(keys[3], Answer((), 60, 300))
    assert cache.get(keys[1]) is None
    assert cache.get(keys[0]) is not None
    cache.put(keys[0], Answer((), 60, CACHE_OCTETS))
    assert all(cache.get(k) is None for k in keys)


@pytest.mark.parametrize(
    ("nameservers", "port", "timeout", "words"),
    [
        (["dns.example"], 53, 5, "no IP address"),
        (["127.0.0.1:53"], 53, 5, r"dns\.port"),
        (["https://dns.example/q"], 53, 5, "no IP address"),
        ([], 53, 5, "empty"),
        (["127.0.0.1"], 0, 5, r"dns\.port"),
        (["127.0.0.1"], 53, 0, r"dns\.timeout_seconds"),
    ],
)
def test_impossible_settings_are_refused_with_their_cure(nameservers, port, timeout, words):
    with pytest.raises(InvalidInput, match=words):
        DnsResolver(nameservers, port, timeout, None)


MASTER_FILE = """\
$ORIGIN customer.test.
@  IN TXT "v=spf1 ip4:127.0.0.9 -all"
@  IN MX 10 mx
mx 60 IN A 127.0.0.250
www IN CNAME mx
away IN CNAME elsewhere.test.
*.wild IN A 127.0.0.7
$ORIGIN other.test.
_dmarc IN TXT "v=DMARC1; p=reject"
single.example. IN A 127.0.0.8
"""


@pytest.fixture
def zone_file(tmp_path):
    path = tmp_path / "zone"
    path.write_text(MASTER_FILE)
    return path


async def test_the_zone_file_is_answered_before_any_name_server(server, zone_file):
    server.zone[("customer.test", "TXT")] = ['"from the server"']
    resolver = resolver_of(server, zone=zone_file)
    assert await resolver.txt("customer.test") == (b"v=spf1 ip4:127.0.0.9 -all",)
    assert await resolver.records("customer.test", "MX") == ((10, "mx.customer.test"),)
    assert await resolver.records("www.customer.test", "A") == ("127.0.0.250",)
    assert await resolver.records("a.wild.customer.test", "A") == ("127.0.0.7",)
    assert await resolver.txt("_dmarc.other.test") == (b"v=DMARC1; p=reject",)
    assert server.asked == []


async def test_an_absent_name_under_an_origin_does_not_exist_and_is_not_asked(server, zone_file):
    server.zone[("s1._domainkey.customer.test", "TXT")] = ['"from the server"']
    resolver = resolver_of(server, zone=zone_file)
    assert await resolver.txt("s1._domainkey.customer.test") == ()
    assert await resolver.records("mx.customer.test", "AAAA") == ()
    assert server.asked == []


async def test_other_names_still_go_to_the_name_server(server, zone_file):
    server.zone[("elsewhere.test", "A")] = ["192.0.2.9"]
    resolver = resolver_of(server, zone=zone_file)
    assert await resolver.records("away.customer.test", "A") == ("192.0.2.9",)
    assert await resolver.txt("big.test")
    assert await resolver.records("single.example", "A") == ("127.0.0.8",)
    assert await resolver.txt("example") == ()
    assert ("example", "TXT", "udp") in server.asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"$ORIGIN a.test.\n@ IN TXT ok\n@ IN NONSENSE x\n", ":3: "),
        (b"$ORIGIN a.test.\n@ IN A 1.2.3\n", ":2: "),
        (b"a.test. IN TXT \xff\n", ":1: .*UTF-8"),
    ],
)
def test_a_bad_zone_file_is_refused_with_file_line_and_cure(tmp_path, text, words):
    path = tmp_path / "bad.zone"
    path.write_bytes(text)
    with pytest.raises(InvalidInput, match=words) as refused:
        DnsResolver(["127.0.0.1"], 53, 5, path)
    assert "bad.zone" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_zone_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(InvalidInput, match=r"nowhere\.zone.*correct the path"):
        DnsResolver(["127.0.0.1"], 53, 5, tmp_path / "nowhere.zone")


async def test_an_unknown_record_type_is_a_bug_of_the_caller(server):
    with pytest.raises(ValueError, match="NOPE"):
        await resolver_of(server).records("customer.test", "NOPE")
