"""Formats whose first bytes are too short or too general to tell: a look at their shape settles it.

Each function takes the whole file and returns type names, the telling one first, or nothing when it is not that.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable

_WINDOW = 64 * 1024


def _mz(data: bytes) -> tuple[str, ...]:
    """PE/COFF: the header's place is at 0x3c, Characteristics 22 bytes into it; 0x2000 is IMAGE_FILE_DLL."""
    if len(data) < 64 or b"\0" not in data[:64]:
        return ()  # text that begins with MZ
    header = int.from_bytes(data[60:64], "little")
    if data[header : header + 4] == b"PE\0\0" and int.from_bytes(data[header + 22 : header + 24], "little") & 0x2000:
        return ("exe", "dll")
    return ("exe",)


def _cafebabe(data: bytes) -> tuple[str, ...]:
    """Java classes and fat Mach-O share their magic; a fat file has few architectures, a class a version from 45 on."""
    return ("macho",) if int.from_bytes(data[4:8], "big") < 45 else ("class",)


def _swf(data: bytes) -> tuple[str, ...]:
    return ("swf",) if len(data) > 8 and 1 <= data[3] <= 50 and data[7] < 0x10 else ()  # 256 MB unpacked at most


def _bz2(data: bytes) -> tuple[str, ...]:
    return ("bz2",) if data[3:4] in b"123456789" and data[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90") else ()


def _skippable(data: bytes) -> tuple[str, ...]:
    """A frame to be skipped (RFC 8878 section 3.1.2) may stand before the data; LZ4 has the same."""
    following = 8 + int.from_bytes(data[4:8], "little")
    if data[0] & 0xF0 != 0x50:
        return ()
    return ("lz4",) if data[following : following + 4] == b"\x04\x22\x4d\x18" else ("zst",)


def _z(data: bytes) -> tuple[str, ...]:
    return ("z",) if len(data) > 2 and 9 <= data[2] & 0x1F <= 16 else ()


def _arj(data: bytes) -> tuple[str, ...]:
    return ("arj",) if len(data) > 34 and 30 <= data[4] <= 60 and data[10] == 2 else ()


def _lha(data: bytes) -> tuple[str, ...]:
    return ("lha",) if re.match(rb"..-l[hz][0-9a-ds]-", data, re.DOTALL) else ()


def _img(data: bytes) -> tuple[str, ...]:
    return ("img",) if data[510:512] == b"\x55\xaa" and data[:1] in (b"\xeb", b"\xe9") else ()


def _tiff(data: bytes) -> tuple[str, ...]:
    """TIFF, or a camera's raw file built on it: CR2 says so in its header, DNG by tag 0xC612 (DNGVersion) in IFD 0."""
    if data[8:10] == b"CR":
        return ("raw", "tiff")
    order = "<" if data[:2] == b"II" else ">"
    try:
        (ifd,) = struct.unpack_from(order + "L", data, 4)
        (count,) = struct.unpack_from(order + "H", data, ifd)
        tags = [struct.unpack_from(order + "H", data, ifd + 2 + 12 * i)[0] for i in range(min(count, 512))]
    except struct.error:  # an IFD outside the file: broken, but nothing else than a TIFF
        return ("tiff",)
    return ("raw", "tiff") if 0xC612 in tags else ("tiff",)


def _bmp(data: bytes) -> tuple[str, ...]:
    return ("bmp",) if int.from_bytes(data[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124) else ()


def _ico(data: bytes) -> tuple[str, ...]:
    """Icons (1) and cursors (2): a count, then entries whose reserved byte is zero and whose data lies in the file."""
    if len(data) < 22 or not 0 < int.from_bytes(data[4:6], "little") <= 256 or data[9]:
        return ()
    size, offset = struct.unpack_from("<LL", data, 14)
    return (("ico", "cur")[data[2] - 1],) if size and offset >= 22 and offset + size <= len(data) else ()


def _riff(data: bytes) -> tuple[str, ...]:
    kinds = {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp", b"ACON": "ani", b"RMID": "mid"}
    kind = kinds.get(data[8:12])
    return (kind,) if kind else ()


_BRANDS = (
    ((b"crx ",), "raw"),
    ((b"avif", b"avis"), "avif"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "heic"),
    ((b"mif1", b"msf1", b"mif2"), "heif"),
    ((b"qt  ",), "mov"),
    ((b"M4A ", b"M4B ", b"M4P "), "m4a"),
    ((b"3gp", b"3g2"), "3gp"),
)


def _ftyp(data: bytes) -> tuple[str, ...]:
    """ISO base media (ISO/IEC 14496-12 section 4.3): the major brand tells; `mif1` pictures tell by a compatible one."""
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, min(size, 256), 4))]
    if brands[0] not in (b"mif1", b"msf1", b"mif2"):
        brands = brands[:1]
    for known, kind in _BRANDS:
        if any(brand.startswith(known) for brand in brands):
            return (kind,)
    return ("mp4",)


