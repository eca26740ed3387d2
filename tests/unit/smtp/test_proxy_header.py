"""PROXY headers as HAProxy's proxy-protocol.txt writes them, and everything that is nearly one."""

from __future__ import annotations

import pytest

from gateway.smtp.proxy_header import (
    BadProxyHeader,
    ProxiedClient,
    crc32c,
    looks_like_proxy_header,
    read_proxy_header,
)

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
ADDRESSES_4 = bytes.fromhex("c0000201 cb007105 dc04 0019")  # 192.0.2.1:56324 to 203.0.113.5:25
ADDRESSES_6 = bytes.fromhex("20010db8000000000000000000000001 20010db8000000000000000000000025 dc04 0019")
CLIENT_4, CLIENT_6 = ProxiedClient("192.0.2.1", 56324), ProxiedClient("2001:db8::1", 56324)
NOOP = bytes.fromhex("04 0000")


def v2(block: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(block).to_bytes(2, "big") + block


def with_checksum(block: bytes, *, error: int = 0) -> bytes:
    """The checksum stands at the end of the block."""
    blank = v2(block + bytes.fromhex("03 0004 00000000"))
    return blank[:-4] + (crc32c(blank) ^ error).to_bytes(4, "big")


# --- version 1 ---


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.1 203.0.113.5 56324 25\r\n", CLIENT_4),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ProxiedClient("255.255.255.255", 65535)),
        (b"PROXY TCP4 192.0.2.1 203.0.113.5 0 0\r\n", ProxiedClient("192.0.2.1", 0)),
        (b"PROXY TCP6 2001:db8::1 2001:db8::25 56324 25\r\n", CLIENT_6),
        (b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 ::1 56324 25\r\n", CLIENT_6),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 56324 25\r\n", CLIENT_4),
        (b"PROXY TCP6 ::ffff:c000:201 ::1 56324 25\r\n", CLIENT_4),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN \r\n", None),
        (b"PROXY UNKNOWN TCP4  what ever \xff\r\n", None),
        (b"PROXY UNKNOWN " + b":".join([b"ffff"] * 8) + b" " + b":".join([b"ffff"] * 8) + b" 65535 65535\r\n", None),
    ],
)
def test_a_line_of_version_1_is_read(header: bytes, client: ProxiedClient | None) -> None:
    assert read_proxy_header(header) == (client, len(header))


