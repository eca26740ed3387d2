"""Readers of containers on damaged files: whatever the bytes, entries and Unscannable are all that comes, within the budget."""

from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scan.inside.containers import eml, ole, rar, sevenzip, tnef
from gateway.scan.inside.entry import Budget, Share, Unscannable
from tests.unit.scan.inside.containers import compounds, rars, sevenzips, winmail

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "7z"
FILES, OCTETS = 50, 1_000_000

_MESSAGE = (
    b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    b"--B\r\nContent-Type: application/zip; name*=utf-8''a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n"
    b"--B\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: image/gif; name=a.gif\r\n\r\nGIF89a\r\n--B--\r\n"
)
_PROPERTIES = (winmail.wide(0x3707, "a.exe"), winmail.prop(0x3701, 0x0D, winmail.IID_MESSAGE + winmail.SIGNATURE))
_COMPOUND = {
    "PowerPoint Document": compounds.slide_object(compounds.compound({"WordDocument": b"x"})) + bytes(5000),
    "\x01Ole10Native": compounds.packaged(b"MZ", "a.exe", "C:\\a.exe", "", ("a.exe", "b.exe", "c.exe")),
    "ObjectPool/_1/Package": b"#!/bin/sh\n",
    **compounds.attached(0, b"hello", long="a.txt", short="A.TXT"),
}
_NAME = rars.recipe(b"photo.jpg", 4, (3, b"\4"), (0, b"e"), (1, b"x"), (2, b"e\0"), (3, b"\x81\1"))
GOOD = [
    (tnef, winmail.winmail(winmail.attachment(title="a.txt", data=b"x", props=_PROPERTIES))),
    (eml, _MESSAGE),
    (ole, compounds.compound(_COMPOUND)),
    (rar, rars.rar4(rars.file4(_NAME, flags=0x0200), rars.file4(b"a.txt"))),
    (rar, rars.rar5(rars.file5("a.exe", encrypted=True), rars.file5("b", directory=True))),
    *((sevenzip, path.read_bytes()) for path in sorted(GOLDEN.glob("*.7z"))),
]

damage = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([struct.pack("<L", n) for n in (0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)]),
        ),
    ),
    max_size=6,
)


def read(reader, content: bytes) -> None:
    budget = Budget(time.monotonic() + 5, files=FILES, octets=OCTETS)
    begun, given_so_far = time.thread_time(), 0
    with contextlib.suppress(Unscannable):
        for entry in reader.entries(content, Share(budget, len(content))):
            given_so_far += 1
            assert isinstance(entry.name, str)
            assert not (entry.encrypted and entry.content is not None)
    assert given_so_far <= FILES
    assert time.thread_time() - begun < 6


@settings(deadline=None, max_examples=600)
@given(st.sampled_from(GOOD), damage, st.floats(0.0, 2.0))
def test_damage_is_unscannable_at_worst(good, hits, cut):
    reader, content = good
    octets = bytearray(content)
    for place, what in hits:
        at = int(place * len(octets))
        octets[at : at + len(what)] = what
    read(reader, bytes(octets[: int(cut * len(octets))] if cut < 1 else octets))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(GOOD), st.binary(max_size=300))
def test_any_bytes_behind_a_beginning_are_unscannable_at_worst(good, rest):
    reader, content = good
    for kept in (8, 32):
        read(reader, content[:kept] + rest)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=100))
def test_headers_with_right_sums_may_still_say_anything(header, packed):
    """Sums keep random damage from what lies behind them, and no attacker."""
    for start in (b"", b"\x01", b"\x01\x04\x06", b"\x01\x05", b"\x17\x06"):
        read(sevenzip, sevenzips.archive(start + header, packed))
    read(rar, rars.MAGIC5 + rars.block5(1, b"\0") + rars.block5(2, header) + rars.block5(5, b"\0"))
    read(
        rar,
        rars.rar4(rars.block4(0x74, 0x8000 | (header[0] if header else 0), header), rars.block4(0x7A, 0x8000, header)),
    )
    read(rar, rars.rar4(rars.file4(b"a.txt\0" + header, flags=0x0200)))
    read(
        tnef, winmail.winmail(winmail.attribute(winmail.RENDERING, b""), winmail.attribute(winmail.PROPERTIES, header))
    )


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_the_good_files_are_good(number):
    """Else the damage would be done to nothing."""
    reader, content = GOOD[number]
    assert list(reader.entries(content, Share(Budget(time.monotonic() + 5), len(content))))
