"""Every way of packing a 7z archive that we leave to clamd, packed by 7-Zip and put before a real clamd: it sees the virus.
What is packed in any other way is told as unscannable, for clamd calls it clean.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from gateway.core.reports import ScanStatus
from gateway.scan.inside.containers import sevenzip
from gateway.scan.inside.containers._sevenzip_coders import READ_BY_CLAMD, Folder
from gateway.scan.scanners.clamav import make
from tests.conftest import missing
from tests.scenarios.airlock.archives import by_program
from tests.scenarios.airlock.letters import VIRUS, in64, letter, multipart, text
from tests.servers.clamd import ClamdServer
from tests.unit.scan.inside.containers.reading import read

CODE = VIRUS + b"".join(b"\xe8" + struct.pack("<l", 70_000 - 9 * n) + b"\x0f\x84\0\1" for n in range(5000))
"""The virus with calls behind it, as in a program: what filters rewrite, and those who rewrite it back wrongly break."""

READ = (
    "-m0=Copy", "-m0=LZMA", "-m0=LZMA2", "-m0=LZMA:eos=on", "-m0=LZMA:lc=0:lp=4:pb=0", "-m0=LZMA2:d=1536m", "-mx=9",
    "-m0=BCJ -m1=Copy", "-m0=BCJ -m1=LZMA", "-m0=BCJ -m1=LZMA2",
    "-m0=ARM -m1=Copy", "-m0=ARM -m1=LZMA", "-m0=ARM -m1=LZMA2",
    "-mf=BCJ2 -m0=Copy", "-mf=BCJ2 -m0=LZMA", "-mf=BCJ2 -m0=LZMA2",
)  # fmt: skip
UNREAD = {
    "-m0=BZip2": "BZip2", "-m0=Deflate": "Deflate", "-m0=Deflate64": "Deflate64", "-m0=PPMd": "PPMd",
    "-m0=Delta:4 -m1=LZMA2": "LZMA2 and Delta", "-m0=ARM64 -m1=LZMA2": "LZMA2 and ARM64",
    "-m0=ARMT -m1=LZMA2": "LZMA2 and ARMT", "-m0=PPC -m1=LZMA2": "LZMA2 and PPC", "-m0=SPARC -m1=LZMA2": "LZMA2 and SPARC",
    "-m0=IA64 -m1=LZMA2": "LZMA2 and IA64", "-m0=Swap2 -m1=LZMA2": "LZMA2 and Swap2", "-m0=Swap4 -m1=LZMA": "LZMA and Swap4",
    "-m0=BCJ2 -m1=LZMA2": "LZMA2 and BCJ2", "-m0=BCJ -m1=BCJ -m2=LZMA": "LZMA and BCJ", "-m0=LZMA -m1=LZMA": "LZMA",
    "-m0=BCJ": "BCJ",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seven_zip() -> None:
    if not shutil.which("7zz"):
        missing("7zz: apt-get install 7zip")


def packed(switches: str, content: bytes = CODE) -> bytes:
    return by_program("7zz", "a", *switches.split(), "a.7z", "report.txt", out="a.7z")(content)


async def scanned(clamd: ClamdServer, archive: bytes, directory: Path) -> ScanStatus:
    mail = letter("7z", multipart(text(), in64(archive, "a.7z")))
    return (await make(clamd.address, 20, directory / "clamd.seen").scan(mail)).status


@pytest.mark.parametrize("switches", READ)
async def test_what_is_left_to_clamd_is_seen_by_clamd(clamd: ClamdServer, tmp_path: Path, switches: str) -> None:
    archive = packed(switches)
    assert read(sevenzip, archive)[1] == ""
    assert await scanned(clamd, archive, tmp_path) is ScanStatus.INFECTED


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> set[tuple[tuple[bytes, ...], tuple[int, ...]]]:
    """Those asked about."""
    asked: set[tuple[tuple[bytes, ...], tuple[int, ...]]] = set()
    answer = Folder.read_by_clamd.fget
    assert answer

    def note(folder: Folder) -> bool:
        asked.add((tuple(coder.method for coder in folder.coders), folder.bonds))
        return bool(answer(folder))

    monkeypatch.setattr(Folder, "read_by_clamd", property(note))
    return asked


def test_no_chain_is_left_to_clamd_without_proof(chains: set[tuple[tuple[bytes, ...], tuple[int, ...]]]) -> None:
    for switches in READ:
        assert read(sevenzip, packed(switches))[1] == ""
    assert chains == READ_BY_CLAMD


@pytest.mark.parametrize("switches", UNREAD)
def test_what_is_packed_otherwise_cannot_be_seen(switches: str) -> None:
    found, reason = read(sevenzip, packed(switches, VIRUS))
    assert [entry.name for entry in found] == ["report.txt"]
    assert reason == f"packed as {UNREAD[switches]}, which scanners do not read"
