from __future__ import annotations

from gateway.policy.loader import load
from gateway.policy.strictness import settings_of, settings_with, stricter, strictest


def of(text):
    return settings_of(load(text))


def test_of_two_dispositions_the_stricter_holds():
    assert stricter("hold", "strip") == "strip"
    assert stricter("reject", "defer") == "reject"
    assert stricter("accept", "accept") == "accept"


def test_of_equal_settings_nothing_is_joined():
    one = of("")
    assert strictest([one, of("")]) is one


def test_the_strictest_of_each_setting_by_itself():
    one = of(
        "{accept: {unverified: reject, tell_refused: false}, attachments: {max_files: 3, deny: [exe], violation: hold}}"
    )
    other = of(
        "{accept: {senders: contacts, refuse_forwarded: true, acknowledge: false},"
        " attachments: {max_bytes: 1MB, deny: [js], allow: {image: [png]}}, virus: {defer_at_most: 1h, scanner_down: hold}}"
    )
    for settings in (strictest([one, other]), strictest([other, one])):
        accept, attachments, virus = settings.accept, settings.attachments, settings.virus
        assert (accept.unverified, accept.senders) == ("reject", "contacts")
        assert (accept.refuse_forwarded, accept.acknowledge, accept.tell_refused) == (True, False, False)
        assert (attachments.max_files, attachments.max_bytes, attachments.violation) == (3, 1024**2, "strip")
        assert set(attachments.deny) == {"exe", "js"}
        assert attachments.allow.image == ("png",)
        assert attachments.allow.video == ("mp4", "mov", "avi", "wmv", "webm")
        assert (virus.defer_at_most, virus.scanner_down, virus.infected) == (3600, "defer", "reject")


def test_restrictions_on_messages_add_up():
    both = strictest([of("accept: {messages: new}"), of("accept: {messages: answers}"), of("")])
    assert both.messages == {"new", "answers", "all"}


def test_a_mailbox_changes_only_what_is_written_for_it():
    document = load(
        "{attachments: {max_files: 2, allow: {image: [png], audio: [wav]}},"
        " mailboxes: {a@b.example: {attachments: {violation: hold, allow: {audio: [mp3]}}}}}"
    )
    settings = settings_with(document, document.mailboxes["a@b.example"])
    assert (settings.attachments.max_files, settings.attachments.violation) == (2, "hold")
    assert (settings.attachments.allow.image, settings.attachments.allow.audio) == (("png",), ("mp3",))
