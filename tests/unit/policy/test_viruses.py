from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.decision import Disposition, PartDisposition
from gateway.core.outcome import Reason
from gateway.core.reports import Finding, Path, ScanStatus

from .shapes import NOW, file, judged, leaf

EICAR = (Finding("clamav", "Eicar-Test-Signature"),)
FILES = {
    "parts": (leaf(1, is_text=True), leaf(2), leaf(3)),
    "files": (file(1, ""), file(2, "a.pdf", "pdf"), file(3, "b.pdf", "pdf")),
}
KEPT, STRIPPED, HELD = PartDisposition.KEPT, PartDisposition.STRIPPED, PartDisposition.HELD


def dispositions(decision):
    return [p.disposition for p in decision.parts]


def test_a_virus_is_refused_by_name():
    decision = judged("", status=ScanStatus.INFECTED, findings=EICAR, **FILES)
    assert (decision.disposition, decision.reason) == (Disposition.REJECT, Reason.VIRUS)
    assert decision.text == "a virus was found: Eicar-Test-Signature"
    assert dispositions(decision) == [KEPT, HELD, HELD]


def test_a_virus_without_a_name():
    assert judged("", status=ScanStatus.INFECTED).text == "a virus was found: no name given"


@pytest.mark.parametrize("path", [Path.FORWARDER, Path.PROBABLE])
def test_behind_a_forwarder_a_virus_quarantines_with_the_same_reason(path):
    decision = judged("", status=ScanStatus.INFECTED, path=path)
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.VIRUS)
    refused = judged("accept: {refuse_forwarded: true}", status=ScanStatus.INFECTED, path=path)
    assert refused.disposition is Disposition.REJECT


@pytest.mark.parametrize("reason", ["over-limit", "encrypted"])
def test_what_cannot_be_scanned_and_has_no_file_to_hold_waits_as_a_whole(reason):
    decision = judged("", status=ScanStatus.UNSCANNABLE, reason=reason)
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.UNSCANNABLE)


def test_infected_quarantine():
    decision = judged("virus: {infected: quarantine}", status=ScanStatus.INFECTED)
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.VIRUS)


HERE = (Finding("clamav", "Eicar-Test-Signature", "3"),)


def test_infected_strip_takes_every_file_when_a_scanner_names_the_message_too():
    decision = judged("virus: {infected: strip}", status=ScanStatus.INFECTED, findings=EICAR + HERE, **FILES)
    assert decision.disposition is Disposition.ACCEPT
    assert dispositions(decision) == [KEPT, STRIPPED, STRIPPED]
    assert decision.parts[1].reason == "a virus was found: Eicar-Test-Signature"


@pytest.mark.parametrize(
    "findings",
    {
        "nobody knows where": EICAR,
        "in the text": (*EICAR, Finding("clamav", "Eicar-Test-Signature", "1")),
        "in the text and a file": (*EICAR, *HERE, Finding("clamav", "Eicar-Test-Signature", "1")),
        "one scanner knows where, another does not": (*HERE, Finding("yara", "Phish")),
        "what could not be looked into is no place of it": (*EICAR, Finding("inside", "broken", "3")),
    }.values(),
)
def test_the_text_of_infected_mail_went_on_where_files_were_stripped(findings):
    decision = judged("virus: {infected: strip}", status=ScanStatus.INFECTED, findings=findings, **FILES)
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.VIRUS)


def test_infected_strip_takes_the_file_that_is_named():
    third = (Finding("clamav", "Eicar", "3"),)
    decision = judged("virus: {infected: strip}", status=ScanStatus.INFECTED, findings=third, **FILES)
    assert dispositions(decision) == [KEPT, KEPT, STRIPPED]


@pytest.mark.parametrize(
    ("wanted", "disposition", "files"),
    [
        ("hold", Disposition.ACCEPT, [KEPT, HELD, HELD]),
        ("accept", Disposition.ACCEPT, [KEPT, KEPT, KEPT]),
        ("quarantine", Disposition.QUARANTINE, [KEPT, HELD, HELD]),
        ("reject", Disposition.REJECT, [KEPT, HELD, HELD]),
    ],
)
def test_what_cannot_be_scanned(wanted, disposition, files):
    decision = judged(
        f"virus: {{unscannable: {wanted}}}", status=ScanStatus.UNSCANNABLE, scan_reason="over-limit", **FILES
    )
    assert (decision.disposition, dispositions(decision)) == (disposition, files)
    if disposition is not Disposition.ACCEPT:
        assert (decision.reason, decision.text) == (Reason.UNSCANNABLE, "the message cannot be scanned (over-limit)")


@pytest.mark.parametrize(
    ("wanted", "disposition", "files"),
    [
        ("hold", Disposition.ACCEPT, [KEPT, HELD, HELD]),
        ("accept", Disposition.ACCEPT, [KEPT, KEPT, KEPT]),
        ("quarantine", Disposition.QUARANTINE, [KEPT, HELD, HELD]),
        ("defer", Disposition.DEFER, [KEPT, KEPT, KEPT]),
    ],
)
def test_a_scanner_that_is_down(wanted, disposition, files):
    decision = judged(f"virus: {{scanner_down: {wanted}}}", status=ScanStatus.UNSCANNED, scan_reason="down", **FILES)
    assert (decision.disposition, dispositions(decision)) == (disposition, files)
    if disposition is not Disposition.ACCEPT:
        assert decision.reason is Reason.SCANNER_DOWN


@pytest.mark.parametrize("path", list(Path))
def test_deferring_is_for_forwarders_too(path):
    assert judged("", status=ScanStatus.UNSCANNED, scan_reason="down", path=path).disposition is Disposition.DEFER


def test_deferring_ends_after_defer_at_most_and_the_files_wait():
    down = {"status": ScanStatus.UNSCANNED, "scan_reason": "timeout", **FILES}
    just_before = NOW - timedelta(hours=4) + timedelta(seconds=1)
    assert judged("", first_tried_at=just_before, **down).disposition is Disposition.DEFER
    late = judged("", first_tried_at=NOW - timedelta(hours=4), **down)
    assert (late.disposition, dispositions(late)) == (Disposition.ACCEPT, [KEPT, HELD, HELD])
    assert late.parts[1].reason == "not scanned yet (timeout)"
    assert judged("virus: {defer_at_most: 0s}", **down).disposition is Disposition.ACCEPT


def test_with_the_scanner_off_the_table_is_not_asked():
    decision = judged(
        "virus: {scanner_down: quarantine}", status=ScanStatus.UNSCANNED, scan_reason="scanner-off", **FILES
    )
    assert (decision.disposition, dispositions(decision)) == (Disposition.ACCEPT, [KEPT, KEPT, KEPT])


def test_a_virus_to_postmaster_is_refused_too():
    assert judged("", status=ScanStatus.INFECTED, exempt=True).reason is Reason.VIRUS
