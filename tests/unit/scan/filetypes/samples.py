"""Sample files made from the formats' specifications, small as they may be."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib


def zipped(files: dict[str, bytes | str], *, stored_first: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, (name, content) in enumerate(files.items()):
            method = zipfile.ZIP_STORED if stored_first and i == 0 else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def content_types(main: str, extra: str = "") -> str:
    return f'<?xml version="1.0"?><Types><Override PartName="/x" ContentType="application/{main}"/>{extra}</Types>'


OOXML = "vnd.openxmlformats-officedocument."


def ooxml(main: str, folder: str, **more: bytes) -> bytes:
    files: dict[str, bytes | str] = {"[Content_Types].xml": content_types(main), f"{folder}/main.xml": b"<x/>"}
    return zipped(files | dict(more))


def odf(kind: str, more: dict[str, bytes | str] | None = None) -> bytes:
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    return zipped({"mimetype": media_type, "content.xml": "<x/>", **(more or {})}, stored_first=True)


def encrypted_zip(name: str = "a.txt") -> bytes:
    data = bytearray(zipped({name: b"x" * 30}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def pe(*, dll: bool = False) -> bytes:
    dos = b"MZ" + bytes(58) + struct.pack("<L", 64)
    return dos + b"PE\0\0" + struct.pack("<HHLLLHH", 0x8664, 1, 0, 0, 0, 240, 0x2022 if dll else 0x22) + bytes(300)


def tar(*, ustar: bool = True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("hello.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    data = bytearray(out.getvalue())
    if not ustar:
        data[257:265] = bytes(8)
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def boxes(brand: bytes, *compatible: bytes) -> bytes:
    body = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">L", 8 + len(body)) + b"ftyp" + body + b"\0\0\0\x08mdat"


def riff(kind: bytes) -> bytes:
    return b"RIFF" + struct.pack("<L", 40) + kind + bytes(36)


def mp3_frames() -> bytes:
    frame = b"\xff\xfb\x90\x00" + bytes(413)  # 128 kbit/s at 44.1 kHz: 417 bytes
    return frame * 3


def tiff(*, dng: bool = False) -> bytes:
    tag = 0xC612 if dng else 0x0100
    return b"II*\0" + struct.pack("<LHHHLL", 8, 1, tag, 3, 1, 10) + bytes(4)


def png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">LLBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\0\0\1\0\1\0\0" + bytes(40) + b"\xff\xd9"


def ico() -> bytes:
    return b"\0\0\1\0\1\0" + bytes([16, 16, 0, 0]) + struct.pack("<HHLL", 1, 32, 40, 22) + bytes(40)


def font() -> bytes:
    return b"\0\1\0\0\0\x0a\0\x80\0\3\0\x20" + b"OS/2" + bytes(200)


def iso() -> bytes:
    return bytes(32768) + b"\x01CD001\x01" + bytes(2048)


def fat_image() -> bytes:
    boot = bytearray(512)
    boot[:3], boot[54:62], boot[510:] = b"\xeb\x3c\x90", b"FAT12   ", b"\x55\xaa"
    return bytes(boot) + bytes(1024)


def partitioned(volume: bytes) -> bytes:
    """A disk whose first partition (FAT16) is this volume."""
    record = bytearray(512)
    record[446:462] = bytes([0, 1, 1, 0, 0x06, 1, 1, 1]) + struct.pack("<II", 1, len(volume) // 512)
    record[510:] = b"\x55\xaa"
    return bytes(record) + volume


def compound(streams: dict[str, bytes], *, clsid: bytes = bytes(16)) -> bytes:
    """An OLE compound file ([MS-CFB] version 3) with these streams (path parts joined by `/`) of at least 4096 bytes."""
    sector = 512
    free, end, fat_sector = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    storages = sorted({name.partition("/")[0] for name in streams if "/" in name})
    names = [*storages, *streams]
    body, chain = b"", []
    directory: list[bytes] = []
    starts = []
    for content in streams.values():
        padded = content.ljust(4096, b"\0")
        padded += bytes(-len(padded) % sector)
        first = len(chain)
        count = len(padded) // sector
        chain += [*range(first + 1, first + count), end]
        starts.append((first, len(padded)))
        body += padded

    def entry(
        name: str, kind: int, right: int, child: int, start: int, size: int, identity: bytes = bytes(16)
    ) -> bytes:
        raw = (name + "\0").encode("utf-16-le")
        head = raw.ljust(64, b"\0") + struct.pack("<HBBLLL", len(raw), kind, 1, free, right, child)
        return head + identity + bytes(20) + struct.pack("<LQ", start, size)

    ids = {name: i + 1 for i, name in enumerate(names)}
    top = [n for n in names if "/" not in n]
    directory.append(entry("Root Entry", 5, free, ids[top[0]] if top else free, end, 0, clsid))

    def next_of(group: list[str], name: str) -> int:
        at = group.index(name) + 1
        return ids[group[at]] if at < len(group) else free

    for name in storages:
        inside = [n for n in streams if n.startswith(name + "/")]
        directory.append(entry(name, 1, next_of(top, name), ids[inside[0]], 0, 0))
    for name, (start, size) in zip(streams, starts, strict=True):
        group = top if "/" not in name else [n for n in streams if n.startswith(name.partition("/")[0] + "/")]
        directory.append(entry(name.rpartition("/")[2], 2, next_of(group, name), free, start, size))
    raw = b"".join(directory)
    raw += bytes(-len(raw) % sector)
    directory_start = len(chain)
    chain += [*range(directory_start + 1, directory_start + len(raw) // sector), end]
    fat_start = len(chain)
    chain.append(fat_sector)
    assert len(chain) <= 128, "one FAT sector is enough for samples"
    fat = struct.pack("<128L", *(chain + [free] * (128 - len(chain))))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<LLLLLLLLL", 0, 1, directory_start, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109L", fat_start, *[free] * 108)
    return header + body + raw + fat


def excel(*records: tuple[int, bytes]) -> bytes:
    stream = b"".join(struct.pack("<HH", kind, len(body)) + body for kind, body in records)
    return compound({"Workbook": stream + b"\x0a\0\0\0"})


def rar4(*, encrypted: bool = False) -> bytes:
    main = b"\0\0\x73\0\0\x0d\0" + bytes(6)
    flags = 0x8000 | (0x04 if encrypted else 0)
    file = b"\0\0\x74" + struct.pack("<HHL", flags, 32 + 5, 3) + bytes(26) + b"abc"
    return b"Rar!\x1a\x07\0" + main + file


def rar5(*, encrypted: bool = False) -> bytes:
    main = b"\0\0\0\0" + b"\x03\x01\x00\x00"
    extra = b"\x02\x01\x00" if encrypted else b""
    fields = b"\x02" + (b"\x03\x03" if encrypted else b"\x02") + b"\x04" + b"\0\0\0\0\0\x01a"
    file = b"\0\0\0\0" + bytes([len(fields + extra)]) + fields + extra + b"data"
    return b"Rar!\x1a\x07\x01\0" + main + file


def seven_zip(*, encrypted: bool = False) -> bytes:
    header = b"\x17\x06\x00\x01\x09\x10\x00\x07\x0b\x01\x00\x01" + (
        b"\x24\x06\xf1\x07\x01" if encrypted else b"\x23\x03\x01\x01"
    )
    start = struct.pack("<QQL", 10, len(header), 0)
    return b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + start + bytes(10) + header


def pdf(trailer: str = "", encrypt: str = "") -> bytes:
    body = f"5 0 obj\n<< {encrypt} >>\nendobj\n" if encrypt else ""
    return f"%PDF-1.7\n{body}trailer << /Root 1 0 R {trailer} >>\nstartxref\n0\n%%EOF\n".encode("latin-1")
