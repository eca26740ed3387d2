"""The canonical line: all there is to count and to search about one transaction, in one line of the process log.

Exactly one `transaction` line for each transaction, however it ended; floods of refusals before the content are told in
sum (`aggregated`). What the fields mean stands in docs/operate/figures.md; their names are stable.

Privacy. The delivery log in the database has the addresses, under the rules of retention and erasure; process logs are
copied to places that no erasure reaches. So here an address is its domain and a keyed hash: enough to see that it is the
same sender again, and nothing that could be turned back without the secret key. Recipients are a count and domains.
The client's address stays whole: it names a mail server, and is what an operator blocks, reports and compares with
firewalls (GDPR recital 49). Names of files, subjects and the words of replies, which may quote them, stay out.

Every field is bounded and plain ASCII, so that a line stays below PIPE_BUF (4096 octets): processes that write to one
pipe never mix their lines, whatever a client sends.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.addresses import BadAddress, canonical, normal_domain
from gateway.core.outcome import Accepted, Outcome
from gateway.core.trace import Step, TransactionRecord

_LONGEST, _LONGEST_IN_A_LIST = 100, 50
_RULES = 10
_DOMAINS = 5
_LONGEST_ADDRESS = 600
_REPLY = re.compile(r"(\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))?")
_FOR_THE_SENDER = ("trace", "source", "outcome", "reason", "code", "enhanced_code")
"""A mail server puts what a pipe command wrote into the bounce when it failed: then only what SMTP says to everybody."""

_key = os.urandom(32)


def key_hashes(secret: bytes) -> None:
    """Make the hashes of addresses under this secret: the same in every process and after a restart. Without it each
    process has a key of its own.
    """
    global _key
    _key = hmac.digest(secret, b"addresses in the process log", "sha256")


def escaped(text: str) -> str:
    """One line that does nothing to a terminal: controls, ANSI escapes, U+2028, bidirectional overrides are spelled out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def fields(
    record: TransactionRecord,
    steps: Sequence[Step],
    outcome: Outcome | None = None,
    *,
    seconds: float | None = None,
    kept_as: str = "",
    again: bool = False,
) -> dict[str, Any]:
    """The line's fields; what is not known or does not apply is left out."""
    accepted = outcome if isinstance(outcome, Accepted) else None
    retry = accepted and accepted.duplicate
    received = _detail(steps, "receive")
    line: dict[str, Any] = {
        "trace": record.trace_id,
        "account": record.account,
        "source": received.get("source", "smtp"),
        "outcome": record.outcome,
        "reason": record.reason,
        "kept_as": None if retry else kept_as,
        "again": again or None,
        "message": record.message_id,
        "first_trace": accepted.trace_id if accepted and retry else None,
        "ticket": accepted.ticket if accepted else None,
    }
    line |= _reply(record.reply)
    line |= _parties(record, received)
    line |= _judgement(steps)
    if digest := str(received.get("sha256", "")):
        line |= {"size_bytes": received.get("size_bytes"), "sha256": digest[:16]}
    line["seconds"] = None if seconds is None else round(seconds, 3)
    line["milliseconds"] = {s.stage: s.detail["milliseconds"] for s in steps if "milliseconds" in s.detail}
    if line["source"] == "receive" and record.outcome in ("refused", "deferred"):
        line = {k: line[k] for k in _FOR_THE_SENDER if k in line}
    return {k: _plain(v) for k, v in line.items() if v not in (None, "", [], {})}


def _detail(steps: Sequence[Step], stage: str) -> Mapping[str, Any]:
    return next((s.detail for s in reversed(steps) if s.stage == stage), {})


def _reply(reply: str) -> dict[str, Any]:
    """The codes only: the text repeats the trace id, and may quote what the sender wrote."""
    found = _REPLY.match(reply)
    return {"code": int(found[1]), "enhanced_code": found[2]} if found else {}


def _parties(record: TransactionRecord, received: Mapping[str, Any]) -> dict[str, Any]:
    refused = len(received.get("refused_recipients", ())) + int(received.get("more_refused_recipients", 0))
    named = len(record.recipients) + int(received.get("more_refused_recipients", 0))
    aggregated = received.get("aggregated")
    return {
        "aggregated": aggregated,
        "network": received.get("network"),
        "client": record.client_ip,
        "helo": record.helo,
        "tls": record.tls,
        "reverse_path": None if aggregated and record.reverse_path == "" else _partial(record.reverse_path),
        "recipients": received.get("recipients_in_all", named),
        "recipient_domains": _domains(record.recipients),
        "refused_recipients": None if aggregated else refused,
    }


def _partial(address: str | None) -> str:
    """`~9f86d081@customer.example`; the null reverse-path as it is written."""
    if not address:
        return "<>"
    text = address[:_LONGEST_ADDRESS]
    # keyed BLAKE2 and not HMAC: OpenSSL's lets go of the interpreter, and gets it back when another thread is through
    digest = hashlib.blake2b(canonical(text).encode("utf-8", "surrogatepass"), key=_key, digest_size=4).hexdigest()
    return f"~{digest}@{_domain(text)}"


def _domain(address: str) -> str:
    """Of what cannot be read nothing is shown: it may be a local part."""
    try:
        return normal_domain(address.rpartition("@")[2]) if "@" in address else "?"
    except BadAddress:
        return "?"


def _domains(addresses: Iterable[str]) -> list[str]:
    found = dict.fromkeys(_domain(a[:_LONGEST_ADDRESS]) for a in addresses)
    return [*found][:_DOMAINS]


def _judgement(steps: Sequence[Step]) -> dict[str, Any]:
    last = {s.stage: s for s in steps}
    verify, scan, decide = last.get("verify"), last.get("scan"), last.get("decide")
    found: dict[str, Any] = {}
    if verify:
        found |= {"sender": verify.outcome, "path": verify.detail.get("path")}
    if (whose := last.get("whose")) and whose.outcome == "told":
        found["sender"] = "unverified"  # what the rules saw; the proof was one of From
    if scan:
        found |= {"scan": scan.outcome, "scan_reason": scan.reason}
    if decide:
        rules = [r["rule"] if isinstance(r, Mapping) else r for r in decide.detail.get("rules", ())]
        found |= {"policy": decide.detail.get("policy_version"), "rules_hit": len(rules), "rules": rules[:_RULES]}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _cut(value)
    return [_cut(str(v), _LONGEST_IN_A_LIST) for v in value] if isinstance(value, list) else value


def _cut(text: str, longest: int = _LONGEST) -> str:
    """Escaped also where it is printable but not ASCII: six octets a character in JSON would be no bound."""
    text = text[: longest + 1]
    if not (text.isascii() and text.isprintable()):
        text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
