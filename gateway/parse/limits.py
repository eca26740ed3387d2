"""How complex a message may be. The header reader and the MIME splitter count as they go, before anything is interpreted.

Both are single passes without recursion, so the counting itself cannot be bombed. A count over the raw bytes
(lines that begin with `--`, occurrences of `boundary=`) would be cheaper still, but parks honest mail: an SQL script
in an 8-bit attachment has thousands of lines that begin with `--`.
"""

from __future__ import annotations

from gateway.core.errors import TooComplex

HEADER_BYTES = 256 * 1024
"""Postfix stops at 102,400; long ARC chains and To fields of real mail reach about 60,000."""
FIELDS = 1000
"""Fields in one header; real mail has up to about 150."""
PART_HEADER_BYTES = 1024 * 1024
"""Headers of all body parts together: 1 KiB for each of the parts allowed."""
PARTS = 1000
"""Body parts, leaves and multiparts together, as Perl's MIME-tools since CVE-2026-116273."""
DEPTH = 32
"""Multiparts within multiparts; real mail has up to about 8."""
PARAMETERS = 100
"""Parameters of one field (RFC 2045 section 5.1); an RFC 2231 file name of 255 characters in pieces needs about 30."""
BOUNDARY_OCTETS = 256
"""RFC 2046 section 5.1.1 says 70; real mail has up to about 130."""
FALSE_DELIMITERS = 10_000
"""Lines that begin like a delimiter and are none. Each costs a look, and a boundary of one letter makes millions."""


def require(limit: str, count: int, most: int) -> None:
    """Raises TooComplex, naming the limit, when `count` is over `most`."""
    if count > most:
        raise TooComplex(f"{limit}: more than {most}")
