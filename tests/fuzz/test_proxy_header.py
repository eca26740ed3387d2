"""Whatever the octets: `read_proxy_header` wants more, gives a result or says BadProxyHeader, and stays with what it said."""

from __future__ import annotations

import struct
from collections.abc import Coroutine
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from aiosmtpd.proxy_protocol import get_proxy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.smtp.proxy_header import (
    MAX_HEADER_OCTETS,
    V1_OCTETS,
    BadProxyHeader,
    ProxiedClient,
    crc32c,
    looks_like_proxy_header,
    read_proxy_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PIECES = [
    b"PROXY", b"PROXY ", b"TCP4", b"TCP6", b"UNKNOWN", b" ", b"  ", b"\r\n", b"\r", b"\n", b"\0", b"0", b"00", b"25", b"65535", b"65536",
    b"192.0.2.1", b"192.0.2.01", b"::1", b"::ffff:192.0.2.1", b"fe80::1%1", b"2001:db8::1", b"QUIT", b"\xff", b"x" * 60,
    SIGNATURE, SIGNATURE[:6], b"\x20", b"\x21", b"\x00", b"\x11", b"\x12", b"\x21", b"\x31", b"\x00\x00", b"\x00\x0c", b"\x00\x24",
    b"\x00\xd8", b"\x02\x18", b"\xff\xff", bytes(4), bytes(12), bytes(36), bytes(216), b"\x03\x00\x04", b"\x04\x00\x00", b"\xea\x00\x01!",
]  # fmt: skip

pieces = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
addresses = st.one_of(st.tuples(st.ip_addresses(v=v), st.ip_addresses(v=v)) for v in (4, 6))
ports = st.integers(0, 0xFFFF)
tlvs = st.lists(st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=60)), max_size=6)


def encode_v1(source: Any, destination: Any, source_port: int, destination_port: int) -> bytes:
    return f"PROXY TCP{source.version} {source} {destination} {source_port} {destination_port}\r\n".encode()


def encode_v2(
    source: Any,
    destination: Any,
    source_port: int,
    destination_port: int,
    tlvs: list[tuple[int, bytes]],
    *,
    checksum: bool,
) -> bytes:
    block = source.packed + destination.packed + struct.pack("!HH", source_port, destination_port)
    at = 0
    for kind, value in tlvs[1:] + [(3, bytes(4))] * checksum + tlvs[:1]:
        at = 16 + len(block) + 3 if kind == 3 else at
        block += struct.pack("!BH", kind, len(value)) + value
    header = SIGNATURE + struct.pack("!BBH", 0x21, 0x11 if source.version == 4 else 0x21, len(block)) + block
    return header[:at] + struct.pack("!I", crc32c(header)) + header[at + 4 :] if checksum else header


@st.composite
def encoded(draw: st.DrawFn) -> tuple[bytes, ProxiedClient]:
    ends = *draw(addresses), draw(ports), draw(ports)
    header = encode_v1(*ends) if draw(st.booleans()) else encode_v2(*ends, draw(tlvs), checksum=draw(st.booleans()))
    mapped = ends[0].ipv4_mapped if isinstance(ends[0], IPv6Address) else None
    return header, ProxiedClient(str(mapped or ends[0]), ends[2])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A header with a few octets replaced, left out or put in."""
    header = bytearray(draw(encoded())[0])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(header)))
        header[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(header)


def outcome(octets: bytes) -> tuple[ProxiedClient | None, int] | str | None:
    try:
        return read_proxy_header(octets)
    except BadProxyHeader:
        return "bad"


def check(octets: bytes) -> None:
    """One answer, from the first prefix that has one, whatever follows."""
    answers = [outcome(octets[:n]) for n in range(len(octets) + 1)]
    given_at = next((n for n, answer in enumerate(answers) if answer is not None), len(answers))
    assert given_at <= (V1_OCTETS if octets.startswith(b"PROXY ") else MAX_HEADER_OCTETS)
    assert len(set(answers[given_at:])) <= 1
    for answer in answers[given_at : given_at + 1]:
        if not isinstance(answer, tuple):
            continue
        client, length = answer
        assert length == given_at  # decided with the header's last octet, neither before nor after
        assert looks_like_proxy_header(octets)
        assert client is None or (str(ip_address(client.ip)) == client.ip and 0 <= client.port <= 0xFFFF)


@settings(max_examples=500, deadline=None)
@given(pieces)
def test_pieces_of_headers_in_any_order(octets: bytes) -> None:
    check(octets)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00"]), st.binary(max_size=700)
)
def test_any_octets(start: bytes, octets: bytes) -> None:
    check(start + octets)


@settings(max_examples=300, deadline=None)
@given(encoded(), st.binary(max_size=20))
def test_what_an_encoder_writes_is_read_back(written: tuple[bytes, ProxiedClient], rest: bytes) -> None:
    header, client = written
    assume(len(header) <= MAX_HEADER_OCTETS)
    assert read_proxy_header(header + rest) == (client, len(header))
    check(header + rest)


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_a_damaged_header_names_no_client_that_aiosmtpd_would_not_read_in_it(octets: bytes) -> None:
    check(octets)
    answer = outcome(octets)
    if isinstance(answer, tuple) and answer[0]:
        theirs = ended(get_proxy(Octets(octets)))
        assert theirs.valid
        assert theirs.whole_raw == octets[: answer[1]]
        address = getattr(theirs.src_addr, "ipv4_mapped", None) or theirs.src_addr
        assert answer[0] == ProxiedClient(str(address), theirs.src_port)


@given(st.tuples(addresses, ports, ports, tlvs), st.data())
def test_a_checksum_sees_any_changed_octet(ends: Any, data: st.DataObject) -> None:
    header = bytearray(encode_v2(*ends[0], *ends[1:], checksum=True))
    assume(len(header) <= MAX_HEADER_OCTETS)
    addresses_end = 28 if isinstance(ends[0][0], IPv4Address) else 52
    header[data.draw(st.integers(16, addresses_end - 1))] ^= data.draw(st.integers(1, 255))
    assert outcome(bytes(header)) == "bad"


class Octets:
    """What aiosmtpd's parser reads from; nothing in it waits."""

    def __init__(self, octets: bytes) -> None:
        self._rest = octets

    async def readexactly(self, n: int) -> bytes:
        return await self.read(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        return await self.read(self._rest.index(separator) + len(separator))

    async def read(self, n: int = -1) -> bytes:
        octets, self._rest = self._rest[:n], self._rest[n:]
        return octets


def ended(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")
