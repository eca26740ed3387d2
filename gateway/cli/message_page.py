"""A message as people read it: who wrote it, how that was proven, what was found, what the rules made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.auth_page import check_lines, path, summary, verdict
from gateway.cli.show import Line, Words, blank, field, heading, moment, size, state
from gateway.core.outcome import Reason

Json = Mapping[str, Any]

SHOWN_LINES = 40
"""Lines of a message's text on a page; the whole text is in `--json`, the whole message in its raw content."""


def message_lines(message: Json) -> Iterator[Line]:
    """The page of `message show`, and each message of `ticket show`."""
    yield _title(message)
    yield from _envelope_lines(message)
    if auth := message["auth"]:
        yield field("author", *verdict(auth))
        yield field("path", *path(auth))
        yield from check_lines(summary(auth), indent=16)
    if scan := message["scan"]:
        yield field("scan", state(scan["status"]), Words(f" {scan['reason']}" if scan["reason"] else ""))
        yield from finding_lines(scan["findings"], indent=16)
    reason = message["reason"] if message["reason"] != Reason.ACCEPTED else ""
    yield field("became", state(message["disposition"]), *_reason(reason))
    for rule in message["rules"]:
        yield from rule_lines(rule, indent=2)
    yield from attachment_lines(message["attachments"], indent=2)
    yield from text_lines(message["text_new"] or message["text"], indent=4)


def _title(message: Json) -> Line:
    kind = "note" if message["internal"] else message["direction"]
    author = person(message["author"])
    told = f"  as told by {message['author']['told_by']}" if message["author"]["told_by"] else ""
    return heading(author or "(no author)", Words(told), Words(f"  {moment(message['received_at'])}  {kind}", "dim"))


def _envelope_lines(message: Json) -> Iterator[Line]:
    yield field("subject", message["subject"] or "(none)")
    yield field("message", message["id"], Words(f"  {size(message['size_bytes'])}", "dim"))
    yield field("trace", message["trace"])
    yield field("from", f"<{message['reverse_path'] or ''}>", Words("  envelope", "dim"))
    yield field("to", ", ".join(message["recipients"]), Words("  envelope", "dim"))
    if message["mailbox"]:
        ticket = f", ticket {message['ticket']}" if message["ticket"] else ""
        yield field("mailbox", f"{message['mailbox']}{ticket}")


def quarantine_lines(message: Json) -> Iterator[Line]:
    """The page of `quarantine show`: why it waits and until when, then the message, its header fields before its text."""
    yield heading("In quarantine", Words(f"  since {moment(message['since'])}, until {moment(message['expires_at'])}"))
    for why in message["why"]:
        yield field("because", why)
    if message["infected"]:
        yield field("infected", Words(message["infected"], "red"), "; it is never released")
    yield blank()
    yield from message_lines({**message, "text": "", "text_new": ""})
    yield blank()
    for header in message["headers"]:
        yield field(header["name"], header["value"], width=max(26, len(header["name"]) + 1))
    yield from text_lines(message["text"], indent=4)


def person(who: Json | None) -> str:
    """`Carol <carol@customer.example>`."""
    if not who or not who["address"]:
        return ""
    return f"{who['name']} <{who['address']}>" if who["name"] else str(who["address"])


def finding_lines(findings: Sequence[Json], *, indent: int) -> Iterator[Line]:
    for found in findings:
        yield Line((Words(f"{found['scanner']}: "),), (Words(f"{found['name']} in {found['where']}", "red"),), indent)


def rule_lines(rule: Json, *, indent: int) -> Iterator[Line]:
    """A rule: what came of it, each condition with the value it saw, what it did, and what others had decided before."""
    result = str(rule.get("result", "matched"))
    yield Line((Words("rule", "dim"),), (Words(rule["rule"], "bold"), Words(" "), state(result)), indent, width=14)
    deeper = indent + 14
    for condition in rule["conditions"]:
        yield _condition_line(condition, deeper)
    for effect in rule["effects"]:
        yield Line((Words("-> "),), (Words(effect, "cyan"),), deeper)
    for what, by in rule["already_decided"]:
        yield Line((Words("-- "),), (Words(f"{what}: already decided by {by}", "dim"),), deeper)
    for what, why in rule.get("withheld", ()):
        yield Line((Words("-- "),), (Words(f"{what}: not done: {why}", "dim"),), deeper)
    if rule.get("stops"):
        yield Line((Words("-> "),), (Words("stop", "cyan"),), deeper)


def _condition_line(condition: Json, indent: int) -> Line:
    holds = Words("yes ", "green") if condition["holds"] else Words("no  ", "red")
    wanted = f"{condition['condition']}: {condition['expected']}"
    saw = f'"{condition["saw"]}"' if condition["saw"] else "nothing"
    return Line((holds,), (Words(wanted), Words(f"   saw {saw}", "dim")), indent)


SHOWN_INSIDE = 8


def attachment_lines(attachments: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """Each file with what it says it is, what it is, and what became of it."""
    for part in attachments:
        name = part["name"] or "(no name)"
        what = str(part["declared_type"])
        if part["detected_type"]:
            what += f", really {part['detected_type']}"
        fate = (Words("  "), state(part["disposition"]), *_reason(part["reason"]), *_let_go(part.get("released")))
        about = Words(f"  {size(part['size_bytes'])}, {what}", "dim")
        yield Line((Words(f"file {part['n']}", "dim"),), (Words(name), about, *fate), indent, width=14)
        yield from _inside_lines(part.get("inside") or (), indent=indent)


def _inside_lines(inside: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """What lies in a file, the first few."""
    for found in inside[:SHOWN_INSIDE]:
        alike = f" and {found['count'] - 1} like it" if found["count"] > 1 else ""
        kind = f", {found['type']}" if found["type"] else ""
        yield Line((Words(""),), (Words(f"in it: {found['path']}{kind}{alike}", "dim"),), indent, width=14)
    if len(inside) > SHOWN_INSIDE:
        yield Line(
            (Words(""),), (Words(f"and {len(inside) - SHOWN_INSIDE} other kinds of files", "dim"),), indent, width=14
        )


def _let_go(released: Json | None) -> tuple[Words, ...]:
    """Who released a file that was held."""
    if not released:
        return ()
    return (Words(f", released by {released['by']} {moment(released['at'])}; it was held: {released['reason']}"),)


def _reason(reason: str) -> tuple[Words, ...]:
    return (Words(f": {reason}"),) if reason else ()


def text_lines(text: str, *, indent: int) -> Iterator[Line]:
    """The text, cut after `SHOWN_LINES`."""
    lines = text.strip("\r\n").splitlines()
    if not any(lines):
        return
    yield blank()
    for line in lines[:SHOWN_LINES]:
        yield Line(body=(Words(line.expandtabs(4)),), indent=indent)
    if len(lines) > SHOWN_LINES:
        more = f"... and {len(lines) - SHOWN_LINES} more lines; --json has the whole text"
        yield Line(body=(Words(more, "dim"),), indent=indent)


def notice_lines(notices: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """What is owed and what was sent, with the other server's last words."""
    for notice in notices:
        reply = f"  {notice['last_reply']}" if notice["last_reply"] else ""
        due = f", next attempt {moment(notice['next_at'])}" if notice["next_at"] and notice["attempts"] else ""
        tries = f" after {notice['attempts']} attempts" if notice["attempts"] > 1 else ""
        what = (Words(f"{notice['recipient']}  "), state(notice["state"]), Words(tries + due), Words(reply, "dim"))
        yield Line((Words(notice["kind"]),), what, indent, width=20)
