"""Who speaks something else on a mail port: ALPACA, requests forged by browsers."""

from __future__ import annotations

from gateway.smtp.proxy_header import looks_like_proxy_header

HTTP_VERBS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH")
_TLS_RECORD = b"\x16\x03"


def is_other_protocol(start: bytes) -> bool:
    """Whether a session that begins like this is a TLS hello, HTTP, or a PROXY header from somewhere else."""
    verb = start.partition(b" ")[0].upper()
    return start.startswith(_TLS_RECORD) or verb in HTTP_VERBS or looks_like_proxy_header(start)


def is_undecided(start: bytes) -> bool:
    """The first octet of a TLS hello, alone: no command line is awaited behind it."""
    return start == _TLS_RECORD[:1]
