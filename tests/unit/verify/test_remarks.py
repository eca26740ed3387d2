"""What people are told of a challenge that came back."""

from __future__ import annotations

import pytest
from learning_shapes import RELAYED, TEXT, returned, sent_content
from test_learning import GOOGLE, MICROSOFT, OWN

SENT = RELAYED + sent_content()


def changed(old: bytes, new: bytes) -> bytes:
    assert old in SENT
    return SENT.replace(old, new)


def written(*head: str, body: str = "See below.\r\n") -> bytes:
    """A message of somebody else's that only quotes the challenge."""
    return RELAYED + "\r\n".join([*head, "Message-ID: <new@acme.test>", "", body]).encode()


FOOTER = changed(TEXT.encode(), TEXT.encode() + b"\r\nThis mail is confidential.\r\n")
WITHOUT_FILE = SENT.partition(b"\r\n\r\n")[0].replace(b"multipart/mixed", b"text/plain") + b"\r\n\r\n" + TEXT.encode()
ROUND = (
    b"Received: from relay.gw.test (relay.gw.test [127.0.7.7]) by mail.acme.test (Postfix); x\r\n"
    b"Received: from mail.acme.test (mail.acme.test [127.0.5.1]) by relay.gw.test (Postfix); x\r\n"
)
AUTHOR = b"From: Check <challenge@gw.test>"

CASES = {
    "all is well": (SENT, {}, ["all-good"]),
    "Exchange forward": (
        written("From: Support <support@acme.test>", "Subject: FW: Forwarding check K7Q2", "Thread-Topic: Forwarding check"),
        {}, ["exchange-forward"]),
    "forwarded by a mail program": (
        written("From: Support <support@acme.test>", "Subject: Fwd: Forwarding check K7Q2"), {}, ["forwarded-as-new"]),
    "From replaced": (changed(AUTHOR, b"From: Check via Acme <support@acme.test>"), {}, ["author-rewritten"]),
    "From gone": (changed(AUTHOR, b"From: a@acme.test, b@acme.test"), {}, ["author-rewritten"]),
    "tagged": (changed(b"Subject: ", b"Subject: [EXTERN] "), {}, ["subject-changed"]),
    "a footer": (FOOTER, {}, ["footer-added"]),
    "the text changed": (changed(b"checks how", b"tells how"), {}, ["body-changed"]),
    "a footer, the text not known": (FOOTER, {"sent_text": ""}, ["body-changed"]),
    "the file removed": (WITHOUT_FILE, {}, ["attachment-removed"]),
    "broken DKIM, nothing else": (
        changed(b"From: Check <challenge@gw.test>", b"From: CHECK <challenge@gw.test>"), {}, ["dkim-broken"]),
    "marked by SpamAssassin": (b"X-Spam-Flag: YES\r\n" + SENT, {}, ["junk"]),
    "not marked by SpamAssassin": (b"X-Spam-Flag: NO\r\nX-Spam-Status: No, score=4\r\n" + SENT, {}, ["all-good"]),
    "marked by Exchange": (b"X-MS-Exchange-Organization-SCL: 6\r\n" + SENT, {}, ["junk"]),
    "not marked by Exchange": (b"X-MS-Exchange-Organization-SCL: -1\r\n" + SENT, {}, ["all-good"]),
    "marked by Microsoft 365": (b"X-Forefront-Antispam-Report: CIP:1.2.3.4;CTRY:;SCL:5;SRV:;\r\n" + SENT, {}, ["junk"]),
    "marked in the subject": (changed(b"Subject: ", b"Subject: ***SPAM*** "), {}, ["subject-changed", "junk"]),
    "twice": (SENT, {"seen_before": 1}, ["twice"]),
    "round again": (ROUND + ROUND + SENT, {}, ["loop"]),
    "through the relay again": (ROUND + SENT, {"hostname": "mx.gw.test"}, ["all-good"]),
    "through us again": (ROUND + SENT, {"hostname": "relay.gw.test"}, ["loop"]),
    "no client": (SENT, {"client": None}, ["no-client"]),
    "no border": (sent_content(), {}, ["all-good", "no-border"]),
    "a provider's own SRS domain": (SENT, {"client": GOOGLE, "reverse_path": "SRS0=h=t=a.test=x@srs.test"}, ["shared-sender"]),
    "a provider that rewrites nothing": (SENT, {"client": MICROSOFT}, ["shared-sender"]),
    "the relay is the forwarder": (OWN + sent_content(), {"relay_addresses": ["127.0.5.1"]}, ["all-good"]),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
async def test_people_are_told(what):
    content, how, codes = CASES[what]
    found = (await returned(content, **how)).remarks
    assert [r.code for r in found] == codes
    assert all(bool(r.cure) is not r.is_good for r in found)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (b"X-Google-Group-Id: 1\r\nList-Id: <s.acme.test>\r\n", "Google Group"),
        (b"X-Original-Sender: challenge@gw.test\r\nList-ID: <s.acme.test>\r\n", "Google Group"),
        (b"X-Mailman-Version: 3\r\nList-Id: <s.acme.test>\r\n", "Mailman"),
        (b"X-Original-From: challenge@gw.test\r\n", "as told by X-Original-From"),
        (b"", "alias"),
    ],
)
async def test_a_rewritten_author_comes_with_the_setting_that_avoids_it(fields, word):
    (found,) = (await returned(fields + changed(AUTHOR, b"From: Acme <support@acme.test>"))).remarks
    assert found.code == "author-rewritten"
    assert word in found.cure


async def test_exchange_forward_is_told_with_redirect():
    (found,) = (await returned(CASES["Exchange forward"][0])).remarks
    assert "redirect" in found.cure
