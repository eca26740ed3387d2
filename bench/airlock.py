"""What the airlock costs a message: CPU of our processes and of clamd, by size and by what is attached: python -m bench.airlock.

`document` is a file that carries no others; `zip` has the same octets as files of 10 KB; `one out of place` is the document
with a semicolon too many in its header, for which its parts are scanned one by one as well.
"""

from __future__ import annotations

import argparse
import base64
import io
import random
import smtplib
import statistics
import time
import zipfile
from collections.abc import Callable
from functools import cache

from bench.messages import DOMAIN
from bench.peers.ours import Ours
from bench.places import run_folder
from bench.processes import cpu_seconds, settle
from bench.services import Services
from tests.servers.gateway import transaction

SIZES = {"5 KB": (5_000, 200), "100 KB": (100_000, 100), "10 MB": (10_000_000, 8)}
"""Octets of a message, and how many are sent."""
_FILE_BYTES = 10_000


@cache
def _random(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def _noise(size: int, n: object) -> bytes:
    """With another beginning for each message: clamd remembers clean files by their digest."""
    return str(n).encode().ljust(64) + _random(size)[64:]


def _zip(size: int, n: object) -> bytes:
    octets, out = _noise(size, n), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for at in range(0, size, _FILE_BYTES):
            archive.writestr(f"{n}-{at}.txt", octets[at : at + _FILE_BYTES])
    return out.getvalue()


def _document(size: int, n: object) -> bytes:
    return b"%PDF-1.4\n" + _noise(size, n)


def _message(n: object, size: int, kind: str, name: str, make: Callable[[int, object], bytes] | None) -> bytes:
    """Of about `size` octets; text alone where nothing makes a file."""
    lines = [
        f"From: Anna <anna.{n}@{DOMAIN}>",
        "To: <support@acme.test>",
        f"Subject: Order {n}",
        f"Message-ID: <{n}@{DOMAIN}>",
    ]
    lines += ["Date: Mon, 02 Feb 2026 10:00:00 +0000", "MIME-Version: 1.0"]
    if make is None:
        text = "\r\n".join([f"Where is my order {n}, and when will it come?"] * (size // 60))
        return "\r\n".join([*lines, "Content-Type: text/plain; charset=utf-8", "", text, ""]).encode()
    head = [
        *lines,
        'Content-Type: multipart/mixed; boundary="=_b"',
        "",
        "--=_b",
        "Content-Type: text/plain",
        "",
        "See the file.",
    ]
    head += ["--=_b", f"Content-Type: {kind}", "Content-Transfer-Encoding: base64"]
    head += [f"Content-Disposition: attachment; {name}", "", ""]
    packed = base64.encodebytes(make((size - 500) * 57 // 78, n)).replace(b"\n", b"\r\n")
    return "\r\n".join(head).encode() + packed + b"--=_b--\r\n"


SHAPES: dict[str, tuple[str, str, Callable[[int, object], bytes] | None]] = {
    "text": ("", "", None),
    "document": ("application/pdf", 'filename="a.pdf"', _document),
    "one out of place": ("application/pdf", 'filename="a.pdf";', _document),
    "zip": ("application/zip", 'filename="a.zip"', _zip),
}


def measure(peer: Ours, clamd: int, size: str, shape: str, count: int) -> str:
    """One line of figures; what was not accepted is told in it."""
    contents = [
        _message(f"{shape.replace(' ', '-')}-{size.partition(' ')[0]}-{n}", SIZES[size][0], *SHAPES[shape])
        for n in range(count)
    ]
    settle([*peer.own(), clamd])
    ours, theirs = cpu_seconds(peer.own()), cpu_seconds([clamd])
    took, refused = [], 0
    for content in contents:
        with peer.gateway.session() as client:
            began = time.perf_counter()
            refused += _sent(client, content, peer.recipient) != 250
            took.append(time.perf_counter() - began)
    settle([*peer.own(), clamd])
    ours, theirs = (
        1000 * (now - then) / count for now, then in ((cpu_seconds(peer.own()), ours), (cpu_seconds([clamd]), theirs))
    )
    more = f"; {refused} NOT ACCEPTED" if refused else ""
    return f"{size:>7} {shape:<17} {ours:8.1f} {theirs:8.1f} {1000 * statistics.median(took):8.1f}{more}"


def _sent(client: smtplib.SMTP, content: bytes, recipient: str) -> int:
    return transaction(client, content, recipient, f"anna@{DOMAIN}").code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="so many times the usual number of messages")
    times = parser.parse_args().times
    print(
        "CPU in ms a message: ours (all processes, notices too) and clamd's with three signatures; ms from MAIL to the last reply"
    )
    print(f"{'':>7} {'':<17} {'ours':>8} {'clamd':>8} {'p50':>8}")
    with run_folder() as folder, Services(folder) as services:
        peer = Ours(folder / "ours")
        peer.start(services)
        try:
            for shape in SHAPES:  # warm: first uses load what they need
                measure(peer, services.clamd_pid, "5 KB", shape, 3)
            for size, (_, count) in SIZES.items():
                for shape in SHAPES:
                    print(measure(peer, services.clamd_pid, size, shape, max(1, round(times * count))), flush=True)
        finally:
            peer.stop()


if __name__ == "__main__":
    main()