@pytest.mark.parametrize(
    "line",
    [
        b"TCP4",
        b"",
        b"UNKNOWNS",
        b"unknown",
        b"UDP4 192.0.2.1 203.0.113.5 1 25",
        b"tcp4 192.0.2.1 203.0.113.5 1 25",
        b"TCP4\t192.0.2.1 203.0.113.5 1 25",
        b"TCP4  192.0.2.1 203.0.113.5 1 25",
        b" TCP4 192.0.2.1 203.0.113.5 1 25",
        b"TCP4 192.0.2.1 203.0.113.5 1 25 ",
        b"TCP4 192.0.2.1 203.0.113.5 1",
        b"TCP4 192.0.2.1 203.0.113.5 1 25 26",
        b"TCP4 192.0.2.01 203.0.113.5 1 25",
        b"TCP4 192.0.2.1 203.0.113.05 1 25",
        b"TCP4 192.0.2.256 203.0.113.5 1 25",
        b"TCP4 192.0.2 203.0.113.5 1 25",
        b"TCP4 192.0.2.1/32 203.0.113.5 1 25",
        b"TCP4 0x7f000001 203.0.113.5 1 25",
        b"TCP4 3221225985 203.0.113.5 1 25",
        b"TCP4 192.0.2.\xb2 203.0.113.5 1 25",
        b"TCP4 mx.example 203.0.113.5 1 25",
        b"TCP4 2001:db8::1 2001:db8::25 1 25",
        b"TCP4 192.0.2.1 ::1 1 25",
        b"TCP4 ::ffff:192.0.2.1 ::1 1 25",
        b"TCP6 192.0.2.1 203.0.113.5 1 25",
        b"TCP6 2001:db8::1 203.0.113.5 1 25",
        b"TCP6 [2001:db8::1] [2001:db8::25] 1 25",
        b"TCP6 fe80::1%eth0 fe80::2 1 25",
        b"TCP6 2001:db8::1::2 ::1 1 25",
        b"TCP6 2001:db8::00001 ::1 1 25",
        b"TCP4 192.0.2.1 203.0.113.5 01 25",
        b"TCP4 192.0.2.1 203.0.113.5 00 25",
        b"TCP4 192.0.2.1 203.0.113.5 1 025",
        b"TCP4 192.0.2.1 203.0.113.5 65536 25",
        b"TCP4 192.0.2.1 203.0.113.5 1 65536",
        b"TCP4 192.0.2.1 203.0.113.5 -1 25",
        b"TCP4 192.0.2.1 203.0.113.5 +1 25",
        b"TCP4 192.0.2.1 203.0.113.5 1_0 25",
        b"TCP4 192.0.2.1 203.0.113.5 \xb2 25",
        b"TCP4 192.0.2.1 203.0.113.5  25",
    ],
)
def test_a_line_that_is_nearly_right_is_refused(line: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        read_proxy_header(b"PROXY " + line + b"\r\n")


@pytest.mark.parametrize(
    "header", [b"PROXY UNKNOWN\n", b"PROXY UNKNOWN\rQ", b"PROXY UNKNOWN\r\r\n", b"PROXY UNKNOWN \n\r\n"]
)
def test_only_crlf_ends_a_line(header: bytes) -> None:
    with pytest.raises(BadProxyHeader, match="bare CR or LF"):
        read_proxy_header(header)


def test_a_line_has_107_octets_at_most() -> None:
    longest = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(longest) == 107
    assert read_proxy_header(longest) == (None, 107)
    assert read_proxy_header(longest[:-1]) is None
    assert read_proxy_header(b"PROXY UNKNOWN " + b"x" * 92) is None
    for too_long in (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", b"PROXY UNKNOWN " + b"x" * 93):
        with pytest.raises(BadProxyHeader, match="no CRLF in 107 octets"):
            read_proxy_header(too_long)


# --- version 2 ---


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (v2(ADDRESSES_4), CLIENT_4),
        (v2(ADDRESSES_6, family=0x21), CLIENT_6),
        (v2(bytes.fromhex("00000000000000000000ffffc0000201") + ADDRESSES_6[16:], family=0x21), CLIENT_4),
        (v2(ADDRESSES_4 + NOOP + bytes.fromhex("ea 0002 0304")), CLIENT_4),
        (v2(ADDRESSES_4 + NOOP + bytes.fromhex("20 0005 0100000000")), CLIENT_4),
        (with_checksum(ADDRESSES_4), CLIENT_4),
        (with_checksum(ADDRESSES_4 + NOOP), CLIENT_4),
        (v2(b"", command=0x20, family=0x00), None),
        (v2(b"\xff\xff\xff", command=0x20, family=0xFF), None),
        (v2(ADDRESSES_4, command=0x20), None),
        (v2(b"", family=0x00), None),
        (v2(b"\xff\xff\xff", family=0x00), None),
        (v2(b"", family=0x01), None),
        (v2(b"", family=0x10), None),
        (v2(bytes(216), family=0x31), None),
        (v2(bytes(216) + NOOP, family=0x31), None),
    ],
)
def test_a_header_of_version_2_is_read(header: bytes, client: ProxiedClient | None) -> None:
    assert read_proxy_header(header) == (client, len(header))


