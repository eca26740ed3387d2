from __future__ import annotations

import pytest

from gateway.core.message import Address
from gateway.core.reports import InnerFile, Path, Sender
from gateway.policy.document import all_actions, all_conditions

from .shapes import BILLING, CONTACT, SUPPORT, candidate, file, judged, leaf


def trace(condition, **changes):
    """(holds, saw) of one condition, in a rule that always matches and sees all mail."""
    text = f"rules: [{{if: {{any: [{{{condition}}}, {{kind: [new, answer, automatic, bounce, list]}}]}}, then: [{{tag: x}}]}}]"
    found = judged(text, **changes).hits[0].conditions[0]
    return found.holds, found.saw


def holds(condition, **changes):
    return trace(condition, **changes)[0]


def test_the_conditions_and_actions_of_this_version():
    texts = {"sender", "recipient", "mailbox", "subject", "body", "header"}
    assert set(all_conditions()) == texts | {
        "kind",
        "verified",
        "attachment",
        "path",
        "contact",
        "addressed",
        "bytes_over",
        "spam",
        "ticket",
        "language",
        "time",
    }
    dispositions = {"ignore", "reject", "quarantine"}
    assert set(all_actions()) == dispositions | {
        "route",
        "assign",
        "set",
        "tag",
        "notify",
        "notify_only",
        "acknowledge",
        "new_ticket",
        "mailbox",
        "note",
        "forward",
        "push",
    }


def test_sender_is_the_author_compared_as_an_address():
    assert trace("sender: carol@CUSTOMER.example") == (True, "Carol@customer.example")
    assert trace("sender: [x@y.example, {wildcard: 'carol@*'}]")[0]
    assert not holds("sender: dave@customer.example")


def test_without_exactly_one_author_no_sender_matches():
    assert trace("sender: {wildcard: '*'}", author=None) == (False, "(none)")


def test_mailbox_is_any_of_the_transaction():
    assert trace("mailbox: billing@acme.example", mailboxes=(SUPPORT, BILLING)) == (True, "billing@acme.example")
    assert trace("mailbox: billing@acme.example") == (False, "support@acme.example")


def test_recipient_is_by_envelope_or_header():
    assert holds("recipient: support@acme.gw.example")
    assert holds("recipient: Support@acme.example")
    assert holds("recipient: {contains: sales@}", cc=(Address("sales@acme.example"),))
    assert trace("recipient: x@y.example") == (False, "support@acme.gw.example, support@acme.example")


def test_subject_and_body():
    assert holds("subject: broken PUMP")
    assert not holds("subject: pump")
    assert holds("subject: {regex: '^Broken'}")
    assert not holds("subject: {regex: '^broken'}")
    assert holds("body: {wildcard: 'it*help.'}")
    assert holds("body: {exact: Bye.}", text="Bye.\n")
    assert trace("body: {regex: 'le.ks'}", text="a " * 300 + "it leaks")[1].endswith("it leaks")


def test_a_list_means_any_of():
    assert holds("subject: [a, {contains: [b, pump]}, {regex: [x, y]}]")
    assert holds("subject: {contains: [zzz, pump]}")


def test_header():
    assert trace("header: {x-mailer: pine}") == (True, "x-mailer: Pine")
    assert holds("header: {X-Mailer: pine, list-id: {contains: news}}")
    assert not holds("header: {X-Mailer: pine, list-id: {contains: other}}")
    assert trace("header: {X-None: {wildcard: '*'}}") == (False, "X-None: (none)")


def test_kind():
    assert trace("kind: answer", candidates=(candidate(),)) == (True, "answer")
    assert not holds("kind: [answer, bounce]")


def test_verified():
    assert trace("verified: true") == (True, "verified")
    assert trace("verified: false", sender=Sender.UNVERIFIED) == (True, "unverified")
    assert not holds("verified: true", sender=Sender.INDETERMINATE)


def test_path():
    assert trace("path: [forwarder, probable]", path=Path.PROBABLE) == (True, "probable")
    assert not holds("path: unknown")


def test_bytes_over():
    assert trace("bytes_over: 1999") == (True, "2000 bytes")
    assert not holds("bytes_over: 2KB")


@pytest.mark.parametrize(
    ("to", "cc", "word"),
    [("support", "x", "to"), ("SUPPORT", "support", "to"), ("x", "support", "cc"), ("x", "y", "bcc")],
)
def test_addressed(to, cc, word):
    changes = {"to": (Address(f"{to}@acme.example"),), "cc": (Address(f"{cc}@acme.example"),)}
    assert trace(f"addressed: {word}", **changes) == (True, word)


@pytest.mark.parametrize(
    "address", ["support@acme.gw.example", "SUPPORT@Acme.GW.example", "help@helpdesk.acme.example"]
)
def test_addressed_to_any_address_the_mailbox_has(address):
    """The inbound address, and whatever forward-path it came by."""
    changes = {"recipients": ("help@helpdesk.acme.example",), "cc": ()}
    assert trace("addressed: to", to=(Address(address),), **changes) == (True, "to")
    assert trace("addressed: cc", to=(), **(changes | {"cc": (Address(address),)})) == (True, "cc")


