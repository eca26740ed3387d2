"""What becomes of each file: kept, stripped, held, or the whole message quarantined or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.core.addresses import without_controls
from gateway.core.decision import Disposition, Facts, PartDecision, PartDisposition
from gateway.core.message import Part
from gateway.core.outcome import Reason
from gateway.core.reports import Finding, InnerFile, PartReport, ScanStatus
from gateway.policy.action import Verdict
from gateway.policy.document import Attachments
from gateway.policy.file_kinds import BUNDLES, ZIP_IN_DISGUISE, class_of, spelled
from gateway.policy.strictness import LENIENT_TO_STRICT, Settings, stricter

_HELD = {"hold", "quarantine", "reject", "defer"}
"""For a file, waiting is all these can mean: what becomes of the message is said by the verdict."""
_FRAGMENT = "a fragment of a message"


@dataclass(frozen=True, slots=True)
class PartJudgement:
    """One leaf: a disposition of the document's words (`accept`, `strip`, ...), and why."""

    part: Part | None
    report: PartReport | None
    disposition: str = "accept"
    reason: str = ""

    @property
    def n(self) -> int:
        found = self.part or self.report
        assert found is not None
        return found.n

    @property
    def is_file(self) -> bool:
        """True for everything but the text shown to the reader."""
        return self.part is None or not self.part.is_text

    def or_stricter(self, disposition: str, reason: str) -> PartJudgement:
        """The other judgement where that is stricter than this one."""
        if stricter(self.disposition, disposition) == self.disposition:
            return self
        return PartJudgement(self.part, self.report, disposition, reason)

    def decision(self) -> PartDecision:
        if self.disposition == "accept":
            return PartDecision(self.n, PartDisposition.KEPT)
        kind = PartDisposition.HELD if self.disposition in _HELD else PartDisposition.STRIPPED
        return PartDecision(self.n, kind, self.reason)


def judge_parts(facts: Facts, settings: Settings, unproven: tuple[str, str] | None) -> tuple[PartJudgement, ...]:
    """Every leaf in the order of the message. `unproven` is what the `virus` table says of files it could not have
    scanned: a disposition (`hold`, `strip`) and its reason.
    """
    reports = {r.n: r for r in facts.scan.parts}
    parts = {p.n: p for p in facts.message.parts}
    leaves = [PartJudgement(parts.get(n), reports.get(n)) for n in sorted(parts.keys() | reports.keys())]
    named = _named_encrypted(facts)
    judged = [_judge(leaf, settings, encrypted=_is_encrypted(leaf, named)) for leaf in leaves]
    if unproven:
        places = _places(facts.scan.findings) if facts.scan.status is ScanStatus.INFECTED else None
        judged = [_unproven(j, unproven, places) for j in judged]
    return tuple(_over_maximum(judged, settings.attachments))


def verdict_of_parts(judged: Iterable[PartJudgement]) -> Verdict | None:
    """The strictest that a single file asks for the whole message."""
    wanted = [j for j in judged if j.disposition in ("quarantine", "reject")]
    if not wanted:
        return None
    worst = max(wanted, key=lambda j: LENIENT_TO_STRICT.index(j.disposition))
    return Verdict(Disposition(worst.disposition), Reason.ATTACHMENT, _refusal(worst))


def _refusal(judgement: PartJudgement) -> str:
    """ASCII and one line: it goes into an SMTP reply."""
    name = without_controls(judgement.report.name if judgement.report else "")[:80]
    shown = name.encode("ascii", "replace").decode() or "without a name"
    if judgement.reason == _FRAGMENT:
        return f"the attachment {shown} is {_FRAGMENT}"
    return f"the attachment {shown} ({judgement.reason}) is not taken here"


def _judge(leaf: PartJudgement, settings: Settings, *, encrypted: bool) -> PartJudgement:
    if not leaf.is_file:
        return leaf
    judged = _by_structure(leaf)
    if leaf.report is None:  # a file nobody looked at is not let through on its name alone
        return judged.or_stricter("hold", "not examined")
    wanted, report = settings.attachments, leaf.report
    refused = refused_type(report, wanted) or refused_inside(report, wanted)
    if refused:
        judged = judged.or_stricter(wanted.violation, refused)
    if report.unscannable:
        judged = judged.or_stricter(settings.virus.unscannable, f"not seen to its end: {report.unscannable}")
    if encrypted:
        judged = judged.or_stricter(wanted.encrypted, "encrypted")
    if report.macros:
        judged = judged.or_stricter(wanted.macros, "macros")
    return judged