def test_a_checksum_known_from_elsewhere() -> None:
    """The check value of CRC-32C (iSCSI, SCTP) in every catalogue."""
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (SIGNATURE + b"\x11", "version 1"),
        (SIGNATURE + b"\x31", "version 3"),
        (SIGNATURE + b"\x22", "command 2"),
        (SIGNATURE + b"\x2f", "command 15"),
        (SIGNATURE + b"\x21\x41", "address family 4"),
        (SIGNATURE + b"\x21\x13", "transport 3"),
        (SIGNATURE + b"\x21\x12", "datagrams"),
        (SIGNATURE + b"\x21\x32", "datagrams"),
        (SIGNATURE + b"\x21\x11\x00\x0b", "no room"),
        (SIGNATURE + b"\x21\x21\x00\x23", "no room"),
        (SIGNATURE + b"\x21\x31\x00\xd7", "no room"),
        (SIGNATURE + b"\x21\x11\x02\x19", "537 octets"),
        (SIGNATURE + b"\x20\x00\xff\xff", "65535 octets"),
    ],
)
def test_what_cannot_become_right_is_not_waited_for(header: bytes, said: str) -> None:
    assert read_proxy_header(header[:-1]) is None
    with pytest.raises(BadProxyHeader, match=said):
        read_proxy_header(header)


def test_a_header_of_the_longest_length_is_read() -> None:
    filled = ADDRESSES_4 + bytes.fromhex("04 0209") + bytes(0x209)
    assert len(filled) == 536
    assert read_proxy_header(v2(filled) + b"EHLO") == (CLIENT_4, 552)


@pytest.mark.parametrize(
    "tlvs",
    ["04", "0400", "040001", "04000200", "04000004", "04ffff00", "030003000000", "0300050000000000", "030000"],
)
def test_tlvs_that_do_not_fill_the_block_are_refused(tlvs: str) -> None:
    with pytest.raises(BadProxyHeader):
        read_proxy_header(v2(ADDRESSES_4 + bytes.fromhex(tlvs)))


def test_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(BadProxyHeader, match="not that of the header"):
        read_proxy_header(with_checksum(ADDRESSES_4, error=1))


def test_a_checksum_with_more_octets_is_refused_even_where_its_first_four_are_right() -> None:
    blank = v2(ADDRESSES_4 + bytes.fromhex("03 0005 00000000 00"))
    with pytest.raises(BadProxyHeader, match="another length than 4"):
        read_proxy_header(blank[:-5] + crc32c(blank).to_bytes(4, "big") + blank[-1:])


def test_of_two_checksums_none_is_believed() -> None:
    """The zero of which field would each have been made with?"""
    with pytest.raises(BadProxyHeader, match="a second one"):
        read_proxy_header(with_checksum(ADDRESSES_4 + bytes.fromhex("03 0004 00000000")))


# --- both ---


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.5 56324 25\r\n",
        v2(ADDRESSES_4),
        with_checksum(ADDRESSES_4),
    ],
)
def test_a_header_may_come_octet_by_octet_and_the_session_keeps_the_rest(header: bytes) -> None:
    come = bytearray()
    for octet in header[:-1]:
        assert read_proxy_header(come) is None
        come.append(octet)
    assert read_proxy_header(come) is None
    come += header[-1:] + b"EHLO client.example\r\n"
    found = read_proxy_header(come)
    assert found is not None
    assert come[found[1] :] == b"EHLO client.example\r\n"


@pytest.mark.parametrize(
    "start",
    [b"E", b"EHLO client.example\r\n", b"PE", b"PROXYX", b"PROXY\r\n", b"PROXY\t", b"proxy ", b" PROXY ", b"\n", b"\r\nQ",
     b"\r\n\r\n\x01", SIGNATURE[:-1] + b"\r", b"\x16\x03\x01", b"\0"],
)  # fmt: skip
def test_what_begins_no_header_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(BadProxyHeader, match="no PROXY header"):
        read_proxy_header(start)


@pytest.mark.parametrize(
    ("start", "is_one"),
    [
        (b"PROXY UNKNOWN\r\n", True),
        (bytearray(b"PROXY TCP4 "), True),
        (b"PROXY nonsense", True),
        (v2(ADDRESSES_4), True),
        (SIGNATURE[:5], True),
        (b"\r\n\r\nEHLO client.example\r\n", False),
        (b"\r\n\r\n", False),
        (b"PROXY\r\n", False),
        (b"proxy x", False),
        (b"EHLO PROXY \r\n", False),
        (b"", False),
    ],
)
def test_a_header_is_told_from_commands(start: bytes, is_one: bool) -> None:
    assert looks_like_proxy_header(start) is is_one
