"""The listening sockets: opened here, or handed by systemd. Opened once; workers come and go and inherit them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import InvalidInput
from gateway.supervisor.systemd import Handed

BACKLOG = 512
_UNIT = "the .socket unit"


def listen(address: str, *, elsewhere: str = "choose another port") -> socket.socket:
    """A listening socket for `host:port`, `[ipv6]:port`, `unix:PATH` or `lmtp:unix:PATH`. Raises InvalidInput naming the cure;
    `elsewhere` says where another port is named.

    The protocol is named: asyncio sets TCP_NODELAY only on sockets made with IPPROTO_TCP, and without it every message
    stalls 40 ms.
    """
    if path := _path_of(address):
        return _listen_unix(Path(path))
    try:
        family, where = _resolved(address)
        with contextlib.ExitStack() as failing:
            listening = failing.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(where)
            listening.listen(BACKLOG)
            failing.pop_all()
    except OSError as error:
        raise InvalidInput(_cannot_listen(address, error, elsewhere)) from None
    return listening


def _path_of(address: str) -> str:
    """Of a unix socket, else empty."""
    return address.removeprefix("lmtp:").removeprefix("unix:") if address.startswith(("unix:", "lmtp:unix:")) else ""


def _resolved(address: str) -> tuple[int, tuple[Any, ...]]:
    """The family, and what `bind` takes. Raises OSError."""
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return found[0], found[4]


def _cannot_listen(address: str, error: OSError, elsewhere: str = "") -> str:
    port = address.rpartition(":")[2]
    if isinstance(error, PermissionError):
        cure = (
            f"port {port} is below 1024 and needs root, CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities), "
            f"or {_UNIT} to open it"
        )
    elif "in use" in str(error):
        cure = f"another program listens there; find it with `ss -ltnp 'sport = :{port}'`, or {elsewhere}"
    else:
        cure = "name an address of this machine"
    return f"cannot listen on {address}: {error.strerror or error}; {cure}"


def _listen_unix(path: Path) -> socket.socket:
    if _is_answered(path):
        raise InvalidInput(
            f"cannot listen on unix:{path}: another program listens there; stop it, or choose another path"
        )
    try:
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket():
                path.unlink()
        with contextlib.ExitStack() as failing:
            listening = failing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listening.bind(str(path))
            # the front server is another user (Postfix's lmtp runs as postfix): whoever may enter the folder may speak
            path.chmod(0o666)
            listening.listen(BACKLOG)
            failing.pop_all()
    except OSError as error:
        raise InvalidInput(f"cannot listen on unix:{path}: {error.strerror or error}") from None
    return listening


def _is_answered(path: Path) -> bool:
    """Unlike a port, a path can be taken from under a program that lives."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
    return True


# --- from systemd ---


def open_listeners(
    addresses: Mapping[str, Sequence[str]], handed: Sequence[Handed] = ()
) -> dict[str, list[socket.socket]]:
    """For each kind (`smtp`, `http`) a socket for each address, in order: those handed when there are any, else our own.

    With some handed nothing is opened here: what is missing would be refused while `serve` restarts, and a port that was
    mistyped would go unseen. Raises InvalidInput with a line for each socket that is missing, left over or unusable.
    """
    if not handed:
        return {
            kind: [listen(a, elsewhere=f"name another port in {kind}.listen") for a in wanted]
            for kind, wanted in addresses.items()
        }
    problems = [p for h in handed if (p := _unusable(h))]
    left = [h for h in handed if not _unusable(h)]
    found: dict[tuple[str, str], Handed] = {}
    for match in (_is_at, _is_named_for):
        for kind, wanted in addresses.items():
            for address in wanted:
                fitting = (h for h in left if (kind, address) not in found and match(h, kind, address))
                if chosen := next(fitting, None):
                    left.remove(chosen)
                    found[kind, address] = chosen
    missing = [(k, a) for k, wanted in addresses.items() for a in wanted if (k, a) not in found]
    problems += [_missing(kind, address) for kind, address in missing] + [_left_over(h, addresses) for h in left]
    if problems:
        raise InvalidInput("\n".join(problems))
    return {k: [s for a in wanted if (s := found[k, a].socket)] for k, wanted in addresses.items()}


def _unusable(handed: Handed) -> str:
    sock, which = handed.socket, f"{_UNIT} hands {_told(handed)}"
    if sock is None:
        return f"{which}, which is no socket; leave only ListenStream= in it"
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return f"{which}, which does not listen for connections; write ListenStream= with Accept=no"
    if sock.family == socket.AF_INET6 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        # its IPv4 clients would come as ::ffff:192.0.2.1, which no SPF record and no network of the settings means
        return f"{which} for IPv4 as well; write BindIPv6Only=ipv6-only, and a ListenStream= for IPv4"
    return ""


def _is_at(handed: Handed, _kind: str, address: str) -> bool:
    if handed.socket is None:
        return False
    bound = handed.socket.getsockname()
    if path := _path_of(address):
        return bool(bound == path)
    try:
        family, where = _resolved(address)
    except OSError as error:
        raise InvalidInput(_cannot_listen(address, error)) from None
    return handed.socket.family == family and tuple(bound[:2]) == tuple(where[:2])


def _is_named_for(handed: Handed, kind: str, address: str) -> bool:
    """Another address at the same port, by FileDescriptorName=smtp or http: one behind a name, or narrower than `0.0.0.0`."""
    if handed.name != kind or handed.socket is None or handed.socket.family == socket.AF_UNIX or _path_of(address):
        return False
    return address.rpartition(":")[2] == str(handed.socket.getsockname()[1])


def _missing(kind: str, address: str) -> str:
    path = _path_of(address)
    return (
        f"{kind}.listen: {_UNIT} hands no socket for {address}; add ListenStream={path or address} to it, "
        f"or take {address} out of {kind}.listen"
    )


def _left_over(handed: Handed, addresses: Mapping[str, Sequence[str]]) -> str:
    kinds = [kind for kind, wanted in addresses.items() if wanted] or ["no role"]
    return (
        f"{_UNIT} hands {_told(handed)}, which stands in no {' and no '.join(f'{k}.listen' for k in kinds)}; "
        f"add it there, or take its ListenStream= out"
    )


def _told(handed: Handed) -> str:
    """As the settings write it, with its name."""
    where = handed.socket.getsockname() if handed.socket else "a file"
    if isinstance(where, tuple):
        where = f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"
    elif handed.socket:
        where = f"unix:{where}"
    return f"{where} (named {handed.name})"