def _by_structure(leaf: PartJudgement) -> PartJudgement:
    """RFC 2046 section 5.2: what is whole only elsewhere cannot be judged here; it is neither put together nor fetched."""
    found = leaf.part or leaf.report
    kind = found.declared_type if found else ""
    if kind == "message/partial":
        return leaf.or_stricter("reject", _FRAGMENT)
    if kind == "message/external-body":
        return leaf.or_stricter("hold", "its content lies elsewhere")
    return leaf


def refused_type(report: PartReport | InnerFile, wanted: Attachments) -> str:
    """The type for which a file is not taken, empty when it is.

    The class goes by content first, and its list of allowed types must have it. Then every other reading (declared type,
    each name) is asked too: what one of them calls `exe` may be opened as such.
    """
    types = tuple(spelled(t) for t in report.types)
    detected = spelled(report.detected_type)
    denied = _denied(wanted)
    for short in types:
        if short in denied and (report.media_class == "other" or short != detected):
            return short
    if report.media_class != "other":
        readings = (detected,) if detected else types
        if not any(t in getattr(wanted.allow, report.media_class) for t in readings):
            return detected or "/".join(types) or getattr(report, "declared_type", "")
    return next((t for t in types if t != detected and not _is_taken(t, wanted)), "")


def refused_inside(report: PartReport, wanted: Attachments) -> str:
    """Why a file is not taken for what lies in it, empty when it is. What is in an archive, an attached message or a
    winmail.dat is judged as if it were attached itself; what a document is made of only where it is a denied type:
    pictures of every kind belong to documents, and their own parts are called `.bin`.
    """
    for inner in report.inside:
        short = refused_type(inner, wanted) if inner.container in BUNDLES else _denied_in_document(inner, wanted)
        if short:
            return f"{short} inside it: {without_controls(inner.path)[:120]}"
    return ""


def _denied_in_document(inner: InnerFile, wanted: Attachments) -> str:
    denied = _denied(wanted) - {"bin"}
    return next((t for t in map(spelled, inner.types) if t in denied), "")


def _denied(wanted: Attachments) -> frozenset[str]:
    denied = frozenset(spelled(t) for t in wanted.deny)
    return denied | ZIP_IN_DISGUISE if "zip" in denied else denied


def _is_taken(short: str, wanted: Attachments) -> bool:
    """A type that is media by its name must be allowed in its class."""
    media_class = class_of(short)
    return media_class == "other" or short in getattr(wanted.allow, media_class)


def _is_encrypted(leaf: PartJudgement, named: frozenset[int] | None) -> bool:
    if leaf.report is not None and leaf.report.encrypted:
        return True
    return named is not None and leaf.n in named


def _named_encrypted(facts: Facts) -> frozenset[int] | None:
    """The files a scanner could not read because they are encrypted; all of them when it does not say which."""
    scan = facts.scan
    if scan.status is not ScanStatus.UNSCANNABLE or scan.reason != "encrypted":
        return None
    if any(r.encrypted for r in scan.parts):
        return None
    return _places(scan.findings) or frozenset(r.n for r in scan.parts if not r.inline)


def _places(findings: Iterable[Finding]) -> frozenset[int]:
    """The parts findings name; empty when any of them means the message as a whole."""
    places = [f.where for f in findings]
    return frozenset(int(p) for p in places) if all(p.isdecimal() for p in places) else frozenset()


def _unproven(judgement: PartJudgement, wanted: tuple[str, str], places: frozenset[int] | None) -> PartJudgement:
    if not judgement.is_file or (places and judgement.n not in places):
        return judgement
    return judgement.or_stricter(*wanted)


def _over_maximum(judged: list[PartJudgement], wanted: Attachments) -> Iterator[PartJudgement]:
    """Files that would be kept are counted in order; the last ones over a maximum are violations."""
    count = {True: 0, False: 0}
    size = {True: 0, False: 0}
    for judgement in judged:
        report = judgement.report
        if not judgement.is_file or report is None or judgement.disposition != "accept":
            yield judgement
            continue
        inline = report.inline
        count[inline] += 1
        size[inline] += report.size_bytes
        most_files = wanted.max_inline_files if inline else wanted.max_files
        most_bytes = wanted.max_inline_bytes if inline else wanted.max_bytes
        if count[inline] > most_files:
            yield judgement.or_stricter(wanted.violation, f"more than {most_files} files")
        elif size[inline] > most_bytes:
            yield judgement.or_stricter(wanted.violation, f"more than {most_bytes} bytes of files")
        else:
            yield judgement
