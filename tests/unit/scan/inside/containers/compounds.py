"""OLE compound files with storages at any depth ([MS-CFB] version 3), and what Office and Outlook put into them."""

from __future__ import annotations

import struct
import zlib

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _CUTOFF = 512, 4096


def _padded(octets: bytes, to: int) -> bytes:
    return octets + bytes(-len(octets) % to)


def _entry(name: str, kind: int, *, right: int = _FREE, child: int = _FREE, start: int = 0, size: int = 0) -> bytes:
    raw = (name + "\0").encode("utf-16-le")
    head = raw.ljust(64, b"\0") + struct.pack("<HBBLLL", len(raw), kind, 1, _FREE, right, child)
    return head + bytes(36) + struct.pack("<LQ", start, size)


def compound(streams: dict[str, bytes]) -> bytes:
    """Paths are joined by `/`; short streams lie in the mini stream, as they must."""
    body, chain, mini, mini_chain = b"", [], b"", []
    places: dict[str, tuple[int, int]] = {}

    def put(octets: bytes) -> int:
        nonlocal body
        first, count = len(chain), len(_padded(octets, _SECTOR)) // _SECTOR
        chain.extend([*range(first + 1, first + count), _END])
        body += _padded(octets, _SECTOR)
        return first

    for path, octets in streams.items():
        if len(octets) >= _CUTOFF or not octets:
            places[path] = (put(octets) if octets else _END, len(octets))
            continue
        first, count = len(mini_chain), len(_padded(octets, 64)) // 64
        mini_chain += [*range(first + 1, first + count), _END]
        mini += _padded(octets, 64)
        places[path] = (first, len(octets))
    mini_start = put(mini) if mini else _END
    mini_fat = _padded(struct.pack(f"<{len(mini_chain)}L", *mini_chain), _SECTOR)
    mini_fat_start = put(mini_fat) if mini else _END
    directory = _directory(places, mini_start, len(mini))
    directory_start = put(directory)
    fat_start = len(chain)
    chain.append(_FAT)
    assert len(chain) <= 128, "one FAT sector is enough for samples"
    fat = struct.pack("<128L", *(chain + [_FREE] * (128 - len(chain))))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<LLLL", 0, 1, directory_start, 0)
    header += struct.pack("<LLLLL", _CUTOFF, mini_fat_start, len(mini_fat) // _SECTOR, _END, 0)
    return header + struct.pack("<109L", fat_start, *[_FREE] * 108) + body + fat


def _directory(places: dict[str, tuple[int, int]], mini_start: int, mini_size: int) -> bytes:
    paths = dict.fromkeys(places)
    for path in places:
        pieces = path.split("/")
        paths |= dict.fromkeys("/".join(pieces[:i]) for i in range(1, len(pieces)))
    ids = {path: number for number, path in enumerate(paths, 1)}

    def children(parent: str) -> list[str]:
        return [p for p in paths if p.rpartition("/")[0] == parent]

    def first_of(parent: str) -> int:
        return ids[children(parent)[0]] if children(parent) else _FREE

    entries = [_entry("Root Entry", 5, child=first_of(""), start=mini_start, size=mini_size)]
    for path in paths:
        siblings = children(path.rpartition("/")[0])
        at = siblings.index(path) + 1
        right = ids[siblings[at]] if at < len(siblings) else _FREE
        start, size = places.get(path, (0, 0))
        kind = 2 if path in places else 1
        entries.append(_entry(path.rpartition("/")[2], kind, right=right, child=first_of(path), start=start, size=size))
    return _padded(b"".join(entries), _SECTOR)


def packaged(content: bytes, label: str, path: str = "", temporary: str = "", wide: tuple[str, ...] = ()) -> bytes:
    """An Ole10Native stream as the packager writes it ([MS-OLEDS] 2.3.6)."""
    body = struct.pack("<H", 2) + label.encode("latin-1") + b"\0" + path.encode("latin-1") + b"\0"
    body += struct.pack("<HH", 0, 3)
    body += struct.pack("<L", len(temporary) + 1) + temporary.encode("latin-1") + b"\0"
    body += struct.pack("<L", len(content)) + content
    body += b"".join(struct.pack("<L", len(text) + 1) + (text + "\0").encode("utf-16-le") for text in wide)
    return struct.pack("<L", len(body)) + body


def attached(number: int, content: bytes, *, long: str = "", short: str = "", shown: str = "") -> dict[str, bytes]:
    """An attachment of an Outlook message ([MS-OXMSG] 2.2.2)."""
    storage = f"__attach_version1.0_#{number:08X}/__substg1.0_"
    named = {
        "3707001F": long.encode("utf-16-le"),
        "3704001E": short.encode("latin-1"),
        "3001001F": shown.encode("utf-16-le"),
    }
    return {storage + "37010102": content} | {storage + tag: raw for tag, raw in named.items() if raw}


def slide_object(storage: bytes, *, deflated: bool = True) -> bytes:
    """An ExOleObjStgAtom of PowerPoint ([MS-PPT] 2.10.34)."""
    data = struct.pack("<L", len(storage)) + zlib.compress(storage) if deflated else storage
    return struct.pack("<HHL", 0x10 if deflated else 0, 0x1011, len(data)) + data
