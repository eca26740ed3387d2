"""Each starter policy, in an account with the names it uses, does with sample mail what its comments say."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.decision import (
    Acknowledge,
    Assign,
    Decision,
    Disposition,
    NewTicket,
    Note,
    Notify,
    PartDisposition,
    Route,
    Set,
    Tag,
    TicketChoice,
)
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.place import Evidence, Mailbox
from gateway.core.reports import Sender
from gateway.policy.engine import compile_policy, decide
from gateway.policy.loader import load
from gateway.policy.problems import PolicyError
from gateway.policy.values import Known

from .shapes import CONTACT, NOW, candidate, facts, file, leaf

TEMPLATES = Path(__file__).resolve().parents[3] / "templates" / "policies"
STARTERS = sorted(p.stem for p in TEMPLATES.glob("*.yaml"))

TEAMS = {
    "answers-only": "",
    "billing-to-one-person": "finance support",
    "contact-centre": "service complaints",
    "default": "",
    "known-contacts": "support",
    "language-teams": "support-de support-fr support",
    "pre-sales-after-sales": "pre-sales after-sales",
    "product-lines": "pumps valves support",
    "team-hub": "advisors accounting",
    "two-mailboxes": "support finance",
    "vip": "support key-accounts",
}
"""The teams each speaks of; a starter that is not here has no test."""
MAILBOXES = "billing emergency hello pompes pumps sales service support valves"
KNOWN_TEAMS = {name: frozenset(teams.split()) for name, teams in TEAMS.items()}
ADDRESSES = frozenset(f"{m}@acme.example" for m in MAILBOXES.split())
VIP = replace(CONTACT, tags=("vip",))
STRANGER = Address("mallory@bigcorp.example")


def text_of(name: str) -> str:
    return (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")


def known(name: str) -> Known:
    return Known(KNOWN_TEAMS[name], ADDRESSES, frozenset({"carol@acme.example"}))


def decided(name: str, mailbox: str = "support", **changes: Any) -> Decision:
    """What the starter makes of new mail to a mailbox."""
    address = f"{mailbox}@acme.example"
    place = Mailbox(f"m-{mailbox}", address, mailbox, mailbox, None, None, mailbox == "support")
    language = changes.pop("detected_language", "")
    made = replace(facts(mailboxes=(place,), **changes), detected_language=language)
    return decide(made, compile_policy(load(text_of(name), known(name)), 1))


def of_kind(decision: Decision, *kinds: type) -> list[Any]:
    return [e for e in decision.effects if isinstance(e, kinds)]


def target(decision: Decision) -> Any:
    """To whom the ticket goes: exactly one decides."""
    (found,) = of_kind(decision, Route, Assign)
    return found


def tags(decision: Decision) -> set[str]:
    return {t.tag for t in of_kind(decision, Tag)}


# --- all of them ---


def test_every_starter_is_tested_here() -> None:
    assert list(TEAMS) == STARTERS


@pytest.mark.parametrize("name", STARTERS)
def test_it_loads_with_the_names_it_uses_and_uses_all_of_them(name: str) -> None:
    load(text_of(name), known(name))
    for team in KNOWN_TEAMS[name]:
        fewer = Known(KNOWN_TEAMS[name] - {team}, ADDRESSES, frozenset({"carol@acme.example"}))
        with pytest.raises(PolicyError, match="there is no team"):
            load(text_of(name), fewer)


@pytest.mark.parametrize("name", STARTERS)
def test_it_begins_with_its_schema_and_one_sentence(name: str) -> None:
    first, about, *_ = text_of(name).splitlines()
    assert first == "# yaml-language-server: $schema=policy.schema.json"
    assert re.fullmatch(r"# [A-Z].{20,120}[.:]", about)


@pytest.mark.parametrize("name", STARTERS)
def test_each_rule_has_a_name_and_a_comment_above_it(name: str) -> None:
    lines = text_of(name).splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("  - ")]
    assert len(rules) == len(load(text_of(name)).rules)
    for n in rules:
        assert lines[n].startswith("  - name: ")
        assert lines[n - 1].startswith("  # ")


@pytest.mark.parametrize("name", sorted(set(STARTERS) - {"answers-only"}))
def test_the_confirmation_of_a_new_ticket_goes_out(name: str) -> None:
    decision = decided(name, contact=CONTACT)
    assert (decision.disposition, decision.ticket) == (Disposition.ACCEPT, TicketChoice.NEW)
    assert of_kind(decision, Acknowledge)


# --- pre-sales and after-sales ---


def test_offers_go_to_each_seller_in_turn() -> None:
    assert target(decided("pre-sales-after-sales", "sales")) == Assign(teams=("pre-sales",), strategy="round-robin")


def test_help_goes_to_who_helped_last() -> None:
    wanted = Assign(teams=("after-sales",), last_agent_first=True)
    assert target(decided("pre-sales-after-sales", "support")) == wanted


def test_a_known_customer_with_a_problem_is_no_sales_lead() -> None:
    mail = {"subject": "Warranty of my pump"}
    decision = decided("pre-sales-after-sales", "sales", contact=CONTACT, **mail)
    assert (target(decision), tags(decision)) == (Route("after-sales"), {"via-sales"})
    assert target(decided("pre-sales-after-sales", "sales", **mail)).teams == ("pre-sales",)


def test_sales_ignores_machines_and_support_does_not() -> None:
    machine = {"automatic": "auto-submitted"}
    assert decided("pre-sales-after-sales", "sales", **machine).disposition is Disposition.IGNORE
    assert decided("pre-sales-after-sales", "support", **machine).disposition is Disposition.ACCEPT


# --- product lines ---


@pytest.mark.parametrize(
    ("mailbox", "subject", "text", "team"),
    [
        ("pumps", "Hello", "", "pumps"),
        ("pompes", "Bonjour", "", "pumps"),
        ("valves", "My pump leaks", "", "valves"),  # the mailbox is surer than words
        ("support", "Broken valve, serial p-12345", "", "pumps"),  # so is a serial number
        ("support", "V-99999 sticks", "the pump is fine", "valves"),
        ("support", "xV-999990", "", "support"),
        ("support", "The IMPELLER", "", "pumps"),
        ("support", "Help", "the actuator", "valves"),
        ("support", "Help", "It leaks.", "support"),
    ],
)
def test_a_product_line_is_told_by_mailbox_then_number_then_words(
    mailbox: str, subject: str, text: str, team: str
) -> None:
    decision = decided("product-lines", mailbox, subject=subject, text=text, text_new=text)
    assert target(decision) == Route(team)
    assert [s.value for s in of_kind(decision, Set)] == ([team] if team != "support" else [])


# --- vip ---


@pytest.mark.parametrize("changes", [{"contact": VIP}, {"author": Address("boss@bigcorp.example")}])
def test_a_vip_is_seen_first_by_who_knows_him(changes: dict[str, Any]) -> None:
    decision = decided("vip", **changes)
    assert target(decision) == Assign(teams=("key-accounts",), last_agent_first=True)
    assert of_kind(decision, Set) == [Set("priority", "high")]
    assert tags(decision) == {"vip"}
    assert not of_kind(decision, Notify)


def test_the_manager_hears_of_an_urgent_vip() -> None:
    decision = decided("vip", contact=VIP, subject="Line is DOWN")
    assert of_kind(decision, Notify) == [Notify(("manager@acme.example",))]
    assert tags(decision) == {"vip", "urgent"}


@pytest.mark.parametrize("sender", [Sender.UNVERIFIED, Sender.INDETERMINATE])
def test_who_only_claims_to_be_a_vip_jumps_no_queue(sender: Sender) -> None:
    decision = decided("vip", author=STRANGER, sender=sender, subject="urgent")
    assert (target(decision), tags(decision)) == (Route("support"), {"check-sender"})
    assert not of_kind(decision, Set, Notify)


def test_everybody_else_is_served_as_usual() -> None:
    decision = decided("vip", subject="urgent")
    assert (target(decision).teams, tags(decision)) == (("support",), set())


# --- known contacts only ---


def test_a_stranger_opens_no_ticket_and_a_contact_does() -> None:
    stranger = decided("known-contacts")
    assert (stranger.disposition, stranger.reason) == (Disposition.IGNORE, Reason.SENDERS_CONTACTS_ONLY)
    assert target(decided("known-contacts", contact=CONTACT)).teams == ("support",)


def test_one_door_stays_open() -> None:
    assert decided("known-contacts", "hello").ticket is TicketChoice.NEW


def test_a_participant_answers_though_nobody_knows_him() -> None:
    assert decided("known-contacts", candidates=(candidate(),)).ticket is TicketChoice.JOIN


# --- billing to one person ---


def test_only_the_finance_manager_is_told_of_billing() -> None:
    decision = decided("billing-to-one-person", "billing")
    assert target(decision) == Route("finance")
    assert of_kind(decision, Notify) == [Notify(("finance.manager@acme.example",), only=True)]
    assert tags(decision) == {"billing"}


def test_a_bill_is_tagged_and_a_zip_of_it_waits() -> None:
    files = (file(1, "bill.pdf", "pdf"), file(2, "bill.zip", "zip"))
    decision = decided("billing-to-one-person", "billing", files=files, parts=(leaf(1), leaf(2)))
    assert tags(decision) == {"billing", "invoice"}
    assert [p.disposition for p in decision.parts] == [PartDisposition.KEPT, PartDisposition.HELD]


def test_other_mail_tells_whom_it_always_told() -> None:
    decision = decided("billing-to-one-person", "support", files=(file(1, "a.pdf", "pdf"),), parts=(leaf(1),))
    assert target(decision) == Assign(teams=("support",))
    assert not of_kind(decision, Notify, Tag)


# --- answers only ---


def test_new_mail_opens_no_ticket_and_an_answer_joins_its_own() -> None:
    new = decided("answers-only")
    assert (new.disposition, new.reason) == (Disposition.IGNORE, Reason.ANSWERS_ONLY)
    joined = decided("answers-only", candidates=(candidate(),), files=(file(1, "a.pdf", "pdf"),), parts=(leaf(1),))
    assert (joined.ticket, tags(joined)) == (TicketChoice.JOIN, {"file-received"})
    assert not tags(decided("answers-only", candidates=(candidate(),)))


def test_the_emergency_mailbox_takes_new_mail_and_confirms_it() -> None:
    decision = decided("answers-only", "emergency")
    assert decision.ticket is TicketChoice.NEW
    assert of_kind(decision, Acknowledge)


# --- contact centre ---

TAKEN = {
    "image": "jpeg png gif tiff raw webp",
    "video": "mp4 mov avi wmv webm",
    "audio": "mp3 wav",
    "other": "pdf docx xlsx odt txt csv 7z epub",
}
NOT_TAKEN = {
    "image": "heic heif bmp svg ico psd",
    "video": "mkv mpeg flv",
    "audio": "m4a ogg flac aac",
    "other": "exe dll bat zip rar scr bin jar apk",
}


def one_file(name: str, media: str, **more: Any) -> PartDisposition:
    report = file(1, f"x.{name}", name, detected=name, media=media, **more)
    return decided("contact-centre", "service", files=(report,), parts=(leaf(1, f"x.{name}"),)).parts[0].disposition


@pytest.mark.parametrize(("media", "types"), TAKEN.items())
def test_files_of_the_lists_are_taken(media: str, types: str) -> None:
    assert {name: one_file(name, media) for name in types.split()} == dict.fromkeys(types.split(), PartDisposition.KEPT)


@pytest.mark.parametrize(("media", "types"), NOT_TAKEN.items())
def test_all_others_are_removed(media: str, types: str) -> None:
    wanted = dict.fromkeys(types.split(), PartDisposition.STRIPPED)
    assert {name: one_file(name, media) for name in types.split()} == wanted


def test_the_lists_are_those_of_the_product_to_the_letter() -> None:
    written = load(text_of("contact-centre")).attachments
    assert (written.allow.image, written.allow.video, written.allow.audio) == (
        ("jpeg", "png", "gif", "tiff", "raw", "webp"),  # C19
        ("mp4", "mov", "avi", "wmv", "webm"),  # C20
        ("mp3", "wav"),  # C21
    )
    assert written.deny == ("exe", "dll", "bat", "zip", "rar", "scr", "bin")  # C22
    megabytes = 25 * 1024 * 1024
    limits = (written.max_files, written.max_bytes, written.max_inline_files, written.max_inline_bytes)
    assert limits == (10, megabytes, 10, megabytes)  # C23


def test_the_eleventh_file_is_removed() -> None:
    files = tuple(file(n, f"{n}.pdf", "pdf") for n in range(1, 12))
    decision = decided("contact-centre", "service", files=files, parts=tuple(leaf(n) for n in range(1, 12)))
    assert [p.disposition for p in decision.parts[-2:]] == [PartDisposition.KEPT, PartDisposition.STRIPPED]


def test_what_nobody_can_look_into_waits() -> None:
    assert one_file("7z", "other", encrypted=True) is PartDisposition.HELD


def test_complaints_go_first_and_in_turn() -> None:
    decision = decided("contact-centre", "service", subject="COMPLAINT about my order")
    assert target(decision) == Assign(teams=("complaints",), strategy="round-robin")
    assert (of_kind(decision, Set), tags(decision)) == ([Set("priority", "high")], {"complaint"})
    usual = target(decided("contact-centre", "service"))
    assert usual == Assign(teams=("service",), strategy="least-today", last_agent_first=True)


# --- team hub ---


def test_a_customer_with_an_open_ticket_goes_on_there() -> None:
    opened = replace(candidate(Evidence.OPEN_TICKET), last_activity=NOW - timedelta(days=2))
    assert decided("team-hub", candidates=(opened,)).ticket is TicketChoice.JOIN
    stale = replace(opened, last_activity=NOW - timedelta(days=31))
    assert decided("team-hub", candidates=(stale,)).ticket is TicketChoice.NEW


def test_an_order_is_a_ticket_of_its_own() -> None:
    opened = replace(candidate(Evidence.OPEN_TICKET), last_activity=NOW - timedelta(days=2))
    decision = decided("team-hub", candidates=(opened,), subject="New order")
    assert decision.ticket is TicketChoice.NEW
    assert of_kind(decision, NewTicket)
    assert (target(decision), tags(decision)) == (Route("advisors"), {"order"})


def test_the_hub_sends_mail_where_it_belongs() -> None:
    assert target(decided("team-hub")) == Route("advisors")
    assert target(decided("team-hub", author=Address("x@fleet.example"))) == Assign(agent="carol@acme.example")
    invoice = decided("team-hub", subject="Your invoice 7")
    assert target(invoice) == Route("accounting")
    assert len(of_kind(invoice, Note)) == 1
    assert decided("team-hub", automatic="list", is_list=True).disposition is Disposition.IGNORE


# --- language teams ---


@pytest.mark.parametrize(
    ("changes", "team", "language"),
    [
        ({"detected_language": "de"}, "support-de", "de"),
        ({"headers": (("Content-Language", "de-AT"),), "detected_language": "en"}, "support-de", "de"),
        ({"detected_language": "fr"}, "support-fr", "fr"),
        ({"detected_language": "es"}, "support-fr", "es"),
    ],
)
def test_a_customer_is_answered_by_who_speaks_his_language(changes: dict[str, Any], team: str, language: str) -> None:
    decision = decided("language-teams", **changes)
    assert target(decision).teams == (team,)
    assert of_kind(decision, Set) == [Set("language", language)]


def test_what_nobody_speaks_is_read_by_people() -> None:
    decision = decided("language-teams", detected_language="fi")
    assert target(decision) == Route("support")
    assert not of_kind(decision, Set)


def test_mail_too_short_to_tell_goes_by_the_account_s_language_unless_the_rule_that_is_commented_out_is_taken() -> None:
    assert target(decided("language-teams", language="fr")).teams == ("support-fr",)
    text = text_of("language-teams")
    taken = compile_policy(
        load(re.sub(r"^  # (- name: too short|  if:|  then:)", r"  \1", text, flags=re.MULTILINE)), 1
    )
    assert target(decide(facts(language="fr", text="Bonjour."), taken)) == Route("support")
    for changes in ({"contact": CONTACT, "text": "Bonjour."}, {"text": "Bonjour. " * 30}):
        assert target(decide(facts(language="fr", **changes), taken)).teams == ("support-fr",)
