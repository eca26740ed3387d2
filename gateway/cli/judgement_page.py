"""What `policy test` shows: the message as the policy saw it, the decision, and every rule with every condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.auth_page import explanation_lines, verdict
from gateway.cli.message_page import attachment_lines, finding_lines, person, rule_lines
from gateway.cli.show import Line, Words, blank, field, heading, state


def _author_words(author: Mapping[str, Any] | None) -> tuple[str | Words, ...]:
    shown = person(author)
    if not author or not shown:
        return ("(none)",)
    return shown, Words(f"  as told by {author['told_by']}" if author["told_by"] else "")


def judgement_lines(judged: Mapping[str, Any]) -> Iterator[Line]:
    """`judged` is `commands.judgement.json_of`'s."""
    text = f": {judged['text']}" if judged["text"] else ""
    yield heading("It would be: ", state(judged["disposition"]), Words(f"  {judged['reason']}{text}"))
    yield field("subject", judged["subject"] or "(none)")
    yield field("author", *_author_words(judged["author"]))
    yield field("verdict", *verdict(judged["auth"]))
    yield from explanation_lines(dict(judged["auth"]), indent=16)
    scan = judged["scan"]
    yield field("scan", state(scan["status"]), Words(f" {scan['reason']}" if scan["reason"] else ""))
    yield from finding_lines(scan["findings"], indent=16)
    yield field("mailbox", judged["mailbox"])
    for recipient in judged["recipients_of_no_mailbox"]:
        told = f"{recipient} is no address of this account: by SMTP it would be refused, here it is judged as above"
        yield field("recipient", Words(told, "yellow"))
    joined = f" {judged['joins']}" if judged["joins"] else ""
    yield field("kind", f"{judged['kind']} mail, ticket: {judged['ticket']}{joined}")
    for someone in judged["participants"]:
        yield field("participant", person(someone), Words("  cc", "dim"))
    yield from attachment_lines(judged["attachments"], indent=2)
    for effect in judged["effects"]:
        yield field("effect", Words(effect["effect"], "cyan"), Words(f" {_told(effect)}"))
    yield field("confirmation", judged["acknowledgement"])
    yield blank()
    yield heading("Rules, as they would judge it if nothing before them had")
    if not judged["rules"]:
        yield field("", "the policy has none")
    for rule in judged["rules"]:
        yield from rule_lines(rule, indent=2)


def _told(effect: Mapping[str, Any]) -> str:
    """What an effect says beyond its name; what it leaves as usual is left out."""
    said = {k: v for k, v in effect.items() if k not in ("effect", effect["effect"]) or isinstance(v, str)}
    said = {k: v for k, v in said.items() if k != "effect" and v not in (None, "", False, ())}
    return ", ".join(f"{k} {_in_words(v)}" for k, v in said.items())


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_told({'effect': '', **value})})"
    return " ".join(value) if isinstance(value, tuple) else str(value)
