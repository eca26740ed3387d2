"""The mail that the people of the example world write."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from gateway.core.clock import now
from gateway.demo.world import CAROL, COMPANY, CUSTOMER, SELECTOR, SPOOFER, World
from gateway.notify.sign import sign


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the demo: who sends it from where, and what is to be seen."""

    title: str
    lesson: str
    client_ip: str
    sender: str
    recipient: str
    content: bytes


def letters(world: World, account_domain: str, *, with_virus: bool) -> list[Letter]:
    """The mail of the first morning, but for the answer, which needs the acknowledgement it answers."""
    inbound = f"support@{account_domain}"
    found = [_photo(world, inbound), _dressed_program(world, inbound), _spoof(world, inbound)]
    return [*found, _virus(world, inbound)] if with_virus else found


def _photo(world: World, inbound: str) -> Letter:
    text = "Good morning,\n\nour pump leaks since Monday. A photo is attached.\n\nCarol Blum\n"
    message = _attach(_message(CAROL, "The pump leaks", text), "pump.png", "image/png", picture())
    return Letter(
        "A customer writes; the company's server forwards it, with a photo",
        "SPF breaks on the way, the DKIM signature survives: the author is verified, and gets a confirmation.",
        world.forwarder_ip, f"carol@{CUSTOMER}", inbound, _signed(world, CUSTOMER, message),
    )  # fmt: skip


def _dressed_program(world: World, inbound: str) -> Letter:
    message = _message(CAROL, "Your invoice", "Please see the invoice.\n")
    message = _attach(message, "invoice.pdf", "application/pdf", _program())
    return Letter(
        "A program dressed as a PDF",
        "The mail is kept and the file stripped: its content says program, whatever its name says.",
        world.forwarder_ip, f"carol@{CUSTOMER}", inbound, _signed(world, CUSTOMER, message),
    )  # fmt: skip


def _spoof(world: World, inbound: str) -> Letter:
    message = _message(CAROL, "Please change our bank account", "Use the account below from now on.\n")
    return Letter(
        "Somebody else writes as Carol, straight to us",
        "Her domain disowns it and no forwarder explains it: refused in the session, nobody is bothered.",
        world.others_ip, f"mallory@{SPOOFER}", inbound, _signed(world, SPOOFER, message),
    )  # fmt: skip


def _virus(world: World, inbound: str) -> Letter:
    message = _message(CAROL, "Price list", "Our new prices.\n")
    message = _attach(message, "prices.txt", "text/plain", _virus_test_file())
    return Letter(
        "A virus (the harmless EICAR test file)",
        "ClamAV finds it. The company's own server brought it, so it waits in quarantine: a refusal would bounce.",
        world.forwarder_ip, f"carol@{CUSTOMER}", inbound, _signed(world, CUSTOMER, message),
    )  # fmt: skip


def answer(world: World, account_domain: str, message_id: str) -> Letter:
    """Carol answers the acknowledgement."""
    message = _message(CAROL, "Re: The pump leaks", "It is the blue one in the cellar.\n")
    message["In-Reply-To"] = message_id
    message["References"] = message_id
    return Letter(
        "Carol answers the confirmation",
        "It joins her ticket by the signed Message-ID she answers to; the agents are told.",
        world.forwarder_ip, f"carol@{CUSTOMER}", f"support@{account_domain}", _signed(world, CUSTOMER, message),
    )  # fmt: skip


def _message(author: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = author, f"Acme Support <support@{COMPANY}>", subject
    message["Date"] = format_datetime(now())
    message["Message-ID"] = make_msgid(domain=author.rpartition("@")[2].rstrip(">"))
    message.set_content(text)
    return message


def _attach(message: EmailMessage, name: str, media_type: str, content: bytes) -> EmailMessage:
    maintype, _, subtype = media_type.partition("/")
    message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return message


def _signed(world: World, domain: str, message: EmailMessage) -> bytes:
    content = message.as_bytes(policy=SMTP)
    return sign(content, domain=domain, selector=SELECTOR, private_key_pem=world.keys[domain])


def picture(width: int = 320, height: int = 200) -> bytes:
    """A small PNG: a blue gradient with a drop."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            inside = (x - width / 2) ** 2 + ((y - height * 0.55) * 1.2) ** 2 < (height * 0.3) ** 2
            rows += bytes((230, 240, 255) if inside else (40, 90 + y // 4, 140 + x // 6))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(rows), 9)),
        (b"IEND", b""),
    )
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def _program() -> bytes:
    """The head of a Windows program that does nothing."""
    return b"MZ" + bytes(58) + struct.pack("<I", 128) + bytes(64) + b"PE\0\0" + bytes(64)


def _virus_test_file() -> bytes:
    """The EICAR test file, put together here so that scanners leave this source alone."""
    halves = ("WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FS", "LVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=")
    return b"".join(base64.b64decode(h) for h in halves)
