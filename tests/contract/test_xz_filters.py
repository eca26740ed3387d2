"""Every filter of .xz that we leave to clamd, put before a real one: it sees the virus behind it."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from gateway.core.reports import ScanStatus
from gateway.scan.inside.containers import xz
from gateway.scan.inside.containers.xz import READ_BY_CLAMD
from gateway.scan.scanners.clamav import make
from tests.scenarios.airlock.letters import VIRUS, in64, letter, multipart, text
from tests.servers.clamd import ClamdServer
from tests.unit.scan.inside.containers.reading import read

CODE = VIRUS + b"".join(
    b"\xe8%s\xeb%s\x48%s\x40%s" % (p, p[:3], p[1:], p[:3])
    for p in (struct.pack("<l", 70_000 - 9 * n) for n in range(5000))
)
"""The virus with branches of several processors behind it: what filters rewrite."""


@pytest.mark.parametrize("start", [0, 4096])
@pytest.mark.parametrize("kind", sorted(READ_BY_CLAMD))
async def test_a_filter_left_to_clamd_is_undone_by_clamd(
    clamd: ClamdServer, tmp_path: Path, kind: int, start: int
) -> None:
    told = {"dist": 4} if kind == lzma.FILTER_DELTA else {"start_offset": start}
    archive = lzma.compress(CODE, filters=[{"id": kind, **told}, {"id": lzma.FILTER_LZMA2}])
    assert read(xz, archive)[1] == ""
    mail = letter("xz", multipart(text(), in64(archive, "a.xz")))
    result = await make(clamd.address, 20, tmp_path / "clamd.seen").scan(mail)
    assert result.status is ScanStatus.INFECTED
