"""The one DNS door: cache, single flight, deadline, zone file (RFC 1035; negative answers by RFC 2308)."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.tokenizer
import dns.zone
import dns.zonefile
import idna

from gateway import metrics
from gateway.core.errors import DnsFailure, InvalidInput

CACHE_OCTETS = 16 * 1024 * 1024
SHORT_SECONDS = 3.0
"""How long a failure, or a negative answer without a SOA (RFC 2308 section 5), is remembered."""
LONGEST_POSITIVE_SECONDS = 86_400.0
LONGEST_NEGATIVE_SECONDS = 900.0
"""Shorter than RFC 2308 allows: an administrator who has just published a record waits for us to see it."""
UDP_PAYLOAD_OCTETS = 1232
"""DNS flag day 2020: fits every path unfragmented; what is larger comes over TCP."""
ALIASES_FOLLOWED = 8
_LONGEST_NAME = 1024
"""Characters; 255 octets are the limit (RFC 1035 section 2.3.4), and nothing this long shrinks to them."""
_DEFAULT_ZONE_TTL = 3600
_ENTRY_OVERHEAD_OCTETS = 300
_PLACE = re.compile(r"zone:(\d+): ")

Key = tuple[str, dns.rdatatype.RdataType]
"""A question. The name as canonical text (RFC 1035 section 5.1): dnspython's names work out their hash at every look-up, and a
message makes twenty.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look-up ended in: records, or the reason why nobody could say. `seconds` is how long it holds."""

    records: tuple[Any, ...]
    seconds: float
    octets: int
    failure: str = ""


class AnswerCache:
    """Answers by question until their time is over, bounded by octets; the least recently used goes first.

    Own, and not dnspython's: its expiry reads the wall clock, which may jump, and it keeps no failures.
    """

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self._octets = 0
        self._entries: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Key) -> Answer | None:
        expires, answer = self._entries.get(key, (0.0, None))
        if answer is None:
            return None
        if expires <= monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return answer

    def put(self, key: Key, answer: Answer) -> None:
        self._drop(key)
        if answer.seconds <= 0:
            return
        self._entries[key] = (monotonic() + answer.seconds, answer)
        self._octets += answer.octets
        while self._octets > self._max_octets:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        _, old = self._entries.pop(key, (0.0, None))
        if old is not None:
            self._octets -= old.octets


class ZoneFile:
    """A master file (RFC 1035 section 5) answered before any name server.

    It has authority below every `$ORIGIN` it names and every owner of a SOA: there an absent name does not exist.
    """

    def __init__(self, path: Path) -> None:
        """Read `path`. Raises InvalidInput naming file, line and cure."""
        text = _text_of(path)
        try:
            self._zone = _read_zone(text)
        except (dns.exception.DNSException, ValueError) as error:
            raise InvalidInput(
                f"dns.zone_file {path}:{_bad_line(text, error)}: {_PLACE.sub('', _first_line(error)).rstrip('.')}; "
                "each line must read `NAME [TTL] IN TYPE DATA` (RFC 1035 section 5.1)"
            ) from error
        self._names = {above for name in self._zone.nodes for above in _with_ancestors(name)}
        self._origins = self._find_origins(text)

    def _find_origins(self, text: str) -> frozenset[dns.name.Name]:
        named = {dns.name.from_text(m) for m in re.findall(r"(?mi)^\$ORIGIN[ \t]+([^\s;]+)", text)} - {dns.name.root}
        sealed = {n for n, node in self._zone.nodes.items() if node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.SOA)}
        return frozenset(named | sealed)

    def answer(self, key: Key) -> tuple[Any, ...] | dns.name.Name | None:
        """Records, the name an alias leads to, or None when this file has no authority for the name."""
        name, kind = _name(key[0]), key[1]
        node = self._zone.nodes.get(name) or self._wildcard(name)
        if node is None:
            return () if self._covers(name) else None
        alias = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)
        if alias is not None and kind != dns.rdatatype.CNAME:
            target: dns.name.Name = alias[0].target
            return target
        found = node.get_rdataset(dns.rdataclass.IN, kind)
        return tuple(_plain(r) for r in found) if found is not None else ()

    def _covers(self, name: dns.name.Name) -> bool:
        return any(above in self._origins for above in _with_ancestors(name))

    def _wildcard(self, name: dns.name.Name) -> Any:
        """The node of `*` below the closest existing ancestor (RFC 4592 section 3.3.1)."""
        if name in self._names:
            return None
        closest = next((above for above in _with_ancestors(name) if above in self._names), None)
        if closest is None or len(closest) + 1 > len(name):
            return None
        return self._zone.nodes.get(dns.name.Name((b"*", *closest.labels)))


class DnsResolver:
    """Implements `core.ports.Resolver` over dnspython, for every look-up of the program.

    A name that cannot be asked at all (too long, an empty or over-long label, not IDNA) has no records: it comes from
    hostile mail, and no server could ever answer it. Everything else that goes wrong is `DnsFailure`.
    """

    def __init__(
        self, nameservers: Sequence[str] | None, port: int, timeout_seconds: float, zone_file: Path | None
    ) -> None:
        """`nameservers` are addresses; None takes the system's. `timeout_seconds` bounds one look-up with its retries.

        Raises InvalidInput for a name server that is no address, an impossible port or time, or a bad zone file.
        """
        if timeout_seconds <= 0:
            raise InvalidInput(f"dns.timeout_seconds is {timeout_seconds}: give a number above 0, such as 5")
        self._zone = ZoneFile(zone_file) if zone_file is not None else None
        self._timeout_seconds = timeout_seconds
        self._client = _client(nameservers, port, timeout_seconds)
        self._cache = AnswerCache(CACHE_OCTETS)
        self._under_way: dict[Key, asyncio.Task[Answer]] = {}

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """Each TXT record, its strings joined (RFC 7208 section 3.3, RFC 6376 section 3.6.2.2). Raises DnsFailure."""
        return tuple(b"".join(strings) for strings in await self.records(name, "TXT"))

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        """A/AAAA/PTR/CNAME as text, MX as (preference, host), TXT as a tuple of bytes, others as text; host names
        without their final dot. () when the name does not exist, has no such records, or cannot be asked.

        Raises DnsFailure when nobody could say within the time, and ValueError for a `kind` that is no record type.
        """
        question = _question(name, kind)
        if question is None:
            return ()
        answer = self._local(question)
        return _records_of(answer or await self._shared(self._followed(question)[0]))

    def known(self, name: str, kind: str) -> tuple[Any, ...] | None:
        """As `records`, of what needs no asking: from the zone file or the cache. None when somebody must be asked, or is
        known to give no answer.

        Most mail comes from where other mail came from: then a whole evaluation needs no task and no wait.
        """
        question = _question(name, kind)
        if question is None:
            return ()
        answer = self._local(question)
        return None if answer is None or answer.failure else answer.records

    def _local(self, question: Key) -> Answer | None:
        try:
            followed, local = self._followed(question)
        except DnsFailure as failure:
            return _failed(str(failure))
        return self._cache.get(followed) if local is None else Answer(local, 0, 0)

    def _followed(self, key: Key) -> tuple[Key, tuple[Any, ...] | None]:
        """The question behind the aliases of the zone file, and the file's answer to it. Raises DnsFailure."""
        if self._zone is None:
            return key, None
        first = key
        for _ in range(ALIASES_FOLLOWED):
            local = self._zone.answer(key)
            if not isinstance(local, dns.name.Name):
                return key, local
            key = (_text(local), key[1])
        raise DnsFailure(f"aliases of {first[0]} go on for more than {ALIASES_FOLLOWED} names")

    async def _shared(self, key: Key) -> Answer:
        """One packet for all who ask the same at the same time.

        The shield keeps a waiter that gives up from taking the look-up away from the others.
        """
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._ask_and_keep(key), name=f"dns {key[0]}")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _timed(self, key: Key) -> Answer:
        began = perf_counter()
        answer = await self._ask(key)
        result = "failed" if answer.failure else "answered"
        metrics.DNS_SECONDS.labels(result).observe(perf_counter() - began)
        return answer

    async def _ask_and_keep(self, key: Key) -> Answer:
        answer = await self._timed(key)
        self._cache.put(key, answer)
        return answer

    async def _ask(self, key: Key) -> Answer:
        name, kind = _name(key[0]), key[1]
        what = f"{dns.rdatatype.to_text(kind)} {name}"
        if not self._client.nameservers:
            return _failed(f"no name server to ask for {what}")
        try:
            reply = await self._client.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            return _negative(error.kwargs["responses"][name])
        except dns.exception.Timeout:
            return _failed(f"no answer within {self._timeout_seconds:g} s for {what}")
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return _failed(f"no usable answer for {what}: {_first_line(error)}")
        if reply.rrset is None:
            return _negative(reply.response)
        return _positive(reply)


