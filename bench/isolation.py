"""A network of its own for a bench run: peers look up DNS on port 53 and must see clients that are not on loopback.

Exim, opendkim, policyd-spf and Haraka read /etc/resolv.conf and cannot be given another port, and all of them excuse
loopback clients from SPF. So the run moves into network and mount namespaces (Linux, root): only a loopback interface,
an /etc/resolv.conf that names our server, and a network of clients that is answered locally. Nothing in there can reach
another machine, and nothing of it is left when the run ends.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

CLIENTS = "198.18.0.0/24"
"""Of the network for benchmarks (RFC 2544): Haraka excuses the documentation networks from SPF as well."""
HOST = "198.18.0.1"
"""This machine there."""
SOURCES = tuple(f"198.18.0.{n}" for n in range(2, 7))
_NEWNS, _NEWNET = 0x00020000, 0x40000000
EXIM_USER = "Debian-exim"
"""Compiled into Debian's exim, which runs here unpacked and not installed: so nobody has made its user."""


def possible() -> str:
    """Empty, or why not."""
    if not sys.platform.startswith("linux"):
        return "the peers run in Linux namespaces; this is not Linux"
    if os.geteuid() != 0:
        return "the peers run in namespaces that only root may make: run as root, or in a container"
    return ""


def enter(folder: Path) -> None:
    """Move this process, with all it will start, into namespaces of its own. Call it before any thread is started.

    Raises OSError when the kernel forbids it, CalledProcessError when `ip` or `mount` fail.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNS | _NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(
            number, f"namespaces are forbidden here ({os.strerror(number)}): the container needs CAP_SYS_ADMIN"
        )
    _run("mount", "--make-rprivate", "/")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "route", "add", "local", CLIENTS, "dev", "lo")
    _replace(folder, "/etc/resolv.conf", "nameserver 127.0.0.1\n")
    _replace(folder, "/etc/hosts", "127.0.0.1 localhost\n")
    if EXIM_USER not in Path("/etc/passwd").read_text():
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        _replace(folder, "/etc/passwd", f"{passwd}{EXIM_USER}:x:61919:61919::/nonexistent:/usr/sbin/nologin\n")
        _replace(folder, "/etc/group", f"{group}{EXIM_USER}:x:61919:\n")


def _replace(folder: Path, path: str, text: str) -> None:
    """For this mount namespace only."""
    ours = folder / Path(path).name
    ours.write_text(text)
    _run("mount", "--bind", str(ours), path)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
