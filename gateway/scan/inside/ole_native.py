"""OLE 1.0 data in a compound file ([MS-OLEDS] 2.3.6), as Windows' packager writes it: a file with the paths it came from."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

_MOST_NAME_BYTES = 2048


class _Short(Exception):
    """The stream ends before the field does."""


@dataclass(frozen=True, slots=True)
class Package:
    """`names` as they stand there: label, path of origin, path when unpacked, and the same in UTF-16 where given."""

    names: tuple[str, ...]
    content: bytes


def read(stream: bytes) -> Package | None:
    """The packaged file of an `Ole10Native` stream, None when another program than the packager wrote it."""
    fields = _Fields(stream, 4)
    try:
        if fields.number(2) != 2:  # the packager's mark
            return None
        names = [fields.string(), fields.string()]
        fields.number(4)  # 0 and 3: a file, not a link
        names.append(fields.take(fields.number(4)).rstrip(b"\0").decode("latin-1"))
        size = fields.number(4)
        content = stream[fields.at : fields.at + size]
        fields.at += len(content)
    except _Short:
        return None
    with contextlib.suppress(_Short):  # three counted strings in UTF-16 behind the file, since Windows XP
        names.extend(fields.wide_string() for _ in range(3))
    return Package(tuple(name for name in names if name), content)


class _Fields:
    __slots__ = ("_octets", "at")

    def __init__(self, octets: bytes, at: int) -> None:
        self._octets, self.at = octets, at

    def take(self, size: int) -> bytes:
        if size > len(self._octets) - self.at:
            raise _Short
        self.at += size
        return self._octets[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def string(self) -> str:
        end = self._octets.find(b"\0", self.at, self.at + _MOST_NAME_BYTES)
        if end < 0:
            raise _Short
        text = self._octets[self.at : end]
        self.at = end + 1
        return text.decode("latin-1")

    def wide_string(self) -> str:
        return self.take(2 * self.number(4)).decode("utf-16-le", "replace").rstrip("\0")