def test_the_inbound_address_of_a_mailbox_this_mail_is_not_for_is_somebody_else():
    assert trace("addressed: bcc", to=(Address("billing@acme.gw.example"),), cc=()) == (True, "bcc")


def test_contact():
    assert trace("contact: known", contact=CONTACT) == (True, "known")
    assert trace("contact: unknown") == (True, "unknown")
    assert not holds("contact: known")
    assert trace("contact: {tag: VIP}", contact=CONTACT) == (True, "tag: vip")
    assert trace("contact: {tag: us}", contact=CONTACT) == (False, "tag: vip, eu")
    assert holds("contact: {tag: eu, company: {contains: customer}}", contact=CONTACT)
    assert not holds("contact: {tag: eu, company: other}", contact=CONTACT)
    assert trace("contact: {company: x}") == (False, "company: (none)")
    assert trace("contact: {tag: x}") == (False, "tag: (none)")


FILES = {
    "parts": (leaf(1, is_text=True), leaf(2, "a.pdf", "invoice.pdf"), leaf(3, inline=True)),
    "files": (
        file(1, "body.txt", "txt"),
        file(2, "a.pdf", "pdf", size=5000),
        file(3, "logo.jpg", "jpeg", detected="jpeg", media="image", inline=True),
        file(4, "photo.jpg", "jpeg", detected="jpeg", media="image", size=100),
    ),
}


def test_attachment_asks_all_of_the_same_file():
    assert holds("attachment: {name: {wildcard: '*.PDF'}}", **FILES)
    assert holds("attachment: {name: {contains: invoice}}", **FILES)
    assert holds("attachment: {type: [doc, .JPG]}", **FILES)
    assert holds("attachment: {bytes_over: 4KB}", **FILES)
    assert holds("attachment: {name: a.pdf, type: pdf, bytes_over: 4999}", **FILES)
    assert not holds("attachment: {name: a.pdf, type: jpg}", **FILES)
    assert not holds("attachment: {type: jpg, bytes_over: 4KB}", **FILES)


def test_attachment_sees_neither_the_text_nor_images_in_it():
    assert trace("attachment: {type: txt}", **FILES) == (False, "a.pdf (pdf, 5000 bytes), photo.jpg (jpeg, 100 bytes)")
    assert not holds("attachment: {name: logo.jpg}", **FILES)
    assert trace("attachment: {bytes_over: 0}") == (False, "(none)")


def test_attachment_shows_the_file_that_matched_first():
    text = "attachment: {name: photo.jpg, type: jpeg, bytes_over: 1}"
    assert trace(text, **FILES)[1].startswith("photo.jpg")
    assert trace("attachment: {type: x}", files=(file(1, ""),))[1] == "(no name) (application/octet-stream, 1000 bytes)"


def test_what_an_attachment_condition_expects_is_told():
    text = "rules: [{if: {attachment: {name: a.pdf, type: [pdf, doc], bytes_over: 1KB}}, then: [{tag: x}]}]"
    assert (
        judged(text, **FILES).hits[0].conditions[0].expected == 'name: exact "a.pdf", type: pdf or doc, over 1024 bytes'
    )


def inner(path: str, container: str, *types: str, media: str = "other") -> InnerFile:
    return InnerFile(path, container, types[0], media, types)


def test_a_type_is_also_that_of_what_lies_in_a_file():
    packed = file(2, "all.zip", "zip", inside=(inner("all.zip/a/b.tar/setup.exe", "tar", "exe"),))
    assert trace("attachment: {type: exe}", files=(packed,)) == (
        True,
        "all.zip (zip, 1000 bytes, in it all.zip/a/b.tar/setup.exe)",
    )
    assert not holds("attachment: {type: pdf}", files=(packed,))
    assert holds("attachment: {name: all.zip, type: exe}", files=(packed,))
    assert not holds("attachment: {name: other.zip, type: exe}", files=(packed,))


def test_what_a_document_is_made_of_is_not_attached_but_what_is_put_into_it_is():
    parts = (
        inner("a.docx/word/media/image1.png", "docx", "png", media="image"),
        inner("a.docx/word/document.xml", "docx", "xml"),
        inner("a.docx/word/embeddings/setup.exe", "docx", "exe"),
    )
    document = file(2, "a.docx", "docx", inside=parts)
    assert not holds("attachment: {type: png}", files=(document,))
    assert not holds("attachment: {type: xml}", files=(document,))
    assert holds("attachment: {type: exe}", files=(document,))
    zipped = file(2, "a.zip", "zip", inside=(inner("a.zip/x.png", "zip", "png", media="image"),))
    assert holds("attachment: {type: png}", files=(zipped,))
