"""Which socket is which listener, whoever opened it; and what is said of one that is none."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.core.errors import InvalidInput
from gateway.supervisor.listeners import listen, open_listeners
from gateway.supervisor.systemd import Handed


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def tcp(opened: ExitStack, name: str = "unknown", host: str = "127.0.0.1") -> tuple[Handed, str]:
    sock = opened.enter_context(socket.create_server((host, 0)))
    return Handed(name, sock), f"127.0.0.1:{sock.getsockname()[1]}"


def local(opened: ExitStack, path: Path) -> Handed:
    sock = opened.enter_context(socket.socket(socket.AF_UNIX))
    sock.bind(str(path))
    sock.listen()
    return Handed("gateway.socket", sock)


def test_handed_sockets_are_matched_by_address_in_whatever_order_they_come(opened: ExitStack, tmp_path: Path) -> None:
    (one, first), (two, second), (web, http) = (tcp(opened) for _ in range(3))
    lmtp = local(opened, tmp_path / "mail.sock")
    listen_to = {"smtp": [first, f"lmtp:unix:{tmp_path}/mail.sock", second], "http": [http]}

    found = open_listeners(listen_to, [web, two, lmtp, one])

    assert found == {"smtp": [one.socket, lmtp.socket, two.socket], "http": [web.socket]}


def test_a_name_matches_another_address_at_the_same_port(opened: ExitStack) -> None:
    anywhere, address = tcp(opened, "smtp", "0.0.0.0")
    assert open_listeners({"smtp": [address], "http": []}, [anywhere])["smtp"] == [anywhere.socket]

    unnamed = Handed("gateway.socket", anywhere.socket)
    with pytest.raises(InvalidInput, match="hands no socket for 127"):
        open_listeners({"smtp": [address], "http": []}, [unnamed])


def test_what_is_missing_and_what_is_left_over_is_named_with_the_cure(opened: ExitStack) -> None:
    (one, address), (other, stray) = tcp(opened), tcp(opened, "gateway.socket")

    with pytest.raises(InvalidInput) as told:
        open_listeners({"smtp": [address, "127.0.0.1:2525"], "http": []}, [one, other])

    missing, left = str(told.value).split("\n")
    assert "smtp.listen" in missing
    assert "add ListenStream=127.0.0.1:2525" in missing
    assert f"{stray} (named gateway.socket)" in left
    assert "take its ListenStream= out" in left


def test_one_socket_serves_one_listener(opened: ExitStack) -> None:
    one, address = tcp(opened)
    with pytest.raises(InvalidInput, match=r"http\.listen: .* hands no socket"):
        open_listeners({"smtp": [address], "http": [address]}, [one])


def test_sockets_that_cannot_serve_are_told(opened: ExitStack) -> None:
    unbound = opened.enter_context(socket.socket())
    unbound.bind(("127.0.0.1", 0))
    datagrams = opened.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    datagrams.bind(("127.0.0.1", 0))

    with pytest.raises(InvalidInput) as told:
        open_listeners({"smtp": []}, [Handed("a", unbound), Handed("b", datagrams), Handed("c", None)])

    a, b, c = str(told.value).split("\n")
    assert "Accept=no" in a
    assert "Accept=no" in b
    assert "no socket" in c


def test_a_socket_for_both_families_is_refused(opened: ExitStack) -> None:
    """Its IPv4 clients would be judged as ::ffff:192.0.2.1, for which no SPF record passes."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("IPv6 with IPv4 behind it")
    both = opened.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    address = f"[::]:{both.getsockname()[1]}"
    with pytest.raises(InvalidInput, match="BindIPv6Only=ipv6-only"):
        open_listeners({"smtp": [address]}, [Handed("smtp", both)])


def test_our_own_sockets_are_tcp_by_name_so_that_accepted_ones_do_not_delay() -> None:
    found = open_listeners({"smtp": ["127.0.0.1:0"], "http": []})
    (listening,) = found["smtp"]
    assert listening.proto == socket.IPPROTO_TCP
    listening.close()


def test_a_path_that_somebody_answers_at_is_not_taken_from_him(opened: ExitStack, tmp_path: Path) -> None:
    local(opened, tmp_path / "mail.sock")
    with pytest.raises(InvalidInput, match="another program listens there"):
        listen(f"unix:{tmp_path}/mail.sock")


def test_a_path_that_cannot_be_had_leaves_no_socket_open(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot listen on unix:.*No such file or directory"):
        listen(f"unix:{tmp_path}/missing/mail.sock")
    gc.collect()  # a socket that is left open is told here, and fails the test


def test_a_path_left_by_the_dead_is_used_again(tmp_path: Path) -> None:
    listen(f"lmtp:unix:{tmp_path}/mail.sock").close()
    again = listen(f"lmtp:unix:{tmp_path}/mail.sock")
    assert again.getsockname() == f"{tmp_path}/mail.sock"
    again.close()


def test_a_port_that_is_taken_was_to_be_changed_nobody_knew_where(opened: ExitStack) -> None:
    _, taken = tcp(opened)
    with pytest.raises(InvalidInput, match=r"or name another port in http\.listen"):
        open_listeners({"smtp": [], "http": [taken]})
