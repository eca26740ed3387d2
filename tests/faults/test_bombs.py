"""Bombs over SMTP, past a real clamd: each has its verdict in half a minute, nothing of it stays in memory or on the disk, and
other clients' mail goes on meanwhile.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.conftest import missing
from tests.faults.tracing import smtp_worker_pids
from tests.scenarios.airlock.letters import entity, in64, letter, multipart, text
from tests.servers.clamd import ClamdServer
from tests.servers.gateway import Reply, RunningGateway, mail, transaction, wait_until
from tests.unit.scan.inside.archives import File, Zip, overlapping, quoted_overlap, zeros, zipped

VERDICT_SECONDS = 30.0
GROWTH_BYTES = 64 << 20
"""Of the worker, over what it had after the first bomb: what pools and allocators keep, far below what any bomb unpacks to."""
DISK_BYTES = 16 << 20
"""Beside the messages themselves."""


def nested(levels: int, width: int) -> bytes:
    """As 42.zip: archives of archives, each `width` times the same; at the bottom zeros."""
    packed = Zip([File(b"0.dll", packed=zeros(16), sizes=(len(zeros(16)), 16 << 20))]).build()
    for level in range(levels):
        packed = zipped(*((f"{level}-{n}.zip", packed) for n in range(width)))
    return packed


def ten_gigabytes() -> bytes:
    """In ten megabytes: 10,240 times a mebibyte of zeros, the size told truly."""
    packed = zeros(10_240)
    return Zip([File(b"zeros", packed=packed, sizes=(len(packed), min(10_240 << 20, 0xFFFFFFFE)))]).build()


def ten_gigabytes_called_small() -> bytes:
    packed = zeros(10_240)
    return Zip([File(b"zeros.txt", packed=packed, sizes=(len(packed), 68))]).build()


def many_files(count: int) -> bytes:
    return zipped(*((f"{n}.txt", b"") for n in range(count)))


def in_each_other(levels: int, pack: Callable[[bytes], bytes]) -> bytes:
    packed = b"x"
    for _ in range(levels):
        packed = pack(packed)
    return packed


def quine_of_gz(mebibytes: int) -> bytes:
    return gzip.compress(gzip.compress(gzip.compress(bytes(mebibytes << 20), 9), 9), 9)


def tar_of_links(count: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for n in range(count):
            member = tarfile.TarInfo(f"a/{n}")
            member.type, member.linkname = tarfile.SYMTYPE, "../" * 50 + "etc/passwd"
            archive.addfile(member)
    return out.getvalue()


def with_archive(tag: str, packed: bytes, name: str) -> bytes:
    return letter(tag, multipart(text(), in64(packed, name)))


def mime_depth(tag: str, levels: int) -> bytes:
    inner = text()
    for level in range(levels):
        inner = multipart(inner, boundary=f"={level}_")
    return letter(tag, inner)


def mime_parts(tag: str, count: int) -> bytes:
    return letter(tag, multipart(*[in64(b"x", "a.txt")] * count))


def messages_in_messages(tag: str, levels: int) -> bytes:
    inner = letter("innermost", text())
    for level in range(levels):
        inner = letter(f"in {level}", entity(inner, "Content-Type: message/rfc822"))
    return letter(tag, multipart(text(), entity(inner, "Content-Type: message/rfc822")))


ARCHIVES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "zip in zip in zip, ten each": ("42.zip", lambda: nested(3, 10)),
    "10 GB in 10 MB": ("a.zip", ten_gigabytes),
    "10 GB in 10 MB, called 68 octets": ("a.docx", ten_gigabytes_called_small),
    "files that overlap": ("a.zip", lambda: overlapping(50_000, bytes(1 << 20))),
    "files that quote each other's headers": ("a.zip", lambda: quoted_overlap(2_000, bytes(20 << 20))),
    "xz of 3 GB": ("a.xz", lambda: b"".join([lzma.compress(bytes(64 << 20), preset=1)] * 48)),
    "bzip2 of 3 GB": ("a.bz2", lambda: b"".join([bz2.compress(bytes(64 << 20))] * 48)),
    "gz of gz of gz of 256 MB": ("a.gz", lambda: quine_of_gz(256)),
    "twenty thousand files": ("a.zip", lambda: many_files(20_000)),
    "twenty thousand links": ("a.tgz", lambda: tar_of_links(20_000)),
    "gz in gz, a thousand deep": ("a.gz", lambda: in_each_other(1_000, gzip.compress)),
    "zip in zip, five hundred deep": ("a.zip", lambda: in_each_other(500, lambda inner: zipped(("a.zip", inner)))),
}
MAIL: dict[str, Callable[[str], bytes]] = {
    "multipart, 5,000 deep": lambda tag: mime_depth(tag, 5_000),
    "60,000 parts": lambda tag: mime_parts(tag, 60_000),
    "messages in messages, 300 deep": lambda tag: messages_in_messages(tag, 300),
}


@pytest.fixture(scope="module")
def bombed(tmp_path_factory: pytest.TempPathFactory, clamd: ClamdServer) -> Iterator[RunningGateway]:
    """The gateway, which has had its first bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    clamav = {"address": clamd.address, "timeout_seconds": VERDICT_SECONDS}
    with RunningGateway(folder, settings={"clamav": clamav}) as gateway:
        gateway.start()
        with Neighbour(gateway):
            gateway.send(with_archive("first", ten_gigabytes(), "first.zip"))
        yield gateway
        assert gateway.audit().problems == []
        assert gateway.stop() == 0


