"""Archives and documents, honest ones and such as two programs read differently."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.scenarios.airlock.letters import Disguise, attached, in64, multipart, text
from tests.scenarios.airlock.structure import mail_with
from tests.unit.scan.filetypes.apple import double, macbinary, single
from tests.unit.scan.inside.archives import File, Zip, streamed, tarred, zipped
from tests.unit.scan.inside.containers import sevenzips
from tests.unit.scan.inside.containers.compounds import attached as in_msg
from tests.unit.scan.inside.containers.compounds import compound, packaged
from tests.unit.scan.inside.containers.winmail import attachment, winmail

NAME = "report.txt"


def _zip(method: int) -> Callable[[bytes], bytes]:
    return lambda p: zipped((NAME, p), method=method)


def _zip_in_zip(depth: int) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        for _ in range(depth):
            payload = zipped((f"{NAME}.zip", payload))
        return payload

    return build


def _zip64(payload: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open(NAME, "w", force_zip64=True) as file:
        file.write(payload)
    return out.getvalue()


def zip_crypto(payload: bytes, password: bytes = b"infected", name: str = NAME) -> bytes:
    """The old encryption of PKWARE (APPNOTE 6.1), which every program knows."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, octet: int) -> int:
        return zlib.crc32(bytes([octet]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(octet: int) -> None:
        keys[0] = crc(keys[0], octet)
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for octet in password:
        update(octet)
    packed = b""
    for octet in bytes(11) + bytes([zlib.crc32(payload) >> 24]) + payload:
        mask = keys[2] | 2
        packed += bytes([octet ^ ((mask * (mask ^ 1)) >> 8 & 255)])
        update(octet)
    sizes = len(packed), len(payload)
    return Zip([File(name.encode(), payload, method=0, flags=1, packed=packed, sizes=sizes)]).build()


def _two_names(payload: bytes) -> bytes:
    return Zip([File(b"report.txt", payload, local_name=b"report.exe")]).build()


def _hidden_behind(payload: bytes) -> bytes:
    """A second archive behind the first: some programs read the first, some the last."""
    return zipped((NAME, payload)) + zipped(("harmless.txt", b"nothing"))


def _not_in_directory(payload: bytes) -> bytes:
    return Zip([File(b"harmless.txt", b"nothing")], before=File(NAME.encode(), payload).local(), shifted=True).build()


def _office(main: str, kind: str, embedded: str) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        types = f'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/{main}" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>'
        return zipped(("[Content_Types].xml", types.encode()), (main, b"<x/>"), (embedded, payload))

    return build


def _odt(payload: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        archive.writestr("content.xml", "<office:document-content/>")
        archive.writestr("Object 1", payload)
    return out.getvalue()


def _jar(payload: bytes) -> bytes:
    return zipped(
        ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n"),
        ("a/B.class", b"\xca\xfe\xba\xbe\0\0\0\x34"),
        ("x", payload),
    )


def _ole(payload: bytes) -> bytes:
    return compound({"WordDocument": bytes(600), "ObjectPool/_1/\1Ole10Native": packaged(payload, NAME)})


def _msg(payload: bytes) -> bytes:
    return compound({"__properties_version1.0": bytes(32), **in_msg(0, payload, long=NAME)})


def _winmail(payload: bytes) -> bytes:
    return winmail(attachment(title=NAME, data=payload))


def by_program(*command: str, out: str) -> Callable[[bytes], bytes]:
    """What a program packs in a folder that holds the payload as NAME."""

    def build(payload: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / NAME).write_bytes(payload)
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return (Path(folder) / out).read_bytes()

    return build


def _gz(name: str) -> Callable[[bytes], bytes]:
    def build(payload: bytes) -> bytes:
        out = io.BytesIO()
        with gzip.GzipFile(name, "wb", fileobj=out) as file:
            file.write(payload)
        return out.getvalue()

    return build


def _two_members(payload: bytes) -> bytes:
    return gzip.compress(b"") + gzip.compress(payload)


def _tar_wrong_sum(payload: bytes) -> bytes:
    packed = bytearray(tarred((NAME, payload)))
    packed[148:156] = b"0000000\0"
    return bytes(packed)


def _tar_field(at: int, value: bytes) -> Callable[[bytes], bytes]:
    """`value` in the header at `at`, the sum made right."""

    def build(payload: bytes) -> bytes:
        packed = bytearray(tarred((NAME, payload), form=tarfile.GNU_FORMAT))
        packed[at : at + len(value)] = value
        packed[148:156] = b" " * 8
        packed[148:156] = b"%06o\0 " % sum(packed[:512])
        return bytes(packed)

    return build


def _tar_two_ages(payload: bytes) -> bytes:
    return tarred(("harmless.txt", b"nothing"), form=tarfile.GNU_FORMAT)[:1024] + _tar_field(257, bytes(8))(payload)


def _tar_two_sizes(payload: bytes) -> bytes:
    """The pax header's is right, the old one nothing."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(NAME)
        member.size, member.pax_headers = len(payload), {"size": str(len(payload))}
        archive.addfile(member, io.BytesIO(payload))
    packed = out.getvalue()
    return packed[:1024] + _tar_field(124, b"%011o\0" % 0)(payload)[:512] + packed[1536:]


def _xz(*filters: dict[str, int]) -> Callable[[bytes], bytes]:
    return lambda p: lzma.compress(p, filters=[*filters, {"id": lzma.FILTER_LZMA2}])


def _zoo(payload: bytes) -> bytes:
    return b"ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd" + bytes(30) + payload


def _brotli(payload: bytes) -> bytes:
    """RFC 7932 section 9.2: one meta-block as it is, of 68 octets, and an empty one that is the last."""
    bits = (len(payload) - 1) << 4 | 1 << 20  # WBITS 16, not the last, four nibbles of length, as it is
    return bits.to_bytes(3, "little") + payload + b"\x03"


def _pdf_with_file(payload: bytes) -> bytes:
    stream = zlib.compress(payload)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)3 0 R]>>>>>>",
        b"<</Type/Pages/Kids[]/Count 0>>",
        b"<</Type/Filespec/F(a.txt)/EF<</F 4 0 R>>>>",
        b"<</Type/EmbeddedFile/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, o) for n, o in enumerate(objects, 1))
    return body + b"trailer<</Root 1 0 R/Size 5>>\n%%EOF\n"


def _rtf(payload: bytes) -> bytes:
    native = packaged(payload, NAME)[4:]  # its own size is that of the stream in compound files
    header = (
        struct.pack("<LL", 0x501, 2) + struct.pack("<L", 8) + b"Package\0" + bytes(8) + struct.pack("<L", len(native))
    )
    return b"{\\rtf1{\\object\\objemb{\\*\\objdata " + (header + native).hex().encode() + b"}}}"


def _svg_data(payload: bytes) -> bytes:
    import base64

    return (
        b'<html><body><a download="a.txt" href="data:application/octet-stream;base64,'
        + base64.b64encode(payload)
        + b'">a</a></body></html>'
    )


def _file(what: str, build: Callable[[bytes], bytes], name: str, **said: str) -> Disguise:
    return attached(what, lambda p: in64(build(p), name), **said)


def _archives() -> tuple[Disguise, ...]:
    made = [
        _file("zip, stored", _zip(zipfile.ZIP_STORED), "a.zip"),
        _file("zip, deflated", _zip(zipfile.ZIP_DEFLATED), "a.zip"),
        _file("zip, bzip2", _zip(zipfile.ZIP_BZIP2), "a.zip"),
        _file("zip, lzma", _zip(zipfile.ZIP_LZMA), "a.zip", lets_through="clamd unpacks no lzma in zip"),
        _file("zip without its name", _zip(zipfile.ZIP_DEFLATED), "report.pdf"),
        _file("zip in zip", _zip_in_zip(2), "a.zip"),
        _file("zip in zip, five deep", _zip_in_zip(5), "a.zip"),
        _file("zip in zip, nine deep", _zip_in_zip(9), "a.zip"),
        _file("zip behind other octets", lambda p: b"not a zip at all, it seems\r\n" * 9 + zipped((NAME, p)), "a.zip"),
        _file("zip behind a program", lambda p: b"MZ" + bytes(4000) + zipped((NAME, p)), "setup.dat"),
        _file("zip64", _zip64, "a.zip", lets_through="clamd reads no ZIP64 sizes"),
        _file("zip of unknown sizes", lambda p: streamed((NAME, p)), "a.zip"),
        _file("zip, encrypted", zip_crypto, "a.zip", lets_through="encrypted: accept"),
        _file("zip with two names of one file", _two_names, "a.zip"),
        _file("zip behind zip", _hidden_behind, "a.zip", lets_through="clamd reads the last one"),
        _file(
            "zip with a file its directory lacks", _not_in_directory, "a.zip", lets_through="clamd reads the directory"
        ),
        _file(
            "zip without directory",
            lambda p: File(NAME.encode(), p).local(),
            "a.zip",
            lets_through="clamd reads the directory",
        ),
        _file("zip in a picture", lambda p: b"GIF89a" + bytes(300) + zipped((NAME, p)), "a.gif"),
        _file("tar", lambda p: tarred((NAME, p)), "a.tar"),
        _file("tar of the old kind", lambda p: tarred((NAME, p), form=tarfile.USTAR_FORMAT), "a.tar"),
        _file("tar with a wrong sum", _tar_wrong_sum, "a.tar", lets_through="clamd reads no such tar"),
        _file(
            "tar with a size beyond octal",
            _tar_field(124, b"\x80" + (68).to_bytes(11, "big")),
            "a.tar",
            lets_through="clamd reads octal sizes",
        ),
        _file(
            "tar with a kind that only unpackers know",
            _tar_field(156, b"A"),
            "a.tar",
            lets_through="clamd passes over it",
        ),
        _file("tar with a name of nothing", _tar_field(0, b"\0"), "a.tar", lets_through="clamd takes that for the end"),
        _file(
            "tar with a label that has contents",
            _tar_field(156, b"V"),
            "a.tar",
            lets_through="clamd passes over labels",
        ),
        _file(
            "tar behind a broken header",
            lambda p: b"x" * 512 + tarred((NAME, p)),
            "a.tar",
            lets_through="clamd reads no such tar",
        ),
        _file("tar of two ages", _tar_two_ages, "a.tar", lets_through="clamd ends at the older one"),
        _file("tar with two sizes", _tar_two_sizes, "a.tar", lets_through="clamd reads the old one"),
        _file(
            "tar behind empty blocks",
            lambda p: bytes(1024) + tarred((NAME, p)),
            "a.tar",
            lets_through="clamd takes them for the end",
        ),
        _file("tar.gz", lambda p: gzip.compress(tarred((NAME, p))), "a.tgz"),
        _file("tar.bz2", lambda p: bz2.compress(tarred((NAME, p))), "a.tar.bz2"),
        _file("tar.xz", lambda p: lzma.compress(tarred((NAME, p))), "a.tar.xz"),
        _file("gz", _gz("report.txt"), "report.txt.gz"),
        _file("gz of another name", _gz("report.exe"), "report.pdf"),
        _file("gz of two members", _two_members, "report.gz"),
        _file("bz2", bz2.compress, "report.bz2"),
        _file(
            "bz2 of two streams",
            lambda p: bz2.compress(b"") + bz2.compress(p),
            "report.bz2",
            lets_through="clamd reads the first stream",
        ),
        _file("xz", lzma.compress, "report.xz"),
        _file("xz, delta", _xz({"id": lzma.FILTER_DELTA, "dist": 4}), "report.xz"),
        _file("xz, x86", _xz({"id": lzma.FILTER_X86}), "report.xz"),
        _file("xz, two filters", _xz({"id": lzma.FILTER_X86}, {"id": lzma.FILTER_DELTA}), "report.xz"),
        _file("AppleSingle", single, "report.pdf", lets_through="clamd reads none"),
        _file("MacBinary", macbinary, "report.pdf", lets_through="clamd reads none"),
        _file("AppleDouble with the file in it", lambda p: double((1, p)), "._a", lets_through="clamd reads none"),
        _file("zoo, stored", _zoo, "a.zoo", lets_through="clamd reads none"),
        _file("Brotli, stored", _brotli, "report.br", lets_through="clamd reads none"),
        _file("xz in three streams", lambda p: b"".join(map(lzma.compress, (b"", p[:30], p[30:]))), "report.xz"),
        _file(
            "lzma", lambda p: lzma.compress(p, lzma.FORMAT_ALONE), "report.lzma", lets_through="clamd reads no .lzma"
        ),
        _file(
            "docx with a file in it",
            _office("word/document.xml", "wordprocessingml.document", "word/embeddings/a.bin"),
            "a.docx",
        ),
        _file("xlsx with a file in it", _office("xl/workbook.xml", "spreadsheetml.sheet", "xl/media/a.png"), "a.xlsx"),
        _file("odt with a file in it", _odt, "a.odt"),
        _file("jar", _jar, "a.jar"),
        _file("jar called a document", _jar, "a.docx"),
        _file("doc with a package", _ole, "a.doc"),
        _file("Outlook's .msg", _msg, "a.msg"),
        _file("winmail.dat", _winmail, "winmail.dat"),
        _file("winmail.dat by another name", _winmail, "report.pdf"),
        _file("PDF with a file in it", _pdf_with_file, "a.pdf"),
        _file("RTF with a package", _rtf, "a.rtf"),
        _file("a page with the file as data:", _svg_data, "a.html"),
        _file("a zip of a message", lambda p: zipped(("a.eml", mail_with(p))), "a.zip"),
        _file("a message with a zip", lambda p: mail_with(zipped((NAME, p))), "a.eml"),
        _file("swapped octets", lambda p: p[::-1], "a.dat", no_file="reversed, it is another file"),
        Disguise("two halves in two files", _halves, no_file="two halves are two other files"),
    ]
    for program, disguise in _PROGRAMS:
        if shutil.which(program):
            made.append(disguise)
    return tuple(made)


def _halves(payload: bytes, tag: str) -> bytes:
    from tests.scenarios.airlock.letters import letter

    return letter(tag, multipart(text(), in64(payload[:30], "a.001"), in64(payload[30:], "a.002")))


def _additional_streams(payload: bytes) -> bytes:
    packed = _seven_zip("-mhc=off")(payload)
    size = int.from_bytes(packed[12:20], "little")
    return sevenzips.archive(b"\x01\x03\0" + packed[33 + size :], packed[32 : 32 + size])


def _seven_zip(*switches: str) -> Callable[[bytes], bytes]:
    return by_program("7zz", "a", *switches, "a.7z", NAME, out="a.7z")


_UNREAD_SEVEN_ZIP = {
    "BZip2": ("-m0=BZip2",), "Deflate": ("-m0=Deflate",), "Deflate64": ("-m0=Deflate64",),
    "Delta": ("-m0=Delta:4", "-m1=LZMA2"), "BCJ2 and one packer": ("-m0=BCJ2", "-m1=LZMA2"),
    "ARM64": ("-m0=ARM64", "-m1=LZMA2"), "ARMT": ("-m0=ARMT", "-m1=LZMA2"), "RISC-V": ("-m0=RISCV", "-m1=LZMA2"),
    "PPC": ("-m0=PPC", "-m1=LZMA2"), "SPARC": ("-m0=SPARC", "-m1=LZMA2"), "IA64": ("-m0=IA64", "-m1=LZMA2"),
    "swapped octets": ("-m0=Swap2", "-m1=LZMA2"), "two packers": ("-m0=LZMA", "-m1=LZMA"),
}  # fmt: skip

_PROGRAMS = (
    *(
        ("7zz", _file(f"7z, {how}", _seven_zip(*switches), "a.7z", lets_through="clamd cannot unpack it"))
        for how, switches in _UNREAD_SEVEN_ZIP.items()
    ),
    (
        "xz",
        _file(
            "xz, ARM64",
            by_program("xz", "--arm64", "--lzma2", NAME, out=f"{NAME}.xz"),
            "report.xz",
            lets_through="clamd has no such filter",
        ),
    ),
    ("xz", _file("xz of two threads", by_program("xz", "-T2", "--block-size=20", NAME, out=f"{NAME}.xz"), "report.xz")),
    (
        "tar",
        _file(
            "tar of a file with holes",
            by_program("sh", "-c", f"truncate -s 1M {NAME}; tar --sparse -H posix -cf a.tar {NAME}", out="a.tar"),
            "a.tar",
            lets_through="clamd reads what is left of it",
        ),
    ),
    (
        "7zz",
        _file("7z of additional streams", _additional_streams, "a.7z", lets_through="clamd ends at those"),
    ),
    ("7zz", _file("7z, PPMd", _seven_zip("-m0=PPMd"), "a.7z")),
    ("7zz", _file("7z, BCJ", _seven_zip("-m0=BCJ", "-m1=LZMA2"), "a.7z")),
    ("7zz", _file("7z, BCJ2", _seven_zip("-mf=BCJ2"), "a.7z")),
    ("7zz", _file("7z", by_program("7zz", "a", "a.7z", NAME, out="a.7z"), "a.7z")),
    (
        "7zz",
        _file(
            "7z, encrypted",
            by_program("7zz", "a", "-pinfected", "a.7z", NAME, out="a.7z"),
            "a.7z",
            lets_through="encrypted: accept",
        ),
    ),
    (
        "7zz",
        _file(
            "7z, names encrypted",
            by_program("7zz", "a", "-pinfected", "-mhe=on", "a.7z", NAME, out="a.7z"),
            "a.7z",
            lets_through="encrypted: accept",
        ),
    ),
    (
        "7zz",
        _file(
            "zip, AES",
            by_program("7zz", "a", "-pinfected", "-mem=AES256", "a.zip", NAME, out="a.zip"),
            "a.zip",
            lets_through="encrypted: accept",
        ),
    ),
    ("7zz", _file("zip, deflate64", by_program("7zz", "a", "-mm=Deflate64", "a.zip", NAME, out="a.zip"), "a.zip")),
    (
        "genisoimage",
        _file("ISO 9660", by_program("genisoimage", "-quiet", "-J", "-R", "-o", "a.iso", NAME, out="a.iso"), "a.iso"),
    ),
    ("gcab", _file("cab", by_program("gcab", "-c", "a.cab", NAME, out="a.cab"), "a.cab")),
    (
        "zstd",
        _file(
            "zst",
            by_program("zstd", "-q", NAME, out=f"{NAME}.zst"),
            "report.zst",
            lets_through="clamd reads no zst",
        ),
    ),
    (
        "lz4",
        _file(
            "lz4",
            by_program("lz4", "-q", NAME, "a.lz4", out="a.lz4"),
            "report.lz4",
            lets_through="clamd reads no lz4",
        ),
    ),
    (
        "ar",
        _file("ar", by_program("ar", "rc", "a.a", NAME, out="a.a"), "a.a", lets_through="clamd reads no ar"),
    ),
    ("cpio", _file("cpio", by_program("sh", "-c", f"echo {NAME} | cpio -o > a.cpio", out="a.cpio"), "a.cpio")),
)

ARCHIVES = _archives()
