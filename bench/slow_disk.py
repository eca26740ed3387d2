"""Commits in groups against one a message, on a disk whose fsync takes longer: python -m bench.slow_disk [--delay 2]."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.alone import gateway, load, refusals
from bench.places import ROOT, run_folder

CONNECTIONS, MESSAGES = 50, 20
SHIM = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(DELAY_MICROSECONDS);
    return real(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""
ONE_EACH = ROOT / "bench" / "one_each"
"""The folder whose `sitecustomize.py` makes the committer commit each message alone."""


def compile_shim(folder: Path, milliseconds: float) -> Path:
    """A library that makes each fsync last longer. Raises CalledProcessError with the compiler's words on the screen."""
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(SHIM)
    delay = f"-DDELAY_MICROSECONDS={int(1000 * milliseconds)}"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", delay, source, "-o", library, "-ldl"], check=True)
    return library


def measure(library: Path | None, *, grouped: bool) -> float:
    """Messages a second; prints the line."""
    # inherited by the gateway alone: the load generator, started next, forgets them
    wanted = {"LD_PRELOAD": str(library)} if library else {}
    if not grouped:
        wanted["PYTHONPATH"] = str(ONE_EACH)
    with gateway(started=False) as peer:
        os.environ.update(wanted)
        try:
            peer.serve()
        finally:
            for name in wanted:
                del os.environ[name]
        load(peer, "small", CONNECTIONS, 2, "warm")
        taken = load(peer, "small", CONNECTIONS, MESSAGES, "slow")
    disk = "slow disk" if library else "this disk"
    how = "commits in groups" if grouped else "one commit a message"
    print(
        f"{disk}, {how}: {taken.rate:.0f}/s, p50 {taken.percentile(50):.0f} ms, "
        f"p99 {taken.percentile(99):.0f} ms{refusals(taken)}",
        flush=True,
    )
    return taken.rate


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.slow_disk", description=__doc__)
    parser.add_argument("--delay", type=float, default=2.0, metavar="MS", help="what each fsync takes more")
    given = parser.parse_args()
    if not shutil.which("cc"):
        sys.exit("a C compiler is needed (apt-get install gcc libc6-dev)")
    with run_folder() as folder:
        library = compile_shim(folder, given.delay)
        fast = measure(None, grouped=True)
        groups = measure(library, grouped=True)
        single = measure(library, grouped=False)
    print(f"on the slow disk groups give {groups / single:.1f} x of single commits, {groups / fast:.2f} x of this disk")


if __name__ == "__main__":
    main()
