"""What the benches need beside the gateway: installed where that is possible, else named. `python -m bench.install [PEER…]`.

Debian packages and npm packages by their ordinary clients. Exim and Postfix cannot be installed beside each other: exim
is unpacked into the cache folder `bench/.peers`, where Haraka lies too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers import PEERS, haraka
from bench.peers.peer import SBIN
from bench.places import PEERS as CACHE
from tests.servers.clamd import program as clamd

SERVICES = {"unbound": "unbound", "ip": "iproute2"}
"""Programs that any comparison needs, and their packages."""
_APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
_ENVIRONMENT = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # 1: packages start no daemons


def missing(peers: Sequence[str]) -> list[str]:
    """Packages, by name, for these peers and the services they share."""
    services = [package for program, package in SERVICES.items() if not shutil.which(program, path=SBIN)]
    if not clamd():
        services.append("clamav-daemon")
    return [*services, *(package for peer in peers for package in PEERS[peer].missing())]


def install(packages: Sequence[str]) -> None:
    """Raises CalledProcessError where a client of a registry fails."""
    debian = [p for p in packages if p not in ("Haraka", "exim4-daemon-heavy")]
    if debian or "exim4-daemon-heavy" in packages:
        _run(*_APT, "update")
    if debian:
        _run(*_APT, "install", "--no-install-recommends", *debian)
    if "exim4-daemon-heavy" in packages:
        _unpack_exim()
    if "Haraka" in packages:
        _install_haraka()


def _unpack_exim() -> None:
    folder = CACHE / "exim"
    folder.mkdir(parents=True, exist_ok=True)
    names = ("exim4-daemon-heavy", "exim4-base")
    depends = _run("apt-cache", "depends", names[0])
    libraries = [line.split()[-1] for line in depends.splitlines() if "Depends: lib" in line]
    _run(*_APT, "install", "--no-install-recommends", *libraries)
    _run("apt-get", "download", *names, folder=folder)
    for package in folder.glob("*.deb"):
        _run("dpkg", "-x", str(package), str(folder))


def _install_haraka() -> None:
    haraka.HOME.mkdir(parents=True, exist_ok=True)
    (haraka.HOME / "package.json").write_text(json.dumps(haraka.PACKAGE, indent=1))
    # its optional plugins are dozens that are not measured
    _run("npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--omit=optional", folder=haraka.HOME)


def _run(*command: str, folder: Path | None = None) -> str:
    """Its output; what it said of an error goes to the screen."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, env=_ENVIRONMENT).stdout


def _without(packages: Sequence[str]) -> str:
    """Why these cannot be installed here; empty when they can."""
    if "Haraka" in packages and not (shutil.which("npm") and shutil.which("node")):
        return "Haraka needs node and npm (apt-get install nodejs npm)"
    if set(packages) - {"Haraka"} and not (os.geteuid() == 0 and shutil.which("apt-get")):
        return "only root on Debian can install them"
    return ""


def main() -> None:
    peers = sys.argv[1:] or list(PEERS)
    if unknown := set(peers) - set(PEERS):
        sys.exit(f"{', '.join(sorted(unknown))}: choose from {', '.join(PEERS)}")
    wanted = missing(peers)
    if not wanted:
        return
    if why := _without(wanted):
        sys.exit(f"missing: {', '.join(wanted)}; {why}")
    print(f"Installing {', '.join(wanted)}...", file=sys.stderr)
    try:
        install(wanted)
    except subprocess.CalledProcessError as error:
        sys.exit(f"missing: {', '.join(missing(peers))}; `{' '.join(map(str, error.cmd[:6]))}` failed")


if __name__ == "__main__":
    main()
