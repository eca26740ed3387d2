"""What a file contains, at every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import starmap

from gateway import log, registry
from gateway.core.reports import InnerFile
from gateway.scan import filetypes
from gateway.scan.inside import containers
from gateway.scan.inside.entry import DEPTH, Budget, Entry, Share, Unscannable

KINDS = 200
"""Groups of files alike that are told; more tell a person nothing, and a policy enough."""
NAME_CHARACTERS = 1024
"""What is read of a name, from its end; nobody's computer can write longer ones."""
PATH_CHARACTERS = 500

NOBODY_READS = {
    "cab": "a Windows cabinet", "ace": "an ACE archive", "arj": "an ARJ archive", "lha": "an LHA archive",
    "z": "a file of compress", "lz": "an lzip file", "lz4": "an LZ4 file", "zst": "a Zstandard file",
    "lzma": "an LZMA file", "iso": "a disc image", "udf": "a disc image", "img": "a disk image",
    "vhd": "a virtual disk", "vhdx": "a virtual disk", "vmdk": "a virtual disk", "qcow2": "a virtual disk",
    "dmg": "a disk image of macOS", "wim": "a Windows image", "squashfs": "a file system image",
    "cpio": "a cpio archive", "ar": "an ar archive", "rpm": "a software package", "deb": "a software package",
    "pkg": "a software package", "pst": "an Outlook mailbox", "p7m": "an S/MIME message",
    "applesingle": "an AppleSingle file", "macbinary": "a MacBinary file", "lzo": "a file of lzop", "zoo": "a zoo archive",
    "alz": "an ALZip archive", "egg": "an ALZip archive", "sit": "a StuffIt archive", "br": "a Brotli file",
}  # fmt: skip
"""Types that carry other files and have no reader, in words. PDF does, too, but is a document to those who use it."""

Reader = Callable[[bytes, Share], Iterator[Entry]]

_log = log.get("scan")


@dataclass(frozen=True, slots=True)
class Inside:
    """`files`: all of them, alike ones together. `encrypted`, `macros`: some of them are, have. `unscannable` says in a few
    plain words why not all could be judged, the first reason, empty when all could.
    """

    files: tuple[InnerFile, ...] = ()
    encrypted: bool = False
    macros: bool = False
    unscannable: str = ""


_BY_WORD = frozenset({"eml", "mht", "tnef", "p7m"})
_SEARCHED = frozenset({"tar"})
"""GNU tar looks for the first header that is whole."""


def read_as(looked: filetypes.Content, types: tuple[str, ...]) -> filetypes.Content:
    """What programs read a file as that has these types by its content, name and declaration: messages have no signature,
    so what is called or declared one is one. So is an archive or image that we do not know by its content, since the
    program that opens `.iso` may know better.
    """
    by_word = _BY_WORD if looked.types else _BY_WORD | _SEARCHED | NOBODY_READS.keys()
    also = tuple(t for t in types if t in by_word and t not in looked.types)
    return replace(looked, types=(*looked.types, *also)) if also else looked


def is_container(looked: filetypes.Content) -> bool:
    """Other files may lie in it, by any of the types its content has: cheap, nothing is read."""
    return any(kind in READERS or kind in NOBODY_READS for kind in looked.types)


def look_inside(
    content: bytes, name: str, looked: filetypes.Content, budget: Budget, see: Callable[[bytes], None] | None = None
) -> Inside:
    """What lies in the file `content`, which is called `name` and was seen to be `looked`. `see` is called with the octets of
    each file at every depth, as far as they are held (`Entry.cut`), and must not raise.

    Spends from `budget`, which all files of a message share. Never raises, whatever the bytes are.
    """
    if not is_container(looked):
        return Inside()
    walk = _Walk(budget, see)
    walk.enter(_File(content, filetypes.shown(name[-NAME_CHARACTERS:]), looked, 1))
    return walk.inside()


def _readers() -> dict[str, Reader]:
    """The reader of each type. Raises BadPlugin where two read the same."""
    found: dict[str, Reader] = {}
    for module in registry.modules_of(containers).values():
        twice = sorted(found.keys() & module.TYPES)
        if twice:
            raise registry.BadPlugin(f"{module.__name__}: there is a reader of {', '.join(twice)} already")
        found |= dict.fromkeys(module.TYPES, module.entries)
    return found


READERS = _readers()


@dataclass(frozen=True, slots=True)
class _File:
    """A file that may be entered; `depth` is how many containers it would be within one another then."""

    content: bytes
    path: str
    looked: filetypes.Content
    depth: int