class Neighbour:
    """Another client, whose small messages come one after another; `worst_seconds` is what the slowest took."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.replies: list[Reply] = []
        self.worst_seconds = 0.0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.replies, "the first of the small messages is taken")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._enough.set()
        self._thread.join()

    def _send(self) -> None:
        with self.gateway.session("127.0.0.2") as client:
            while not self._enough.is_set() and len(self.replies) < 2_000:
                began = time.monotonic()
                content = mail(f"small-{time.monotonic_ns()}", to="help@globex.test")
                self.replies.append(transaction(client, content, "help@globex.gw.test"))
                self.worst_seconds = max(self.worst_seconds, time.monotonic() - began)
                self._enough.wait(0.02)


def resident(gateway: RunningGateway) -> int:
    """Of the processes that take mail."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in smtp_worker_pids(gateway))
    return pages * os.sysconf("SC_PAGE_SIZE")


def on_disk(gateway: RunningGateway, clamd: ClamdServer) -> int:
    """Beside database, kept mail and logs: spool, and what scanners unpack."""
    data, kept = gateway.settings.data_dir, ("blobs", "gateway.db")
    ours = (f for f in data.iterdir() if not f.name.startswith(kept))
    return sum(octets_of(place) for place in (*ours, clamd.directory))


def octets_of(place: Path) -> int:
    """Of a file, or of all files of a folder; what is removed while we look has none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if place.is_dir() and not place.is_symlink():
            return sum(octets_of(inside) for inside in [*place.iterdir()])
        return place.stat().st_size if place.is_file() else 0
    return 0


def verdict(gateway: RunningGateway, clamd: ClamdServer, content: bytes) -> tuple[Reply, dict[str, Any]]:
    """The reply, and the message as it was kept, empty when it was not; what every bomb is held to."""
    memory, disk = resident(gateway), on_disk(gateway, clamd)
    with Neighbour(gateway) as neighbour:
        began = time.monotonic()
        reply = gateway.send(content)
        took = time.monotonic() - began
    assert took < VERDICT_SECONDS, f"{took:.1f} s"
    assert {r.code for r in neighbour.replies} == {250}
    assert neighbour.worst_seconds < VERDICT_SECONDS / 3, neighbour.worst_seconds
    wait_until(lambda: resident(gateway) < memory + GROWTH_BYTES, "its memory is given back")
    wait_until(lambda: on_disk(gateway, clamd) < disk + DISK_BYTES, "its files are gone")
    return reply, next((m for m in gateway.messages() if m["trace"] == reply.trace), {})


@pytest.fixture(autouse=True)
def _of_linux() -> None:
    if not Path("/proc/self/statm").exists():
        missing("the memory of other processes is read from /proc")


@pytest.mark.parametrize("bomb", ARCHIVES)
def test_an_archive_that_explodes_is_held_back_in_time(bombed: RunningGateway, clamd: ClamdServer, bomb: str) -> None:
    name, build = ARCHIVES[bomb]
    reply, kept = verdict(bombed, clamd, with_archive(f"bomb{list(ARCHIVES).index(bomb)}", build(), name))

    if reply.code == 550:  # what clamd knows for a bomb it calls by a name
        assert "a virus was found: Heuristics." in reply.text
        return
    assert reply.code == 250, reply
    assert kept["scan"]["status"] == "unscannable", kept["scan"]
    [file] = kept["attachments"]
    assert file["disposition"] != "kept"
    assert file["reason"]


@pytest.mark.parametrize("bomb", MAIL)
def test_mail_of_too_many_parts_is_told_for_what_it_is(bombed: RunningGateway, clamd: ClamdServer, bomb: str) -> None:
    reply, kept = verdict(bombed, clamd, MAIL[bomb](f"mail{list(MAIL).index(bomb)}"))

    assert reply.code == 250, reply
    if kept["disposition"] == "parked":
        assert kept["reason"] == "too-complex"
    else:
        assert kept["scan"]["status"] == "unscannable"
        assert {a["disposition"] for a in kept["attachments"]} == {"held"}
