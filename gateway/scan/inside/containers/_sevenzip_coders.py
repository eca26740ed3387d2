"""How files of a 7z archive are packed: coders in chains (7zFormat.txt, Methods.txt of the LZMA SDK), and which of them
clamd unpacks. What it cannot unpack, it calls clean.
"""

from __future__ import annotations

from dataclasses import dataclass

COPY, LZMA, LZMA2, AES = b"\x00", b"\x03\x01\x01", b"\x21", b"\x06\xf1\x07\x01"
_BCJ, _BCJ2, _ARM = b"\x03\x03\x01\x03", b"\x03\x03\x01\x1b", b"\x03\x03\x05\x01"

_PROPERTIES_BYTES = {COPY: 0, LZMA: 5, LZMA2: 1, _BCJ: 0, _BCJ2: 0, _ARM: 0}
_PACKERS = (COPY, LZMA, LZMA2)
"""Not PPMd, though clamd has it: it does not unpack what every program writes so."""
_FILTERS = (_BCJ, _ARM)
READ_BY_CLAMD = frozenset(
    {
        *(((packer,), ()) for packer in _PACKERS),
        *(((packer, filtering), (1, 0)) for packer in _PACKERS for filtering in _FILTERS),
        *(((LZMA, LZMA, packer, _BCJ2), (5, 0, 4, 1, 3, 2, 2, 6, 1, 0)) for packer in _PACKERS),
    }
)
"""Methods with their bonds, to the number: clamd knows only the order in which 7-Zip writes them. Each of them is packed by
a real program and put before a real clamd in tests/contract/test_sevenzip_chains.py; who adds one adds it there.
"""

_NAMES = {
    COPY: "Copy", LZMA: "LZMA", LZMA2: "LZMA2", _BCJ: "BCJ", _BCJ2: "BCJ2", _ARM: "ARM", AES: "AES", b"\x03": "Delta",
    b"\x0a": "ARM64", b"\x0b": "RISCV", b"\x02\x03\x02": "Swap2", b"\x02\x03\x04": "Swap4", b"\x03\x03\x02\x05": "PPC",
    b"\x03\x03\x04\x01": "IA64", b"\x03\x03\x07\x01": "ARMT", b"\x03\x03\x08\x05": "SPARC", b"\x03\x04\x01": "PPMd",
    b"\x04\x01\x08": "Deflate", b"\x04\x01\x09": "Deflate64", b"\x04\x02\x02": "BZip2",
    b"\x04\xf7\x11\x01": "zstd", b"\x04\xf7\x11\x02": "Brotli", b"\x04\xf7\x11\x04": "LZ4",
}  # fmt: skip


@dataclass(slots=True)
class Coder:
    method: bytes
    properties: bytes
    inputs: int
    outputs: int


@dataclass(slots=True)
class Folder:
    """Coders in a chain, and the octets that come out of each. `bonds` are the numbers as they stand: which input takes
    which output, pair by pair, then which inputs are packed streams, where several are.
    """

    coders: list[Coder]
    sizes: list[int]
    bonds: tuple[int, ...] = ()
    streams: int = 1
    has_crc: bool = False

    @property
    def encrypted(self) -> bool:
        return any(coder.method == AES for coder in self.coders)

    @property
    def read_by_clamd(self) -> bool:
        if any(_PROPERTIES_BYTES.get(coder.method) != len(coder.properties) for coder in self.coders):
            return False
        if any((c.inputs, c.outputs) != (4 if c.method == _BCJ2 else 1, 1) for c in self.coders):
            return False
        return (tuple(coder.method for coder in self.coders), self.bonds) in READ_BY_CLAMD

    @property
    def words(self) -> str:
        """The names of its methods, at most four, as 7-Zip shows them."""
        shown = [_NAMES.get(coder.method, f"method {coder.method.hex()}") for coder in self.coders[:4]]
        return " and ".join(dict.fromkeys(shown))