def _client(nameservers: Sequence[str] | None, port: int, timeout_seconds: float) -> dns.asyncresolver.Resolver:
    if not 0 < port < 65536:
        raise InvalidInput(f"dns.port is {port}: give a number from 1 to 65535, usually 53")
    client = dns.asyncresolver.Resolver(configure=False)
    if nameservers is None:
        client = _system_client()
    else:
        client.nameservers = [_checked_nameserver(text) for text in nameservers]
        if not nameservers:
            raise InvalidInput("dns.nameservers is empty: name an address, or remove the key to use the system's")
    client.port = port
    client.lifetime = timeout_seconds
    # A try lasts a part of the time, so that a lost packet or a dead first server leaves time for another try.
    client.timeout = max(timeout_seconds / 3, 0.1)
    client.use_edns(0, 0, UDP_PAYLOAD_OCTETS)
    return client


def _system_client() -> dns.asyncresolver.Resolver:
    """The system's name servers; a machine without any can still serve what its zone file holds."""
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return dns.asyncresolver.Resolver(configure=False)


def _checked_nameserver(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise InvalidInput(
            f"dns.nameservers: {text!r} is no IP address; write the server's address, such as 192.0.2.53, "
            "and its port in dns.port"
        ) from error


def _question(name: str, kind: str) -> Key | None:
    """None for a name that cannot be asked. Raises ValueError for what is no record type."""
    return None if len(name) > _LONGEST_NAME else _remembered_question(name, kind)


@lru_cache(maxsize=4096)
def _remembered_question(name: str, kind: str) -> Key | None:
    try:
        return (_text(_question_name(name)), dns.rdatatype.from_text(kind))
    except (dns.name.BadLabelType, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
        return None
    except dns.rdatatype.UnknownRdatatype as error:
        raise ValueError(f"no DNS record type: {kind}") from error


def _records_of(answer: Answer) -> tuple[Any, ...]:
    if answer.failure:
        raise DnsFailure(answer.failure)
    return answer.records


def _question_name(name: str) -> dns.name.Name:
    r"""The absolute name, label by label: in mail a backslash is itself, and `a\.b` must not be asked as one label."""
    text = name.removesuffix(".")
    labels = [x.encode("ascii") if x.isascii() else idna.encode(x, uts46=True) for x in text.split(".")]
    return dns.name.Name([label.lower() for label in labels] + [b""])


def _text(name: dns.name.Name) -> str:
    return name.canonicalize().to_text()


@lru_cache(maxsize=4096)
def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def _with_ancestors(name: dns.name.Name) -> list[dns.name.Name]:
    return [dns.name.Name(name.labels[i:]) for i in range(len(name.labels))]


def _plain(record: Any) -> Any:
    kind = record.rdtype
    if kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        return record.address
    if kind == dns.rdatatype.MX:
        return (record.preference, record.exchange.to_text(omit_final_dot=True))
    if kind in (dns.rdatatype.PTR, dns.rdatatype.CNAME, dns.rdatatype.NS):
        return record.target.to_text(omit_final_dot=True)
    if kind == dns.rdatatype.TXT:
        return tuple(record.strings)
    return record.to_text()


def _positive(reply: dns.resolver.Answer) -> Answer:
    assert reply.rrset is not None
    ttl = reply.response.resolve_chaining().minimum_ttl
    octets = _ENTRY_OVERHEAD_OCTETS + sum(len(r.to_wire() or b"") + 64 for r in reply.rrset)
    return Answer(tuple(_plain(r) for r in reply.rrset), min(float(ttl), LONGEST_POSITIVE_SECONDS), octets)


def _negative(response: dns.message.QueryMessage) -> Answer:
    """By the SOA alone: without one dnspython makes up five minutes."""
    has_soa = any(r.rdtype == dns.rdatatype.SOA for r in response.authority)
    ttl = float(response.resolve_chaining().minimum_ttl)
    return Answer((), min(ttl, LONGEST_NEGATIVE_SECONDS if has_soa else SHORT_SECONDS), _ENTRY_OVERHEAD_OCTETS)


def _failed(why: str) -> Answer:
    return Answer((), SHORT_SECONDS, _ENTRY_OVERHEAD_OCTETS + len(why), why)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"dns.zone_file {path}: cannot be read ({error.strerror}); correct the path, or remove the key"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"dns.zone_file {path}:{line}: not UTF-8 text; save the file as UTF-8") from error


def _read_zone(text: str) -> dns.zone.Zone:
    zone = dns.zone.Zone(dns.name.root, relativize=False)
    with zone.writer(replacement=True) as writer:
        tokens = dns.tokenizer.Tokenizer(text, filename="zone")
        dns.zonefile.Reader(tokens, dns.rdataclass.IN, writer, default_ttl=_DEFAULT_ZONE_TTL).read()
    return zone


def _bad_line(text: str, error: Exception) -> int:
    """The line that cannot be read: dnspython names it, or the next one when it had read to the line's end."""
    named = _PLACE.match(_first_line(error))
    line = int(named.group(1)) if named else 1
    try:
        _read_zone("".join(text.splitlines(keepends=True)[: line - 1]))
    except (dns.exception.DNSException, ValueError):
        return line - 1
    return line
