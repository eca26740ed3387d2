"""The PROXY header, with which a load balancer says whose connection it passes on (HAProxy's proxy-protocol.txt).

Octets in, a result out, so that any octets can be tried on it; the session reads them from the network. Who may send a
header is the session's question too: this is read only from networks that the operator trusts, and strictly all the same,
because whatever is misread here becomes the client address that SPF and limits go by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gateway.core.networks import unmapped

V1_OCTETS: Final = 107
"""Longest header of version 1, CRLF included (proxy-protocol.txt section 2.1)."""
V2_BLOCK_OCTETS: Final = 536
"""Longest address block with its TLVs taken of version 2. The field could say 65,535; the text promises less than a TCP
segment, and 536 is the segment every host takes (RFC 9293 section 3.7.1)."""
_V2_FIXED_OCTETS = 16
MAX_HEADER_OCTETS: Final = _V2_FIXED_OCTETS + V2_BLOCK_OCTETS

_V1_SIGNATURE = b"PROXY "
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_TELLING_OCTETS = 5  # of the version 2 signature: CRLF CRLF NUL, which no SMTP client says
_V1_FAMILIES: dict[bytes, type[IPv4Address | IPv6Address]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_V1_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_STREAM, _DGRAM = 1, 2
_ADDRESS_OCTETS = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_CRC32C_TLV = 0x03


class BadProxyHeader(Exception):
    """Not a PROXY header, or one that cannot be believed; the text says what is wrong, for the log."""


@dataclass(frozen=True, slots=True)
class ProxiedClient:
    """The client as the proxy saw it. `ip`: RFC 5952 text without brackets, IPv4 also where it came mapped into IPv6."""

    ip: str
    port: int


def looks_like_proxy_header(start: bytes | bytearray) -> bool:
    """Do the first octets of a connection begin a PROXY header? For telling those who may not send one."""
    return start.startswith((_V1_SIGNATURE, _V2_SIGNATURE[:_TELLING_OCTETS]))


def read_proxy_header(buffer: bytes | bytearray) -> tuple[ProxiedClient | None, int] | None:
    """The client named by the header at the start of `buffer`, and how many octets the header has.

    No client: the proxy speaks for itself (a health check: LOCAL, UNKNOWN) or for a client without an IP address; then the
    connection's own peer is the client. None: more octets are needed, never more than MAX_HEADER_OCTETS in all.
    Raises BadProxyHeader as soon as the octets cannot become a header.
    """
    head = bytes(buffer[:MAX_HEADER_OCTETS])
    if head.startswith(_V1_SIGNATURE):
        return _read_v1(head[:V1_OCTETS])
    if head.startswith(_V2_SIGNATURE):
        return _read_v2(head)
    if _V1_SIGNATURE.startswith(head) or _V2_SIGNATURE.startswith(head):
        return None
    raise BadProxyHeader(f"no PROXY header, the connection begins with {head[:16]!r}")


# --- version 1: a line of text (section 2.1) ---


def _read_v1(head: bytes) -> tuple[ProxiedClient | None, int] | None:
    line, _, rest = head.partition(b"\r")
    if b"\n" in line or rest[:1] not in {b"", b"\n"}:
        raise BadProxyHeader(f"the line has a bare CR or LF: {head!r}")
    if rest:
        return _v1_client(line), len(line) + len(b"\r\n")
    if len(head) == V1_OCTETS:
        raise BadProxyHeader(f"no CRLF in {V1_OCTETS} octets: {head!r}")
    return None


def _v1_client(line: bytes) -> ProxiedClient | None:
    _, kind, *fields = line.split(b" ")
    if kind == b"UNKNOWN":  # whatever follows in the line is to be ignored
        return None
    family = _V1_FAMILIES.get(kind)
    if family is None:
        raise BadProxyHeader(f"neither TCP4 nor TCP6 nor UNKNOWN: {line!r}")
    if len(fields) != 4:
        raise BadProxyHeader(f"not two addresses and two ports, each after one blank: {line!r}")
    source, _destination = (_v1_address(f, family) for f in fields[:2])
    source_port, _destination_port = (_v1_port(f) for f in fields[2:])
    return _client(source, source_port)


def _v1_address(field: bytes, family: type[IPv4Address | IPv6Address]) -> IPv4Address | IPv6Address:
    if b"%" in field:  # the library would read an IPv6 zone, the format has none
        raise BadProxyHeader(f"{field!r} is an address with a zone")
    try:
        return family(field.decode("ascii"))
    except ValueError as error:
        raise BadProxyHeader(f"{field!r} is no address of the family named: {error}") from None


def _v1_port(field: bytes) -> int:
    if not _V1_PORT.fullmatch(field) or int(field) > 0xFFFF:
        raise BadProxyHeader(f"{field!r} is no port")
    return int(field)


# --- version 2: binary (section 2.2) ---


def _read_v2(head: bytes) -> tuple[ProxiedClient | None, int] | None:
    """What the fixed part says is judged as it comes: a header that cannot be right is not waited for."""
    is_local = _is_local(head[12:13])
    family = _UNSPEC if is_local else _family(head[13:14])
    if len(head) < _V2_FIXED_OCTETS:
        return None
    end = _V2_FIXED_OCTETS + _block_octets(head, family)
    if len(head) < end:
        return None
    # LOCAL and UNSPEC: the block is to be skipped, and as nothing of it is used, its checksum would protect nothing
    return (_v2_client(head[:end], family) if family != _UNSPEC else None), end


def _is_local(octet: bytes) -> bool:
    if not octet:
        return False
    version, command = divmod(octet[0], 16)
    if version != 2 or command not in {_LOCAL, _PROXY}:
        raise BadProxyHeader(f"version {version}, command {command}; there are 2, and 0 or 1")
    return command == _LOCAL


def _family(octet: bytes) -> int:
    """_UNSPEC also where the transport is: the addresses are then to be ignored."""
    if not octet:
        return _UNSPEC
    family, transport = divmod(octet[0], 16)
    if family > _UNIX or transport > _DGRAM:
        raise BadProxyHeader(f"address family {family}, transport {transport}; there are 0 to 3, and 0 to 2")
    if transport == _DGRAM:
        raise BadProxyHeader("it passes on datagrams; SMTP has none")
    return family if transport == _STREAM else _UNSPEC


def _block_octets(head: bytes, family: int) -> int:
    octets = int.from_bytes(head[14:16], "big")
    if octets > V2_BLOCK_OCTETS:
        raise BadProxyHeader(f"{octets} octets of addresses and TLVs; at most {V2_BLOCK_OCTETS} are taken")
    if octets < _ADDRESS_OCTETS[family]:
        raise BadProxyHeader(f"{octets} octets have no room for the addresses of family {family}")
    return octets


def _v2_client(header: bytes, family: int) -> ProxiedClient | None:
    addresses_end = _V2_FIXED_OCTETS + _ADDRESS_OCTETS[family]
    _check_tlvs(header, addresses_end)
    if family == _UNIX:
        return None
    port = int.from_bytes(header[addresses_end - 4 : addresses_end - 2], "big")
    if family == _INET:
        return _client(IPv4Address(header[16:20]), port)
    return _client(IPv6Address(header[16:32]), port)


def _check_tlvs(header: bytes, start: int) -> None:
    """What they say is nothing to us, except the checksum (section 2.2.3); they must fill the block to its end."""
    checksum_at = 0
    while start < len(header):
        value, end = start + 3, start + 3 + int.from_bytes(header[start + 1 : start + 3], "big")
        if end > len(header):
            raise BadProxyHeader(f"the TLV at octet {start} goes beyond the header")
        if header[start] == _CRC32C_TLV:
            if checksum_at or end - value != 4:
                raise BadProxyHeader("a CRC32C of another length than 4, or a second one")
            checksum_at = value
        start = end
    if checksum_at:
        _check_crc32c(header, checksum_at)


def _check_crc32c(header: bytes, at: int) -> None:
    told = int.from_bytes(header[at : at + 4], "big")
    if told != crc32c(header[:at] + bytes(4) + header[at + 4 :]):
        raise BadProxyHeader("the CRC32C is not that of the header")


def crc32c(octets: bytes) -> int:
    """The checksum of SCTP (RFC 9260 appendix A): Castagnoli's polynomial, bits reflected."""
    remainder = 0xFFFF_FFFF
    for octet in octets:
        remainder = _CRC32C[(remainder ^ octet) & 0xFF] ^ (remainder >> 8)
    return remainder ^ 0xFFFF_FFFF


def _crc32c_of_octet(octet: int) -> int:
    for _ in range(8):
        octet = (octet >> 1) ^ (0x82F6_3B78 if octet & 1 else 0)
    return octet


_CRC32C = tuple(_crc32c_of_octet(octet) for octet in range(256))


def _client(address: IPv4Address | IPv6Address, port: int) -> ProxiedClient:
    return ProxiedClient(str(unmapped(address)), port)
