"""Ambiguous structure waits for a person, fragments are refused, what lies elsewhere is held."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from gateway.core.ambiguity import AMBIGUOUS, ambiguity_of
from gateway.core.decision import Disposition, PartDisposition
from gateway.core.outcome import Reason
from gateway.core.reports import Path, ScanStatus, Sender

from .shapes import file, judged, leaf

QUARANTINE, REJECT, ACCEPT = Disposition.QUARANTINE, Disposition.REJECT, Disposition.ACCEPT
ODD = ("bad-date", "ambiguous-boundary")


def outcome(text="", **changes):
    decision = judged(text, **changes)
    return decision.disposition, decision.reason


@pytest.mark.parametrize("defect", AMBIGUOUS)
def test_every_ambiguity_quarantines_and_is_named_in_words(defect):
    decision = judged("", defects=("bad-date", defect))
    assert (decision.disposition, decision.reason) == (QUARANTINE, Reason.AMBIGUOUS)
    assert decision.text == f"{AMBIGUOUS[defect]}: {defect}"


def test_other_defects_are_no_ambiguity():
    harmless = ("bad-date", "malformed-content-type", "no-close-delimiter", "ambiguous-author-syntax", "bad-base64")
    assert ambiguity_of(harmless) == ""
    assert outcome(defects=harmless) == (ACCEPT, Reason.ACCEPTED)


def test_an_admin_may_let_it_go():
    assert outcome(defects=ODD, released=True) == (ACCEPT, Reason.ACCEPTED)


def test_postmaster_is_not_exempt():
    assert outcome(defects=ODD, exempt=True) == (QUARANTINE, Reason.AMBIGUOUS)


def test_what_is_stronger_stays():
    assert outcome(defects=ODD, status=ScanStatus.INFECTED)[1] is Reason.VIRUS
    assert outcome("accept: {forged: reject}", defects=ODD, sender=Sender.FORGED) == (REJECT, Reason.FORGED)
    assert outcome("block: [{subject: broken pump}]", defects=ODD) == (REJECT, Reason.BLOCKED)


def test_it_comes_before_files_rules_and_whose_mail_is_taken():
    one = file(1, "x.exe", "exe")
    text = "attachments: {violation: reject}"
    assert outcome(text, defects=ODD, files=(one,), parts=(leaf(1, "x.exe"),))[1] is Reason.AMBIGUOUS
    assert outcome("accept: {senders: contacts}", defects=ODD)[1] is Reason.AMBIGUOUS


def test_news_of_our_own_mail_is_not_kept_back():
    assert outcome(defects=ODD, bounce_of="n1")[1] is Reason.DELIVERY_REPORT
    assert outcome(defects=ODD, is_own_mail=True)[1] is Reason.OWN_MAIL


# -- message/partial, message/external-body


def lying(kind, **more):
    part, report = replace(leaf(1, "x.eml"), declared_type=kind), replace(file(1, "x.eml", "eml"), declared_type=kind)
    return judged(more.pop("text", ""), parts=(part,), files=more.pop("files", (report,)), **more)


def test_a_fragment_of_a_message_is_refused():
    decision = lying("message/partial")
    assert (decision.disposition, decision.reason) == (REJECT, Reason.ATTACHMENT)
    assert decision.text == "the attachment x.eml is a fragment of a message"
    assert decision.parts[0].disposition is PartDisposition.HELD


def test_a_fragment_that_nobody_examined_is_refused_too():
    assert lying("message/partial", files=()).disposition is REJECT


@pytest.mark.parametrize("path", [Path.FORWARDER, Path.PROBABLE])
def test_behind_a_forwarder_a_fragment_waits(path):
    decision = lying("message/partial", path=path)
    assert (decision.disposition, decision.reason) == (QUARANTINE, Reason.ATTACHMENT)


def test_a_document_that_takes_everything_takes_no_fragment():
    assert lying("message/partial", text="attachments: {encrypted: accept}").disposition is REJECT


def test_a_body_that_lies_elsewhere_is_held_and_nobody_goes_there(monkeypatch):
    def connect(*_):
        pytest.fail("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", connect)
    decision = lying("message/external-body")
    assert decision.disposition is ACCEPT
    assert (decision.parts[0].disposition, decision.parts[0].reason) == (
        PartDisposition.HELD,
        "its content lies elsewhere",
    )