def _qt(data: bytes) -> tuple[str, ...]:
    """QuickTime before it had brands: atoms with a believable size."""
    return ("mov",) if data[:4] == b"\0\0\0\1" or 8 <= int.from_bytes(data[:4], "big") <= len(data) else ()


def _ebml(data: bytes) -> tuple[str, ...]:
    return ("webm",) if b"webm" in data[:64] else ("mkv",)


_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")


def _asf(data: bytes) -> tuple[str, ...]:
    head = data[:_WINDOW]
    return ("wma",) if _ASF_AUDIO in head and _ASF_VIDEO not in head else ("wmv",)


def _ogg(data: bytes) -> tuple[str, ...]:
    return ("ogv",) if b"\x80theora" in data[:512] else ("ogg",)


_BITRATES = {3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)}
_LOW_BITRATES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _id3(data: bytes) -> tuple[str, ...]:
    """An ID3v2 tag has a version and a size of four 7-bit bytes; what follows it is MP3 unless it says FLAC or AAC."""
    if len(data) < 10 or data[3] > 4 or any(byte & 0x80 for byte in data[6:10]):
        return ()
    size = (data[6] << 21) | (data[7] << 14) | (data[8] << 7) | data[9]
    return ("flac",) if data[10 + size : 14 + size] == b"fLaC" else ("mp3",)


def _mpeg_audio(data: bytes) -> tuple[str, ...]:
    """A bare frame header is two bytes that any file may have; MP3 it is when the next frame is where it says."""
    if len(data) < 4 or data[1] & 0xE0 != 0xE0:
        return ()
    if data[1] & 0xF6 == 0xF0:
        length = ((data[3] & 3) << 11) | (data[4] << 3) | (data[5] >> 5) if len(data) > 6 else 0
        return ("aac",) if length > 7 and data[length : length + 1] == b"\xff" else ()
    length = _mp3_frame_bytes(data)
    return ("mp3",) if length and data[length : length + 1] == b"\xff" and data[length + 1] & 0xE0 == 0xE0 else ()


def _mp3_frame_bytes(data: bytes) -> int:
    """Length of the layer III frame at the start, 0 when it is none (ISO/IEC 11172-3 section 2.4.3.1)."""
    version, layer, bitrate, rate = (data[1] >> 3) & 3, (data[1] >> 1) & 3, data[2] >> 4, (data[2] >> 2) & 3
    if layer != 1 or version == 1 or not 0 < bitrate < 15 or rate == 3:
        return 0
    kilobits = (_BITRATES.get(version) or _LOW_BITRATES)[bitrate - 1]
    length = (144 if version == 3 else 72) * kilobits * 1000 // _RATES[version][rate] + ((data[2] >> 1) & 1)
    return length if length + 1 < len(data) else 0


def _aiff(data: bytes) -> tuple[str, ...]:
    return ("aiff",) if data[8:12] in (b"AIFF", b"AIFC") else ()


def _ttf(data: bytes) -> tuple[str, ...]:
    return ("ttf",) if len(data) > 28 and data[4] == 0 and 3 <= data[5] <= 64 and data[12:16].isascii() else ()


_OID_SIGNED, _OID_DATA = (bytes.fromhex(f"06092a864886f70d0107{n}") for n in ("02", "01"))
_CMS = re.compile(
    rb"\x30[\x80-\x84][\x00-\xff]{0,4}\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01)"
)
"""ContentInfo (RFC 5652 section 3) of any length and kind: its first member is an OID of PKCS #7, or of S/MIME."""
_CMS_WITH_CONTENT = re.compile(re.escape(_OID_DATA) + rb"\xa0[\x00-\xff]{1,5}?[\x04\x24]")
_CMS_WITHIN = 1024


def _cms(data: bytes) -> tuple[str, ...]:
    """Signed data with the content in it, or enveloped or compressed data; a signature alone carries nothing."""
    if not _CMS.match(data):
        return ()
    alone = _OID_SIGNED in data[:20] and not _CMS_WITH_CONTENT.search(data, 0, _CMS_WITHIN)
    return () if alone else ("p7m",)


