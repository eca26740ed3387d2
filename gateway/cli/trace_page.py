"""A trace as a timeline: a line per event, its details below it. Nothing that was recorded is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.auth_page import explanation_lines, proof
from gateway.cli.message_page import attachment_lines, finding_lines, notice_lines, person, rule_lines
from gateway.cli.show import Line, Words, blank, clock, day, field, heading, moment, size, state

Json = Mapping[str, Any]
Detail = dict[str, Any]

_TIME, _STAGE, _OUTCOME = 14, 13, 14
_DEEPER = _TIME + 2


def trace_lines(trace: Json) -> Iterator[Line]:
    """The page of one trace."""
    yield from _head(trace)
    yield blank()
    shown_day = day(trace["at"])
    decided = _last(trace["events"], "decide")
    for number, event in enumerate(trace["events"]):
        if day(event["at"]) != shown_day:
            shown_day = day(event["at"])
            yield Line(body=(Words(shown_day, "bold"),))
        yield from _event_lines(trace, event, is_verdict=number == decided)
    if trace["notifications"]:
        yield blank()
        yield heading("Notifications")
        yield from notice_lines(trace["notifications"], indent=2)


def _head(trace: Json) -> Iterator[Line]:
    yield heading(f"Trace {trace['id']}", Words("  "), state(trace["outcome"]), Words(f"  {_reason_of(trace)}"))
    client = trace["client"]
    secured = client["tls"] or "no TLS"
    named = client["helo"] or ("several HELO names" if _aggregated(trace) else "no HELO")
    where = f"{client['ip']} ({named}, {secured})" if client["ip"] else "none"
    yield field("at", f"{moment(trace['at'])}", Words("  all times are UTC", "dim"))
    yield field("account", trace["account"])
    yield field("client", where)
    yield field("from", envelope_sender(trace["reverse_path"]))
    yield field("to", ", ".join(trace["recipients"]) or "nobody")
    yield field("reply", trace["reply"])
    if about := trace.get("about"):
        ticket = f", ticket {about['ticket']}" if about["ticket"] else ""
        yield field("message", f"{trace['message']}{ticket}")
        if about["first_trace"] != trace["id"]:
            yield field("first came", f"as trace {about['first_trace']}; this is a retry and changed nothing")
        yield field("", f"{about['subject'] or '(no subject)'}", Words(f"  {person(about['author'])}", "dim"))
        yield field("Message-ID", f"<{about['message_id']}>" if about["message_id"] else "none")


def envelope_sender(reverse_path: str | None) -> str:
    """`<carol@customer.example>`, `<>`; a line that stands for transactions of several senders has an empty one."""
    return "several" if reverse_path == "" else f"<{reverse_path or ''}>"


def _aggregated(trace: Json) -> bool:
    return any("aggregated" in event["detail"] for event in trace["events"])


def _reason_of(trace: Json) -> str:
    return "" if trace["reason"] == trace["outcome"] else str(trace["reason"])


def _last(events: Sequence[Json], stage: str) -> int:
    return max((n for n, e in enumerate(events) if e["stage"] == stage), default=-1)


def _event_lines(trace: Json, event: Json, *, is_verdict: bool) -> Iterator[Line]:
    detail = dict(event["detail"])
    milliseconds = detail.pop("milliseconds", None)
    tell = _TOLD.get(event["stage"])
    told, below = tell(trace, event, detail) if tell else ("", [])
    outcome = state(event["outcome"])
    head = (
        Words(clock(event["at"]).ljust(_TIME), "dim"),
        Words(event["stage"].ljust(_STAGE), "bold"),
        Words(outcome.text.ljust(_OUTCOME), outcome.style),
    )
    reason = "" if event["reason"] == event["outcome"] else event["reason"]
    sentence = (Words(reason), Words("; " if reason and told else ""), Words(told))
    took = (Words(f"  {milliseconds:g} ms", "dim"),) if milliseconds is not None else ()
    yield Line(head, (*sentence, *took), width=_TIME + _STAGE + _OUTCOME)
    yield from below
    if is_verdict:
        for rule in trace["rules"]:
            yield from rule_lines(rule, indent=_DEEPER)
        yield from attachment_lines(trace["attachments"], indent=_DEEPER)
    yield from _rest(detail)


def _rest(detail: Detail) -> Iterator[Line]:
    """What no sentence has told."""
    for key, value in detail.items():
        if value not in (None, "", [], {}):
            yield _below(key.replace("_", " "), _plain(value))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def _below(name: str, *body: Words | str) -> Line:
    return field(name, *body, indent=_DEEPER)


Told = tuple[str, Sequence[Line]]


def _receive(_trace: Json, _event: Json, detail: Detail) -> Told:
    refused = [
        _below("refused", Words(f"{r['recipient']}: "), Words(str(r["reason"]), "red"))
        for r in detail.pop("refused_recipients", [])
    ]
    if more := detail.pop("more_refused_recipients", 0):
        refused.append(_below("refused", f"and {more} more"))
    if "aggregated" in detail:
        return _flood(detail), refused
    hashed = detail.pop("sha256", "")
    told = f"{size(detail.pop('size_bytes'))} " if "size_bytes" in detail else ""
    told += f"by {detail.pop('source')}" if "source" in detail else ""
    client, helo, tls = (detail.pop(k, None) for k in ("client", "helo", "tls"))
    told += f" from {client} ({helo or 'no HELO'}, {tls or 'no TLS'})" if client else ""
    return told, [*([_below("SHA-256", Words(hashed, "dim"))] if hashed else []), *refused]


def _flood(detail: Detail) -> str:
    """Refusals before any content, told in sum (`smtp/floods.py`)."""
    count, network = detail.pop("aggregated"), detail.pop("network", "one network")
    began, ended = (clock(detail.pop(k)) for k in ("first_at", "last_at"))
    return f"{count} transactions from {network}, {began} to {ended}"


def _parse(_trace: Json, _event: Json, detail: Detail) -> Told:
    parts = detail.pop("parts", 0)
    return f"{parts} part{'' if parts == 1 else 's'}", [_below("defect", str(d)) for d in detail.pop("defects", [])]


def _locate(_trace: Json, _event: Json, detail: Detail) -> Told:
    mailboxes = ", ".join(detail.pop("mailboxes", []))
    return f"account {detail.pop('account', '?')}, mailbox {mailboxes}", []


def _verify(_trace: Json, _event: Json, detail: Detail) -> Told:
    told = proof({"by": detail.pop("by", ""), "level": detail.pop("level", "")}).strip()
    return told, list(explanation_lines(detail, indent=_DEEPER))


def _scan(_trace: Json, _event: Json, detail: Detail) -> Told:
    return "", list(finding_lines(detail.pop("findings", []), indent=_DEEPER))


def _recall(_trace: Json, _event: Json, detail: Detail) -> Told:
    known = "a known contact" if detail.pop("contact", False) else "no known contact"
    numbers = detail.pop("tickets", [])
    return f"{known}, {'may belong to ticket ' + _plain(numbers) if numbers else 'belongs to no ticket'}", []


def _decide(trace: Json, _event: Json, detail: Detail) -> Told:
    version, kind = detail.pop("policy_version", None), detail.pop("kind", None)
    told = [f"policy version {version}" if version is not None else "", f"{kind} mail" if kind else ""]
    explained = {rule["rule"] for rule in trace["rules"]}
    below: list[Line] = []
    for rule in detail.pop("rules", []):
        if isinstance(rule, Mapping):
            below += rule_lines(rule, indent=_DEEPER)
        elif rule not in explained:
            below.append(_below("rule", Words(str(rule), "bold"), " matched"))
    return ", ".join(t for t in told if t), below


def _ticketed(_trace: Json, _event: Json, detail: Detail) -> Told:
    number, by, before = detail.pop("ticket", None), detail.pop("by", None), detail.pop("from", None)
    told = [f"ticket {number}" if number else "", f"by {by}" if by else "", f"was {before}" if before else ""]
    return ", ".join(t for t in told if t), []


def _by_hand(_trace: Json, _event: Json, detail: Detail) -> Told:
    """Notes, cancelled notifications, deleted content: who did it."""
    return f"by {detail.pop('by')}" if "by" in detail else "", []


def _deliver(trace: Json, _event: Json, detail: Detail) -> Told:
    kinds = {n["id"]: n["kind"] for n in trace["notifications"]}
    kind = kinds.get(detail.pop("outbox", ""), "notification")
    told = f"{kind} to {detail.pop('recipient', '?')}, attempt {detail.pop('attempt', '?')}"
    code, reply, via = detail.pop("code", 0), detail.pop("reply", ""), detail.pop("via", "")
    told += f" through {via}" if via else ""
    below = [_below("reply", f"{code} {reply}" if code else str(reply))] if code or reply else []
    if due := detail.pop("next_at", None):
        below.append(_below("next attempt", moment(due)))
    return told, below


_TOLD: dict[str, Callable[[Json, Json, Detail], Told]] = {
    "receive": _receive,
    "parse": _parse,
    "locate": _locate,
    "verify": _verify,
    "scan": _scan,
    "recall": _recall,
    "decide": _decide,
    "commit": _ticketed,
    "ticket": _ticketed,
    "deliver": _deliver,
    "note": _by_hand,
    "outbox": _by_hand,
    "erase": _by_hand,
    "file": _by_hand,
    "release": _by_hand,
}
