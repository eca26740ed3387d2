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
from tests.unit.scan.filetypes.apple import double, macbinary, single


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


PROGRAM = b"MZ" + bytes(600)

CONTAINERS = {
    "a disc image (iso)": lambda d: made(d, "a.iso", "genisoimage", "-quiet", "-J", "-R", "-o", "a.iso", "setup.exe"),
    "a Windows cabinet (cab)": lambda d: made(d, "a.cab", "gcab", "-c", "a.cab", "setup.exe"),
    "an ARJ archive (arj)": lambda d: made(d, "a.arj", "arj", "a", "-y", "a.arj", "setup.exe"),
    "an LHA archive (lha)": lambda _: lha(),
    "an ACE archive (ace)": lambda _: b"\x12\x34\x31\0\0\0\x90**ACE**\x14\x14\2\0" + bytes(40),
    "an AppleSingle file (applesingle)": lambda _: single(PROGRAM),
    "a MacBinary file (macbinary)": lambda _: macbinary(PROGRAM),
    "a file of lzop (lzo)": lambda _: b"\x89LZO\0\r\n\x1a\n\x10\x30" + PROGRAM,
    "a zoo archive (zoo)": lambda _: b"ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd" + PROGRAM,
    "an ALZip archive (alz)": lambda _: b"ALZ\1\x0a\0\0\0BLZ\1" + PROGRAM,
    "an ALZip archive (egg)": lambda _: b"EGGA\0\1" + PROGRAM,
    "a StuffIt archive (sit)": lambda _: b"StuffIt (c)1997-2002 Aladdin Systems, Inc." + PROGRAM,
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


BROTLI = b"\x0f\x21\x80" + bytes(range(1, 128)) * 9


@pytest.mark.parametrize(("name", "declared"), [(b"1.br", b"x/y"), (b"1", b"application/x-brotli")])
async def test_brotli_has_no_signature_so_what_is_called_it_is_held(
    gateway: Gateway, name: bytes, declared: bytes
) -> None:
    content = with_files(1, BROTLI).replace(b"1.pdf", name).replace(b"application/pdf", declared)
    kept = await mailed(gateway, content)
    assert fates(kept) == [("held", "not seen to its end: what lies in a Brotli file (br) cannot be checked")]


async def test_the_resource_fork_that_apple_mail_sends_beside_a_file_is_kept(gateway: Gateway) -> None:
    content = (
        with_files(1, double()).replace(b"1.pdf", b"._1.pdf").replace(b"application/pdf", b"application/applefile")
    )
    assert fates(await mailed(gateway, content))[0][0] == "kept"


async def test_a_file_called_iso_that_is_none_we_know_is_held_all_the_same(gateway: Gateway) -> None:
    content = with_files(1, bytes(range(1, 256)) * 300).replace(b"1.pdf", b"1.iso").replace(b"application/pdf", b"x/y")
    kept = await mailed(gateway, content)
    assert fates(kept) == [("held", "not seen to its end: what lies in a disc image (iso) cannot be checked")]
