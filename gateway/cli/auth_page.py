"""Who wrote a message: the verdict, every check, every candidate with its fate, the path, what DNS said.

Traces, messages, `policy test` and `verify` show it the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.show import Line, Words, state

Json = Mapping[str, Any]

_FIRST, _SECOND = 7, 11
_OUTCOMES = {"won": Words("won", "green"), "lost": Words("lost", "dim")}


def verdict(auth: Json) -> tuple[Words, ...]:
    """What is said of the author, by which proof, and why."""
    reason = f": {auth['reason']}" if auth["reason"] else ""
    return state(auth["sender"]), Words(proof(auth)), Words(reason)


def proof(auth: Json) -> str:
    """` by dkim:customer.example`, with its level where it is worth less than the author's own; empty for no proof."""
    if not auth["by"]:
        return ""
    return f" by {auth['by']}" + (f" ({auth['level']})" if auth.get("level") == "via-forwarder" else "")


def path(auth: Json) -> tuple[Words, ...]:
    """`forwarder mail.acme.example: the client is ...`."""
    named = f" {auth['forwarder']}" if auth.get("forwarder") else ""
    why = f": {auth['path_reason']}" if auth.get("path_reason") else ""
    return Words(auth["path"]), Words(named), Words(why, "dim")


def summary(auth: Json) -> list[Json]:
    """What a message keeps of its checks, in the form of a trace's results."""
    dkim = [{"method": "dkim", **d} for d in auth["dkim"]] or [{"method": "dkim", "result": "none"}]
    others = [{"method": method, "result": auth[method]} for method in ("arc", "dmarc")]
    return [{"method": "spf", "result": auth["spf"]}, *dkim, *others]


def check_lines(results: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """One line per authentication result: method, result, what it was about, why."""
    for found in results:
        about = [f"{k}={v}" for k, v in found.items() if k not in ("method", "result", "detail") and v]
        detail = str(found.get("detail") or "")
        body = (Words(" ".join(about)), Words(f"{'  ' if about and detail else ''}{detail}", "dim"))
        yield _line(Words(found["method"]), state(found["result"]), body, indent)


def candidate_lines(candidates: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """One line per candidate: whether it proved the author, what it is, for whom it speaks, why it won or lost."""
    for one in candidates:
        about = f"{one['domain']}: " if one["domain"] else ""
        yield _line(
            _OUTCOMES.get(one["outcome"], Words(one["outcome"])),
            Words(one["proof"]),
            (Words(about + one["why"]),),
            indent,
        )


def drift_lines(drifts: Sequence[Json], *, indent: int) -> Iterator[Line]:
    """What the known forwarder did otherwise than when it was learnt."""
    for drift in drifts:
        change = f"was {drift['before'] or 'nothing'}, is {drift['after'] or 'nothing'}"
        yield _line(Words("drift", "yellow"), Words(drift["what"]), (Words(change),), indent)


def answer_lines(answers: Mapping[str, str], more: int = 0, *, indent: int) -> Iterator[Line]:
    """One line per question to DNS, in the order asked."""
    for question, answer in answers.items():
        name, _, kind = question.rpartition(" ")
        yield _line(Words("DNS", "dim"), Words(kind, "dim"), (Words(f"{name}  "), Words(answer, "dim")), indent)
    if more:
        yield _line(Words("DNS", "dim"), Words(""), (Words(f"and {more} more questions"),), indent)


def explanation_lines(auth: dict[str, Any], *, indent: int) -> Iterator[Line]:
    """All of it but the verdict. What is told is taken out of `auth`; traces of earlier releases have less of it."""
    yield from check_lines(auth.pop("results", []), indent=indent)
    yield from candidate_lines(auth.pop("candidates", []), indent=indent)
    way = {key: auth.pop(key, "") for key in ("path", "forwarder", "path_reason")}
    if way["path"]:
        name, why = way["forwarder"] or "", way["path_reason"] or ""
        yield _line(Words("path"), Words(way["path"]), (Words(f"{name}: " if name else ""), Words(why)), indent)
    yield from drift_lines(auth.pop("drifts", []), indent=indent)
    yield from answer_lines(auth.pop("dns", {}), auth.pop("more_dns", 0), indent=indent)


def _line(first: Words, second: Words, body: tuple[Words, ...], indent: int) -> Line:
    """Two columns, then the rest; a word too long for its column keeps a blank behind it."""
    head = (Words(f"{first.text:<{_FIRST}}", first.style), Words(f"{second.text:<{_SECOND - 1}} ", second.style))
    return Line(head, body, indent=indent, width=_FIRST + _SECOND)
