"""The client is gone when the reply to its final dot would come: the message is kept once or not at all, never twice."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import struct
from collections.abc import Callable

import pytest

from tests.servers.gateway import Fault, RunningGateway, dotted, last_reply, mail, start_data, wait_until


def _close(client: smtplib.SMTP) -> None:
    client.close()


def _half_close(client: smtplib.SMTP) -> None:
    """What we say is over, but we still listen (RFC 9293 section 3.6)."""
    assert client.sock
    client.sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(smtplib.SMTPServerDisconnected):
        client.getreply()


def _reset(client: smtplib.SMTP) -> None:
    """RST instead of FIN (RFC 9293 section 3.6): the reply cannot even be sent."""
    assert client.sock
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


LEAVING = [_close, _half_close, _reset]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda f: f.__name__.strip("_"))
def test_the_next_try_finds_it_once(gateway: RunningGateway, leave: Callable[[smtplib.SMTP], None]) -> None:
    """Small ones are read on the event loop, larger ones in a thread, the largest are blobs."""
    gateway.start()
    contents = [mail(n, text=_text(size)) for n, size in enumerate([10, 100_000, 300_000] * 8)]
    for content in contents:
        with gateway.session() as client:
            start_data(client)
            client.send(dotted(content))
            leave(client)
    for content in contents:
        assert gateway.send(content).code == 250
    kept = {gateway.raw("acme", m["id"]) for m in gateway.messages()}
    assert len(gateway.messages()) == len(gateway.tickets()) == 24
    assert kept == set(contents)
    assert gateway.audit().problems == []
    assert gateway.stop() == 0


def _text(size: int) -> str:
    return "\r\n".join(["z" * 70] * (size // 72 + 1))


def test_a_half_closed_client_hears_its_reply(gateway: RunningGateway) -> None:
    gateway.start()
    with gateway.session() as client:
        start_data(client)
        client.send(dotted(mail("half")))
        assert client.sock
        client.sock.shutdown(socket.SHUT_WR)
        assert last_reply(client).code == 250


@pytest.mark.parametrize("leave", LEAVING, ids=lambda f: f.__name__.strip("_"))
def test_a_client_gone_before_the_final_dot_leaves_a_line_in_the_log_and_no_message(
    gateway: RunningGateway, leave: Callable[[smtplib.SMTP], None]
) -> None:
    gateway.start()
    with gateway.session() as client:
        start_data(client)
        client.send(mail("torn"))
        leave(client)
    wait_until(lambda: gateway.log_lines(outcome="deferred"), "the transaction is on record")
    [line] = gateway.log_lines()
    assert line["reason"] == "client-gone"
    assert gateway.messages() == []
    assert gateway.send(mail("torn")).code == 250
    assert len(gateway.tickets()) == 1


def test_a_message_whose_client_left_while_it_was_judged_is_kept_all_the_same(gateway: RunningGateway) -> None:
    """The line is shielded: what has begun is not cancelled by a client that leaves."""
    gateway.start(Fault("verify", "hold", marker="slow"))
    with gateway.session() as client:
        start_data(client)
        client.send(dotted(mail("slow", text="slow")))
        wait_until(lambda: gateway.held("verify"), "the message is being verified")
        _reset(client)
    gateway.let_go("verify")
    wait_until(gateway.tickets, "its ticket")
    assert gateway.send(mail("slow", text="slow")).code == 250
    assert len(gateway.messages()) == 1
