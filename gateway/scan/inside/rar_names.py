"""File names of RAR 4: in UTF-8, in the DOS code page, or as 8-bit text with a recipe that makes UTF-16 of it (technote 4)."""

from __future__ import annotations

from collections.abc import Iterator


def of_rar4(raw: bytes, *, unicode: bool) -> tuple[str, ...]:
    """Every name that a program may read: with the flag LHD_UNICODE the recipe stands behind a NUL; without NUL it is UTF-8."""
    plain, nul, recipe = raw.partition(b"\0")
    if unicode and nul:
        return (_cooked(plain, recipe), _text(plain))
    return (_text(plain),)


def _text(plain: bytes) -> str:
    """Programs for Unix write UTF-8 with and without the flag."""
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return plain.decode("cp437")


def _cooked(plain: bytes, recipe: bytes) -> str:
    """The recipe: a high octet that many characters share, then for every four steps an octet of two bits each.

    0: a character below 256; 1: one with the shared high octet; 2: both octets; 3: a run copied from the plain name.
    Where the recipe ends early, what was made so far counts.
    """
    units = bytearray()
    octets = iter(recipe)
    try:
        high = next(octets)
        while True:
            steps = next(octets)
            for shift in (6, 4, 2, 0):
                _step((steps >> shift) & 3, high, octets, plain, units)
    except StopIteration:
        return bytes(units).decode("utf-16-le", "replace")


def _step(how: int, high: int, octets: Iterator[int], plain: bytes, units: bytearray) -> None:
    """Adds to the UTF-16 code units. Raises StopIteration at the end of the recipe."""
    if how == 0:
        units += bytes((next(octets), 0))
    elif how == 1:
        units += bytes((next(octets), high))
    elif how == 2:
        units += bytes((next(octets), next(octets)))
    else:
        _copy_run(high, octets, plain, units)


def _copy_run(high: int, octets: Iterator[int], plain: bytes, units: bytearray) -> None:
    """As many as the length says of the plain name from where we are; with its top bit set, each plus a correction."""
    length = next(octets)
    correction = next(octets) if length & 0x80 else None
    at = len(units) // 2
    for octet in plain[at : at + (length & 0x7F) + 2]:
        units += bytes((octet, 0)) if correction is None else bytes(((octet + correction) & 0xFF, high))