def _lzma(data: bytes) -> tuple[str, ...]:
    """No magic: a dictionary of a power of two, or half more, and a size that is unknown or that of a real file."""
    dictionary, size = int.from_bytes(data[1:5], "little"), int.from_bytes(data[5:13], "little")
    sound = dictionary >= 1 << 12 and dictionary.bit_count() <= 2
    return ("lzma",) if len(data) > 13 and sound and (size == (1 << 64) - 1 or size < 1 << 38) else ()


_DATA_FORK = 1


def _apple(data: bytes) -> tuple[str, ...]:
    """AppleSingle (RFC 1740 appendix A) has a file in it. AppleDouble has the rest of one beside it: Apple Mail sends a
    resource fork or an icon that way, and it carries nothing, unless it is said to have the data fork.
    """
    if data[3:4] not in (b"\x00", b"\x07"):
        return ()
    count = int.from_bytes(data[24:26], "big")
    kinds = {data[at : at + 4] for at in range(26, min(26 + 12 * count, len(data)), 12)}
    return ("applesingle",) if data[3] == 0 or _DATA_FORK.to_bytes(4, "big") in kinds else ()


def _macbinary(data: bytes) -> tuple[str, ...]:
    """No magic before version III: a name, zeros where the first version had them, and the header's CRC, which that version had
    not: there both forks with their padding make up the file.
    """
    if len(data) < 128 or not 1 <= data[1] <= 63 or data[74] or data[82]:
        return ()
    if data[102:106] == b"mBIN" or int.from_bytes(data[124:126], "big") == binascii.crc_hqx(data[:124], 0):
        return ("macbinary",)
    forks = (int.from_bytes(data[at : at + 4], "big") for at in (83, 87))
    padded = 128 + sum(-(-fork // 128) * 128 for fork in forks)
    return ("macbinary",) if 128 < padded <= len(data) + 127 and len(data) <= padded and not any(data[99:128]) else ()


SHAPES: dict[str, Callable[[bytes], tuple[str, ...]]] = {
    "<mz>": _mz,
    "<cafebabe>": _cafebabe,
    "<swf>": _swf,
    "<bz2>": _bz2,
    "<cms>": _cms,
    "<lzma>": _lzma,
    "<apple>": _apple,
    "<macbinary>": _macbinary,
    "<skippable>": _skippable,
    "<z>": _z,
    "<arj>": _arj,
    "<lha>": _lha,
    "<img>": _img,
    "<tiff>": _tiff,
    "<bmp>": _bmp,
    "<ico>": _ico,
    "<riff>": _riff,
    "<ftyp>": _ftyp,
    "<qt>": _qt,
    "<ebml>": _ebml,
    "<asf>": _asf,
    "<ogg>": _ogg,
    "<id3>": _id3,
    "<mpeg-audio>": _mpeg_audio,
    "<aiff>": _aiff,
    "<ttf>": _ttf,
}


def old_tar(data: bytes) -> bool:
    """A tar header from before POSIX has no magic, only its checksum: the sum of its bytes, itself read as blanks; long ago
    some computers had signed bytes. 7-Zip finds it behind empty blocks, too.
    """
    head = data[:_WINDOW]
    empty = (len(head) - len(head.lstrip(b"\0"))) // 512 * 512
    block = head[empty : empty + 512]
    stated = block[148:156].partition(b"\0")[0].strip(b" ")
    if len(block) < 512 or not re.fullmatch(rb"[0-7]+", stated):
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    difference = sum(rest) - int(stated, 8)
    return difference == 0 or difference == 256 * sum(byte > 127 for byte in rest)


def disk_image(data: bytes) -> str:
    """Those whose first octets tell nothing: fixed VHD and DMG say what they are in their last sector, a disk in its
    partition table, a Linux file system 1 KB from its beginning, a CD with its sectors' frames (ECMA-130) in each.
    """
    if data[-512:-504] == b"conectix":
        return "vhd"
    if data[-512:-508] == b"koly":
        return "dmg"
    framed = data.startswith(b"\0" + b"\xff" * 10 + b"\0")
    return (
        "img"
        if framed or (data[1080:1082] == b"\x53\xef" and data[1083:1084] == b"\0") or _has_partitions(data)
        else ""
    )


def _has_partitions(data: bytes) -> bool:
    """A master boot record: four entries of a status, a type and a size in sectors, at least one of them in use."""
    if len(data) < 1024 or data[510:512] != b"\x55\xaa":
        return False
    entries = [data[at : at + 16] for at in range(446, 510, 16)]
    used = any(entry[4] and any(entry[12:]) for entry in entries)
    return used and all(entry[0] in (0x00, 0x80) for entry in entries)