@dataclass(frozen=True, slots=True)
class _Alike:
    """What files that are told together have in common: the fields of InnerFile."""

    container: str
    detected_type: str
    media_class: str
    types: tuple[str, ...]
    encrypted: bool
    macros: bool


@dataclass(slots=True)
class _Group:
    first_path: str
    count: int = 1


@dataclass(slots=True)
class _Walk:
    """Depth first through one file: what an entry holds is forgotten before the next is unpacked."""

    budget: Budget
    see: Callable[[bytes], None] | None = None
    groups: dict[_Alike, _Group] = field(default_factory=dict)
    encrypted: bool = False
    macros: bool = False
    unscannable: str = ""
    failed: bool = False

    def inside(self) -> Inside:
        return Inside(tuple(starmap(_inner_file, self.groups.items())), self.encrypted, self.macros, self.unscannable)

    def enter(self, file: _File) -> None:
        """By every type that has a reader: a program with an archive at its end is both."""
        if file.depth > DEPTH:
            self._give_up(f"more than {DEPTH} containers within each other")
            return
        entered: list[Reader] = []
        for kind in file.looked.types:
            reader = READERS.get(kind)
            if reader is not None and reader not in entered:
                entered.append(reader)
                self._read(reader, kind, file)
            elif kind in NOBODY_READS:
                self._give_up(f"what lies in {NOBODY_READS[kind]} ({kind}) cannot be checked")

    def _read(self, reader: Reader, kind: str, file: _File) -> None:
        share = Share(self.budget, len(file.content), name=file.path.rpartition("/")[2])
        try:
            for entry in reader(file.content, share):
                self._take(entry, kind, file)
        except Unscannable as reason:
            self._give_up(str(reason))
        except Exception:  # noqa: BLE001 - the guard is the point: strangers write what readers read, and the rest goes on
            self._give_up("cannot be read")
            if not self.failed:  # one line a walk: ten thousand broken files must not fill the log
                _log.exception("a container could not be read", container=kind)
            self.failed = True

    def _take(self, entry: Entry, container: str, outer: _File) -> None:
        if self.see and entry.content:
            self.see(entry.content)
        looked = filetypes.look(entry.content) if entry.content else _NOTHING
        names = _readings(entry.name)
        types = filetypes.all_types(looked, entry.declared, names)
        media_class = filetypes.media_class(looked.detected, entry.declared, names)
        encrypted = entry.encrypted or looked.encrypted
        alike = _Alike(container, looked.detected, media_class, types, encrypted, looked.macros)
        path = partial(
            _path, outer.path, entry.name
        )  # washing a name takes longer than all else here, so: only where told
        self._count(alike, path)
        self.encrypted |= encrypted
        self.macros |= looked.macros
        if entry.content is None and not entry.encrypted:
            self._only_listed(types)
        elif entry.content and is_container(read := read_as(looked, types)):
            self._go_down(entry, _File(entry.content, path(), read, outer.depth + 1))

    def _go_down(self, entry: Entry, file: _File) -> None:
        if entry.cut:
            self._give_up("a container too large to look into")
        else:
            self.enter(file)

    def _only_listed(self, types: tuple[str, ...]) -> None:
        containers = [kind for kind in types if kind in READERS or kind in NOBODY_READS]
        if containers:
            self._give_up(f"{containers[0]} in it that can only be listed")

    def _count(self, alike: _Alike, path: Callable[[], str]) -> None:
        known = self.groups.get(alike)
        if known is not None:
            known.count += 1
        elif len(self.groups) < KINDS:
            self.groups[alike] = _Group(path())
        else:
            self._give_up(f"more than {KINDS} kinds of files")

    def _give_up(self, reason: str) -> None:
        self.unscannable = self.unscannable or reason


_NOTHING = filetypes.Content()


def _inner_file(alike: _Alike, group: _Group) -> InnerFile:
    return InnerFile(
        path=group.first_path,
        container=alike.container,
        detected_type=alike.detected_type,
        media_class=alike.media_class,
        types=alike.types,
        encrypted=alike.encrypted,
        macros=alike.macros,
        count=group.count,
    )


def _readings(name: str) -> tuple[str, ...]:
    """What counts of a name; of one too long for any computer also what stands before a NUL, where some end it."""
    if len(name) <= NAME_CHARACTERS:
        return (name,)
    return name[-NAME_CHARACTERS:], name.partition("\0")[0][-NAME_CHARACTERS:]


def _path(outer: str, name: str) -> str:
    inner = filetypes.shown(name[-NAME_CHARACTERS:]).replace("\\", "/").strip("/") or "unnamed"
    path = f"{outer}/{inner}" if outer else inner
    return path if len(path) <= PATH_CHARACTERS else "…" + path[1 - PATH_CHARACTERS :]
