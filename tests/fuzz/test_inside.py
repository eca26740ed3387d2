"""Whatever the bytes: the walk ends, raises nothing, spends no more than it may, and its guard has nothing to do."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.scan import filetypes
from gateway.scan.inside.entry import DEPTH, Budget
from gateway.scan.inside.walk import KINDS, PATH_CHARACTERS, look_inside
from tests.unit.scan.filetypes import samples
from tests.unit.scan.inside import archives as make

OCTETS, FILES = 2 * 1024 * 1024, 50
PIECE = 64 * 1024

PAX = make.tarred(("x" * 150, b"hello"), ("y", make.EXE))
SEEDS = [
    make.zipped(("a.txt", b"hello" * 50), ("b/c.exe", make.EXE)),
    make.streamed(("a.txt", b"hello" * 50)),
    make.zipped(("in.zip", make.zipped(("x", b"y" * 99)))),
    make.zipped(("x", b"y" * 999), method=12),
    make.zipped(("x", b"y" * 999), method=14),
    make.overlapping(40, b"0" * 900),
    samples.odf("text"),
    samples.ooxml(f"{samples.OOXML}wordprocessingml.document.main+xml", "word"),
    PAX,
    make.tarred(("x" * 150, b"hello"), form=1),
    samples.tar(ustar=False),
    gzip.compress(PAX),
    bz2.compress(PAX),
    lzma.compress(PAX),
    gzip.compress(b"x") * 3,
    make.EXE + make.zipped(("x", b"y")),
]


def check(content: bytes) -> None:
    spend = Budget(time.monotonic() + 30, FILES, OCTETS)
    found = look_inside(content, "a.zip", filetypes.look(content), spend)
    assert spend.octets >= -(DEPTH + 1) * PIECE
    assert len(found.files) <= KINDS
    assert found.unscannable != "cannot be read"
    for file in found.files:
        assert len(file.path) <= PATH_CHARACTERS
        file.path.encode()
        assert file.count > 0


changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.one_of(st.binary(max_size=4), st.sampled_from([b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6"]))),
    max_size=6,
)  # fmt: skip


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), changes, st.integers(0, 30))
def test_archives_with_some_bytes_changed(seed: bytes, changed: list[tuple[float, bytes]], cut: int) -> None:
    data = bytearray(seed)
    for where, octets in changed:
        at = int(where * len(data))
        data[at : at + len(octets)] = octets
    check(bytes(data[: len(data) - cut]))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=3).map(b"".join), st.binary(max_size=30))
def test_archives_one_behind_another(content: bytes, tail: bytes) -> None:
    check(content + tail)


small = st.one_of(st.integers(0, 200), st.sampled_from([0xFFFF, 0xFFFFFFFF, 0x80000000, 2**31 - 1]))
files = st.builds(
    make.File,
    name=st.binary(max_size=12),
    content=st.sampled_from([b"", b"hello", bytes(70_000), make.EXE, SEEDS[0]]),
    method=st.sampled_from([0, 8, 9, 12, 14, 95, 99]),
    flags=st.sampled_from([0, 1, 2, 8, 0x800, 0x2041]),
    local_name=st.one_of(st.none(), st.binary(max_size=12)),
    local_flags=st.one_of(st.none(), st.sampled_from([0, 1, 8])),
    sizes=st.one_of(st.none(), st.tuples(small, small)),
    offset=st.one_of(st.none(), small),
    extra=st.one_of(st.just(b""), st.binary(max_size=40), st.binary(max_size=24).map(lambda b: struct.pack("<2H", 1, len(b)) + b)),
)  # fmt: skip
zips = st.builds(
    make.Zip,
    files=st.lists(files, max_size=5),
    before=st.one_of(st.just(b""), st.just(make.EXE), st.binary(max_size=8)),
    gap=st.binary(max_size=8),
    count=st.one_of(st.none(), st.integers(0, 0xFFFF)),
    size=st.one_of(st.none(), small),
    comment=st.binary(max_size=8),
)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(zips)
def test_zips_that_lie_in_any_field(made: make.Zip) -> None:
    data = made.build()
    check(data)
    check(b"PK\3\4" + data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", bytes(257) + b"ustar"]),
    st.binary(max_size=300),
)
def test_any_bytes(magic: bytes, rest: bytes) -> None:
    check(magic + rest)
