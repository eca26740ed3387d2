"""What the checks found out about a message. Data only: what to do about it is the policy's business."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.core.forwarder import Drift


class Sender(StrEnum):
    """What the account's rules see of the author."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    FORGED = "forged"
    INDETERMINATE = "indeterminate"


class Level(StrEnum):
    """How much the proof is worth: none < via-forwarder < verified."""

    NONE = "none"
    VIA_FORWARDER = "via-forwarder"
    VERIFIED = "verified"


class Path(StrEnum):
    """How the message came to us."""

    DIRECT = "direct"
    FORWARDER = "forwarder"
    PROBABLE = "probable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AuthResult:
    """One resinfo of RFC 8601 section 2.2: `method=result (detail) ptype.property=value`."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    detail: str = ""


class ProofOutcome(StrEnum):
    """What became of a possible proof."""

    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ProofCandidate:
    """What might have proven the author: `proof` is `dkim`, `spf`, `arc`, `border-spf` or `border-results` (what the forwarder
    itself found at its border), `domain` what it speaks for, `why` the reason of its outcome in a few plain words.
    """

    proof: str
    domain: str
    outcome: ProofOutcome
    why: str


ANSWER_CHARACTERS = 200


class DnsAnswer(NamedTuple):
    """What DNS said while a message was judged: `records` as the resolver gives them, None where nobody would say.

    A tuple, because every message makes some twenty, and a frozen dataclass costs three times as much.
    """

    question: str
    type: str
    records: tuple[Any, ...] | None

    @property
    def answer(self) -> str:
        """The records in short for people: `no answer` for a failure, `nothing` for a name without such records."""
        if self.records is None:
            return "no answer"
        text = " | ".join(map(_shown, self.records[:10]))
        return text[:ANSWER_CHARACTERS] if text else "nothing"


def _shown(record: Any) -> str:
    if isinstance(record, tuple):
        strings = all(isinstance(piece, bytes) for piece in record)
        return b"".join(record).decode("utf-8", "replace") if strings else " ".join(map(str, record))
    return str(record)


@dataclass(frozen=True, slots=True)
class AuthReport:
    """Who wrote this, by which proof (`by`, e.g. `dkim:customer.example`), through which path.

    `reason` says in one plain sentence why the sender is what it is, `path_reason` why the path is. `published_policy` is the
    author domain's DMARC policy (`none`, `quarantine`, `reject`), empty when it has none or nobody could say.
    `client_vouched`: the domain of a mailbox vouches for the client (its SPF passes, or the client is its mail exchanger):
    its forwarder, then; so does the address of a known forwarder that serves nobody else. `forwarder` names the known one
    that brought the message, and `drifts` tell what it did otherwise than when it was learnt. `candidates` are all that
    might have proven the author, and `dns` the answers that were used.
    """

    results: tuple[AuthResult, ...]
    sender: Sender
    level: Level
    by: str
    path: Path
    forwarder: str | None
    published_policy: str
    reason: str
    client_vouched: bool = False
    path_reason: str = ""
    drifts: tuple[Drift, ...] = ()
    candidates: tuple[ProofCandidate, ...] = ()
    dns: tuple[DnsAnswer, ...] = ()

    def result_of(self, method: str) -> str:
        """The best result of a method, `none` when it was not seen. Of SPF the first: that identity alone counts, and the
        HELO's beside it is only recorded (RFC 9989 section 4.4.2).
        """
        found = [r.result for r in self.results if r.method == method]
        return "pass" if "pass" in found and method != "spf" else (found[0] if found else "none")


SCANNER_OFF = "scanner-off"
"""Why nobody scans, and nobody ever will: the operator said so."""
ARCHIVE = "archive"
"""Not all of what lies in a file could be seen; such files are judged one by one, by their own report."""
INSIDE = "inside"
"""Who says so, among the findings: no scanner."""


class ScanStatus(StrEnum):
    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"
    UNSCANNED = "unscanned"


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing a scanner named, and where (`message`, or a part's number)."""

    scanner: str
    name: str
    where: str = "message"


@dataclass(frozen=True, slots=True)
class InnerFile:
    """Files inside a file that look alike to a policy: `count` of them, `path` is the first one's (`a.zip/b/setup.exe`, from
    the leaf on, without what is invisible). `container` is the type of what they lie in (`zip`, `docx`, `tnef`, `eml`, ...);
    the rest as in PartReport. A file that could only be listed (7z, rar) has no `detected_type`.
    """

    path: str
    container: str
    detected_type: str
    media_class: str
    types: tuple[str, ...]
    encrypted: bool = False
    macros: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class PartReport:
    """What a leaf really is. `types` are short type names (`exe`, `pdf`, `jpeg`) by every reading: content, declared
    type and each name; `detected_type` is the one by content, empty when the content has no signature.

    `inside` is what it contains at any depth, `unscannable` why not all of that could be judged (empty when it could);
    `encrypted` and `macros` are true for what is inside, too.
    """

    n: int
    name: str
    declared_type: str
    detected_type: str
    media_class: str
    types: tuple[str, ...]
    size_bytes: int
    sha256: str
    inline: bool
    encrypted: bool = False
    macros: bool = False
    inside: tuple[InnerFile, ...] = ()
    unscannable: str = ""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """`reason` belongs to unscannable and unscanned (`down`, `timeout`, `scanner-off`, `over-limit`, `encrypted`, `archive`,
    ...). `facts` are what scanners say beside it, by name (`rspamd.score`).
    """

    status: ScanStatus
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    facts: tuple[tuple[str, float | str], ...] = ()
    parts: tuple[PartReport, ...] = ()
