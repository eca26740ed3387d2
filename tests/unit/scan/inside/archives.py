"""Archives made for the tests: honest ones as real programs write them, and ZIP files put together field by field."""

from __future__ import annotations

import io
import struct
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass, field

from gateway.scan import filetypes
from gateway.scan.inside.entry import BYTES, FILES, Budget
from gateway.scan.inside.walk import Inside, look_inside

EXE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0" + bytes(300)


def budget() -> Budget:
    return Budget(time.monotonic() + 30)


def look(content: bytes, name: str = "a.zip", spend: Budget | None = None) -> Inside:
    return look_inside(content, name, filetypes.look(content), spend or budget())


def paths(inside: Inside) -> list[str]:
    return sorted(file.path for file in inside.files)


def spent(of: Budget) -> tuple[int, int]:
    """Files and octets."""
    return FILES - of.files, BYTES - of.octets


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
        archive.comment = comment
    return out.getvalue()


class OnlyForward(io.RawIOBase):
    """A pipe: zipfile then writes sizes behind the data."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)


def streamed(*files: tuple[str, bytes]) -> bytes:
    out = OnlyForward()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, content in files:
            archive.writestr(name, content)
    return bytes(out.written)


def tarred(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def zeros(mebibytes: int) -> bytes:
    """So many of zeros, deflated a thousandfold, without being made."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one * mebibytes + packer.flush()


@dataclass
class File:
    """One file of a ZIP, each field of both headers to be lied about. None: the truth."""

    name: bytes
    content: bytes = b"hello"
    method: int = 8
    flags: int = 0
    packed: bytes | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_sizes: tuple[int, int] | None = None
    """Stored and unpacked."""
    sizes: tuple[int, int] | None = None
    offset: int | None = None
    descriptor: bytes = b""
    extra: bytes = b""
    local_extra: bytes = b""
    version: int = 20

    @property
    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == 8 else self.content

    @property
    def truth(self) -> tuple[int, int]:
        return len(self.body), len(self.content)

    def local(self) -> bytes:
        stored, size = self.local_sizes or self.sizes or self.truth
        name = self.name if self.local_name is None else self.local_name
        method = self.method if self.local_method is None else self.local_method
        flags = self.flags if self.local_flags is None else self.local_flags
        head = struct.pack(
            "<4s5H3L2H", b"PK\3\4", self.version, flags, method, 0, 0x5821, zlib.crc32(self.content), stored, size,
            len(name), len(self.local_extra),
        )  # fmt: skip
        return head + name + self.local_extra + self.body + self.descriptor

    def central(self, offset: int) -> bytes:
        stored, size = self.sizes or self.truth
        head = struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", self.version, self.version, self.flags, self.method, 0, 0x5821, zlib.crc32(self.content),
            stored, size, len(self.name), len(self.extra), 0, 0, 0, 0, offset if self.offset is None else self.offset,
        )  # fmt: skip
        return head + self.name + self.extra


@dataclass
class Zip:
    files: list[File] = field(default_factory=list)
    before: bytes = b""
    shifted: bool = False
    """Offsets count from the file's beginning, `before` included (`zip -A`); else from the archive's."""
    gap: bytes = b""
    """Between the last file and the directory."""
    count: int | None = None
    size: int | None = None
    comment: bytes = b""
    disk: int = 0

    def build(self) -> bytes:
        base = len(self.before) if self.shifted else 0
        local, central = b"", b""
        for file in self.files:
            central += file.central(base + len(local))
            local += file.local()
        count = len(self.files) if self.count is None else self.count
        size = len(central) if self.size is None else self.size
        start = base + len(local) + len(self.gap)
        end = struct.pack("<4s4H2LH", b"PK\5\6", self.disk, self.disk, count, count, size, start, len(self.comment))
        return self.before + local + self.gap + central + end + self.comment


def overlapping(count: int, kernel: bytes) -> bytes:
    """As David Fifield's zip bomb in its first form: every file of the directory is the one same kernel."""
    file = File(b"0", kernel)
    local = file.local()
    central = b"".join(File(b"0", kernel).central(0) for _ in range(min(count, 1))) * count
    return local + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central), len(local), 0)


def quoted_overlap(count: int, kernel: bytes) -> bytes:
    """Fifield's better form: each file is a stored block that quotes the next one's local header, down to the kernel."""
    packed = deflated(kernel)
    local = File(b"%05d" % count, kernel, packed=packed).local()
    headers = [(File(b"%05d" % count, kernel, packed=packed), len(local))]
    body, size = packed, len(kernel)
    for n in reversed(range(count)):
        quoted = local[: len(local) - len(body)]
        body = b"\0" + struct.pack("<HH", len(quoted), len(quoted) ^ 0xFFFF) + quoted + body
        size += len(quoted)
        file = File(b"%05d" % n, b"", packed=body, sizes=(len(body), size))
        local = file.local()
        headers.append((file, len(local)))
    central = b"".join(file.central(len(local) - length) for file, length in headers)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(headers), len(headers), len(central), len(local), 0)
    return local + central + end
