"""Images and archives that nobody of ours can look into: held, with a reason that says what they are, by a real clamd."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.scenarios.test_rescan import fates, mailed, with_files
from tests.servers.clamd import ClamdServer
from tests.servers.inprocess import Gateway, fresh_ground, running
from tests.unit.scan.filetypes import samples


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path, clamd: ClamdServer) -> AsyncIterator[Gateway]:
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_CLAMAV__ADDRESS=clamd.address)
    async with running(ground) as gateway:
        yield gateway


def made(directory: Path, name: str, *command: str) -> bytes:
    """What a real program packs of a harmless program."""
    (directory / "setup.exe").write_bytes(b"MZ" + bytes(600))
    try:
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    except FileNotFoundError:
        missing(command[0])
    return (directory / name).read_bytes()


def lha() -> bytes:
    """A level 0 header, the file stored."""
    data = b"MZ" + bytes(600)
    head = b"-lh0-" + struct.pack("<IIIBB", len(data), len(data), 0, 0x20, 0) + b"\x09setup.exe\0\0"
    return bytes([len(head), sum(head) & 255]) + head + data + b"\0"


CONTAINERS = {
    "a disc image (iso)": lambda d: made(d, "a.iso", "genisoimage", "-quiet", "-J", "-R", "-o", "a.iso", "setup.exe"),
    "a Windows cabinet (cab)": lambda d: made(d, "a.cab", "gcab", "-c", "a.cab", "setup.exe"),
    "an ARJ archive (arj)": lambda d: made(d, "a.arj", "arj", "a", "-y", "a.arj", "setup.exe"),
    "an LHA archive (lha)": lambda _: lha(),
    "an ACE archive (ace)": lambda _: b"\x12\x34\x31\0\0\0\x90**ACE**\x14\x14\2\0" + bytes(40),
    "a disk image (img)": lambda _: samples.partitioned(samples.fat_image()),
    "a virtual disk (vhd)": lambda _: samples.partitioned(samples.fat_image()) + b"conectix" + bytes(504),
}


@pytest.mark.parametrize("words", CONTAINERS)
async def test_a_container_that_cannot_be_looked_into_is_held_and_says_what_it_is(
    gateway: Gateway, words: str, tmp_path: Path
) -> None:
    """Called a PDF, as a stranger would."""
    kept = await mailed(gateway, with_files(1, CONTAINERS[words](tmp_path)))
    reason = f"not seen to its end: what lies in {words} cannot be checked"
    assert (kept["disposition"], fates(kept)) == ("ticketed", [("held", reason)])


async def test_a_file_called_iso_that_is_none_we_know_is_held_all_the_same(gateway: Gateway) -> None:
    content = with_files(1, bytes(range(1, 256)) * 300).replace(b"1.pdf", b"1.iso").replace(b"application/pdf", b"x/y")
    kept = await mailed(gateway, content)
    assert fates(kept) == [("held", "not seen to its end: what lies in a disc image (iso) cannot be checked")]
