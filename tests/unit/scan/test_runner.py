"""Scanners' answers are combined without losing the gravest; files are judged beside them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.core.envelope import Client, Envelope
from gateway.core.ports import Mail, ScannerResult
from gateway.core.reports import Finding, ScanStatus
from gateway.parse import message, transfer
from gateway.scan import runner
from gateway.scan.files import parse_and_see
from gateway.scan.runner import PARTS_SEARCHED, ScanRunner, combined
from tests.unit.scan.filetypes import samples as make


class Says:
    """A scanner with a ready answer; `infected_when` makes it answer only to content that holds these bytes."""

    name = "says"

    def __init__(
        self, status: ScanStatus, reason: str = "", *, infected_when: bytes = b"", raises: Exception | None = None
    ):
        self.result = ScannerResult(status, reason, (Finding("says", "X"),) if status is ScanStatus.INFECTED else ())
        self.infected_when, self.raises = infected_when, raises

    async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
        if self.raises:
            raise self.raises
        return self.result if self.infected_when in content else ScannerResult(ScanStatus.CLEAN)


async def thread(function, *args):
    return await asyncio.to_thread(function, *args)


def mail(*files: tuple[str, str, bytes]) -> bytes:
    parts = [b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"]
    for declared, name, content in files:
        head = f'--b\r\nContent-Type: {declared}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
        parts.append(head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded)
    head = (
        b'From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    )
    return head + b"".join(parts) + b"--b--\r\n"


async def report_of(content: bytes, *scanners: Says, envelope=None):
    return await judged(ScanRunner(scanners, thread), content, envelope)


async def judged(runner: ScanRunner, content: bytes, envelope=None):
    return await runner.scan(content, *parse_and_see(content), runner.ask(content, envelope))


async def test_a_program_dressed_as_a_pdf_is_both():
    report = await report_of(mail(("application/pdf", "invoice.pdf", make.pe())), Says(ScanStatus.CLEAN))
    (part,) = report.parts
    assert (part.detected_type, part.types, part.media_class) == ("exe", ("exe", "pdf"), "other")
    assert (part.size_bytes, part.sha256) == (len(make.pe()), hashlib.sha256(make.pe()).hexdigest())
    assert (part.name, part.declared_type) == ("invoice.pdf", "application/pdf")


async def test_a_text_called_bat_is_a_bat():
    report = await report_of(mail(("text/plain", "run.bat", b"dir\r\n")))
    assert report.parts[0].types == ("bat",)


async def test_a_document_declared_as_zip_is_no_zip():
    """Windows without Office declares .docx as application/x-zip-compressed."""
    docx = make.ooxml(make.OOXML + "wordprocessingml.document.main+xml", "word")
    report = await report_of(
        mail(("application/x-zip-compressed", "a.docx", docx), ("application/zip", "a.zip", docx)),
        Says(ScanStatus.CLEAN),
    )
    assert [p.types for p in report.parts] == [("docx",), ("docx", "zip")]


async def test_files_were_decoded_once_more_to_be_judged(monkeypatch):
    content = mail(("image/png", "a.png", make.png()), ("application/pdf", "b.pdf", make.pdf()))
    calls = []
    monkeypatch.setattr(message, "decode", lambda *args: calls.append(args[1:]) or transfer.decode(*args))
    monkeypatch.setattr(runner, "decode_part", lambda *_: pytest.fail("decoded again"))
    report = await report_of(content, Says(ScanStatus.CLEAN))
    assert [p.detected_type for p in report.parts] == ["png", "pdf"]
    assert len(calls) == 3


async def test_mail_without_files_has_no_part_reports():
    assert (await report_of(mail(), Says(ScanStatus.CLEAN))).parts == ()


INFECTED, UNSCANNABLE, UNSCANNED, CLEAN = (
    ScannerResult(ScanStatus.INFECTED),
    ScannerResult(ScanStatus.UNSCANNABLE, "over-limit"),
    ScannerResult(ScanStatus.UNSCANNED, "down"),
    ScannerResult(ScanStatus.CLEAN),
)
OFF = ScannerResult(ScanStatus.UNSCANNED, "scanner-off")
ENCRYPTED = ScannerResult(ScanStatus.UNSCANNABLE, "encrypted")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([CLEAN, UNSCANNED, UNSCANNABLE, INFECTED], INFECTED),
        ([CLEAN, UNSCANNED, UNSCANNABLE], UNSCANNABLE),
        ([CLEAN, UNSCANNED], UNSCANNED),
        ([CLEAN, CLEAN], CLEAN),
        ([ENCRYPTED, CLEAN], ENCRYPTED),
        ([ENCRYPTED, UNSCANNED], UNSCANNED),
        ([ENCRYPTED, UNSCANNABLE], UNSCANNABLE),
        ([], ScannerResult(ScanStatus.UNSCANNED, "scanner-off")),
        ([OFF], OFF),
        ([OFF, CLEAN], CLEAN),
        ([OFF, ENCRYPTED], ENCRYPTED),
        ([OFF, UNSCANNED], UNSCANNED),
        ([ScannerResult(None), OFF], OFF),
    ],
)
def test_the_gravest_answer_counts(results, expected):
    assert combined(results) == (expected.status, expected.reason)
    assert combined(results[::-1]) == (expected.status, expected.reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "down"),
        (FileNotFoundError(), "down"),
        (ValueError("a bug"), "protocol"),
    ],
)
async def test_a_scanner_that_raises_has_not_scanned(error, reason):
    report = await report_of(mail(), Says(ScanStatus.CLEAN, raises=error), Says(ScanStatus.CLEAN))
    assert (report.status, report.reason) == (ScanStatus.UNSCANNED, reason)


async def test_the_infected_file_is_named_beside_the_message():
    files = [("image/png", "a.png", make.png()), ("application/pdf", "b.pdf", b"%PDF-1.4 EVIL")]
    scanner = Says(ScanStatus.INFECTED, infected_when=b"EVIL")
    scanner_of_raw = Says(ScanStatus.INFECTED, infected_when=base64.b64encode(b"%PDF-1.4 EVIL"))
    report = await report_of(mail(*files), scanner, scanner_of_raw)
    assert report.status is ScanStatus.INFECTED
    assert [f.where for f in report.findings] == ["message"]
    raw = mail(*files) + b"EVIL"  # behind the last part: neither text nor file
    report = await report_of(raw, scanner)
    assert [f.where for f in report.findings] == ["message", "3"]


async def test_an_infected_text_is_named_like_a_file():
    raw = mail(("application/pdf", "b.pdf", b"%PDF-1.4 EVIL")).replace(b"hello", b"EVIL")
    report = await report_of(raw, Says(ScanStatus.INFECTED, infected_when=b"EVIL"))
    assert [f.where for f in report.findings] == ["message", "1", "2"]


async def test_of_more_parts_than_are_searched_none_is_named():
    raw = mail(*[("application/pdf", "b.pdf", b"%PDF-1.4 EVIL")] * PARTS_SEARCHED)
    report = await report_of(raw + b"EVIL", Says(ScanStatus.INFECTED, infected_when=b"EVIL"))
    assert [f.where for f in report.findings] == ["message"]


async def test_encryption_only_the_scanner_sees_holds_every_file_that_may_hide_it():
    content = mail(("image/png", "a.png", make.png()), ("application/zip", "b.zip", make.zipped({"a": "b"})))
    report = await report_of(content, Says(ScanStatus.UNSCANNABLE, "encrypted"))
    assert [p.encrypted for p in report.parts] == [False, True]


async def test_encryption_we_see_ourselves_is_enough():
    content = mail(("application/zip", "a.zip", make.encrypted_zip()), ("application/pdf", "b.pdf", make.pdf()))
    report = await report_of(content, Says(ScanStatus.UNSCANNABLE, "encrypted"))
    assert [p.encrypted for p in report.parts] == [True, False]


async def test_every_attachment_of_the_corpora_is_judged(corpora: Path):
    seen = set()
    for path in sorted((corpora / "messages").rglob("*.eml")):
        content = path.read_bytes()
        report = await report_of(content, Says(ScanStatus.CLEAN))
        seen |= {p.detected_type for p in report.parts}
    assert {"png", "jpeg", "pdf", "eml"} <= seen


def eml_with(content: bytes, name: str = "x.exe") -> bytes:
    return mail(("application/octet-stream", name, content))


async def test_what_lies_in_an_attached_message_is_found_at_its_depth():
    inner = eml_with(make.zipped({"a/setup.pdf": make.pe()}), "docs.zip")
    report = await report_of(mail(("message/rfc822", "fwd.eml", inner)), Says(ScanStatus.CLEAN))
    (part,) = report.parts
    assert (report.status, part.unscannable) == (ScanStatus.CLEAN, "")
    assert ("fwd.eml/docs.zip/a/setup.pdf", "zip", "exe") in {
        (f.path, f.container, f.detected_type) for f in part.inside
    }


async def test_a_bomb_is_unscannable_and_says_which_file_it_is():
    bomb = make.zipped({"zeros": bytes(20_000_000)})
    report = await report_of(
        mail(("text/csv", "a.csv", b"a,b"), ("application/zip", "b.zip", bomb)), Says(ScanStatus.CLEAN)
    )
    assert (report.status, report.reason) == (ScanStatus.UNSCANNABLE, "archive")
    assert [(f.scanner, f.where) for f in report.findings] == [("inside", "3")]
    assert [bool(p.unscannable) for p in report.parts] == [False, True]


@pytest.mark.parametrize(
    ("scanner", "status", "reason"),
    [
        (Says(ScanStatus.UNSCANNED, "down"), ScanStatus.UNSCANNED, "down"),
        (Says(ScanStatus.UNSCANNED, "scanner-off"), ScanStatus.UNSCANNED, "scanner-off"),
        (Says(ScanStatus.UNSCANNABLE, "over-limit"), ScanStatus.UNSCANNABLE, "over-limit"),
        (Says(ScanStatus.INFECTED), ScanStatus.INFECTED, ""),
    ],
)
async def test_a_bomb_hides_nothing_that_is_graver_than_itself(scanner, status, reason):
    content = mail(("application/zip", "b.zip", make.zipped({"zeros": bytes(20_000_000)})))
    report = await report_of(content, scanner)
    assert (report.status, report.reason) == (status, reason)
    assert report.parts[0].unscannable


async def test_a_scanner_too_slow_for_what_is_too_much_for_us_too_is_not_asked_again():
    """A zip of sixty thousand entries was put off for hours, and cost half a minute each time."""
    content = mail(("application/zip", "b.zip", make.zipped({"zeros": bytes(20_000_000)})))
    report = await report_of(content, Says(ScanStatus.UNSCANNED, "timeout"))
    assert (report.status, report.reason) == (ScanStatus.UNSCANNABLE, "timeout")


async def test_a_picture_by_its_declared_type_alone_is_not_inline():
    """Twenty documents that called themselves pictures in the text were counted apart from the files."""
    head = b"Content-Type: image/png\r\nContent-ID: <a@b>\r\nContent-Disposition: inline\r\n"
    content = mail(("application/pdf", "a.pdf", b"%PDF-1.4 x")).replace(b"Content-Type: application/pdf\r\n", head, 1)
    (part,) = (await report_of(content, Says(ScanStatus.CLEAN))).parts
    assert (part.detected_type, part.inline) == ("pdf", False)


async def test_a_file_whose_turn_never_came_is_not_taken_for_looked_into():
    """Two bombs before it keep the threads busy: the client comes again."""
    content = mail(("application/zip", "b.zip", make.zipped({"a.txt": "x"})))

    async def late(function, *args):
        return function(*args[:-1], 0.0)

    report = await judged(ScanRunner([Says(ScanStatus.UNSCANNED, "scanner-off")], thread, late), content)
    assert (report.status, report.reason) == (ScanStatus.UNSCANNED, "timeout")


async def test_encryption_and_macros_inside_are_those_of_the_file():
    locked = make.zipped({"a.txt": "x"})
    flagged = bytearray(locked)
    flagged[6] |= 1
    flagged[flagged.index(b"PK\x01\x02") + 8] |= 1
    report = await report_of(
        mail(("message/rfc822", "f.eml", eml_with(bytes(flagged), "l.zip"))), Says(ScanStatus.CLEAN)
    )
    assert report.parts[0].encrypted


# -- several scanners


class Opinion(Says):
    """One that judges no viruses; its verdict is none, whatever it says."""

    name = "opinion"
    judges = False
    closed = False

    async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
        result = await super().scan(content, mail)
        return ScannerResult(result.status, "down", result.findings, (("opinion.score", 7.5),))

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("status", list(ScanStatus))
async def test_one_that_judges_no_viruses_adds_facts_only(status):
    report = await report_of(mail(), Says(ScanStatus.CLEAN), Opinion(status))
    assert (report.status, report.reason, report.findings) == (ScanStatus.CLEAN, "", ())
    assert report.facts == (("opinion.score", 7.5),)
    alone = await report_of(mail(), Opinion(status))
    assert (alone.status, alone.reason) == (ScanStatus.UNSCANNED, "scanner-off")


@pytest.mark.parametrize(
    ("error", "state"),
    [(TimeoutError(), "timeout"), (ConnectionResetError(), "down"), (ValueError("a bug"), "protocol")],
)
async def test_that_it_failed_is_a_fact_and_leaves_nothing_unscanned(error, state):
    report = await report_of(mail(), Says(ScanStatus.CLEAN), Opinion(ScanStatus.CLEAN, raises=error))
    assert (report.status, report.facts) == (ScanStatus.CLEAN, (("opinion.state", state),))


async def test_a_judge_without_a_verdict_has_not_scanned():
    says = Says(ScanStatus.CLEAN)
    says.result = ScannerResult(None)
    report = await report_of(mail(), says)
    assert (report.status, report.reason) == (ScanStatus.UNSCANNED, "protocol")


async def test_one_that_says_where_is_not_asked_again():
    asked = []

    class SaysWhere(Says):
        async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
            asked.append(content)
            return ScannerResult(ScanStatus.INFECTED, "", (Finding("says", "X", "2"),))

    content = mail(("application/pdf", "a.pdf", b"x"))
    report = await report_of(content, SaysWhere(ScanStatus.INFECTED))
    assert asked == [content]
    assert [f.where for f in report.findings] == ["2"]


async def test_scanners_are_told_the_transaction():
    told = []

    class Listens(Says):
        async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
            told.append(mail)
            return ScannerResult(ScanStatus.CLEAN)

    at = datetime(2026, 2, 2, tzinfo=UTC)
    envelope = Envelope("T", "acme", "smtp", at, Client("192.0.2.1", "h"), "c@c.test", ("a@b.test",), False, b"", "")
    content = mail()
    await report_of(content, Listens(ScanStatus.CLEAN), envelope=envelope)
    assert told == [Mail("T", Client("192.0.2.1", "h"), "c@c.test", ("a@b.test",))]


async def test_what_scanners_hold_is_given_back():
    opinion = Opinion(ScanStatus.CLEAN)
    await ScanRunner([Says(ScanStatus.CLEAN), opinion], thread).close()
    assert opinion.closed


async def test_what_clamd_took_apart_otherwise_was_clean_and_the_file_in_it_handed_out():
    content = mail(("application/pdf", "a.pdf", b"%PDF-1.4 EVIL")).replace(b'filename="a.pdf"', b"filename=a.pdf;")
    report = await report_of(content, Says(ScanStatus.INFECTED, infected_when=b"EVIL"))
    assert (report.status, report.findings) == (ScanStatus.INFECTED, (Finding("says", "X", "2"),))


async def test_what_is_written_as_usual_is_scanned_once():
    asked = []

    class Listens(Says):
        async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
            asked.append(content)
            return await super().scan(content, mail)

    content = mail(("application/pdf", "a.pdf", b"%PDF-1.4"))
    await report_of(content, Listens(ScanStatus.CLEAN))
    assert asked == [content]
