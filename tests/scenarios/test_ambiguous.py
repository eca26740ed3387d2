"""Mail that scanners and readers take apart differently, over SMTP: it waits, fragments are refused, nothing is fetched."""

from __future__ import annotations

import socket

import pytest

from tests.servers.inprocess import Client, Gateway, numbered

ACME = "support@acme.gw.test"


def of_type(n: object, content_type: str, body: str, *headers: str) -> bytes:
    head = numbered(n, *headers, f"Content-Type: {content_type}").partition(b"\r\n\r\n")[0]
    return head + b"\r\n\r\n" + body.replace("\n", "\r\n").encode()


def mixed(n: object, part: str) -> bytes:
    return of_type(n, "multipart/mixed; boundary=b", f"--b\n\nIt leaks.\n--b\n{part}\n--b--\n")


TWO_BOUNDARIES = of_type("two", "multipart/mixed; boundary=b; boundary=c", "--b\n\nx\n--b--\n--c\n\ny\n--c--\n")
FRAGMENT = mixed("part", 'Content-Type: message/partial; id="a@b"; number=1; total=2\n\nSubject: x\n\ny')
ELSEWHERE = mixed(
    "away",
    'Content-Type: message/external-body; access-type=URL; URL="http://192.0.2.1/a.exe"\n\n'
    "Content-Type: application/octet-stream\n",
)


async def test_two_boundaries_are_quarantined_and_the_trace_says_why(gateway: Gateway, client: Client) -> None:
    reply = await client.mail(TWO_BOUNDARIES, ACME)
    assert reply.code == 250
    (kept,) = gateway.messages()
    assert (kept["disposition"], kept["reason"]) == ("quarantined", "ambiguous")
    assert gateway.raw(kept["id"]) is not None
    assert "ambiguous-boundary" in str(gateway.trace(reply.trace))


async def test_postmaster_gets_no_ambiguous_mail_either(gateway: Gateway, client: Client) -> None:
    assert (await client.mail(TWO_BOUNDARIES, "postmaster@acme.gw.test")).code == 250
    assert [m["disposition"] for m in gateway.messages()] == ["quarantined"]


async def test_a_fragment_is_refused_with_its_reason(gateway: Gateway, client: Client) -> None:
    reply = await client.mail(FRAGMENT, ACME)
    assert (reply.code, reply.enhanced) == (550, "5.6.1")
    assert "is a fragment of a message" in str(reply)
    assert gateway.messages() == []


async def test_what_lies_elsewhere_is_held_and_never_fetched(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[object] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: object) -> None:
        met.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", watched)
    reply = await client.mail(ELSEWHERE, ACME)
    assert reply.code == 250
    (kept,) = gateway.messages()
    assert kept["disposition"] == "ticketed"
    (file,) = kept["attachments"]
    assert (file["disposition"], file["reason"]) == ("held", "its content lies elsewhere")
    assert not [address for address in met if "192.0.2.1" in str(address)]
