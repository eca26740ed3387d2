"""`attachment: {name|type|bytes_over}`: one attached file has all of what is asked. Images in the text do not count; a type is
also that of what lies in the file, at any depth.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from gateway.core.addresses import without_controls
from gateway.core.decision import Facts
from gateway.core.reports import InnerFile, PartReport
from gateway.policy.condition import Test, shown
from gateway.policy.file_kinds import BUNDLES, FileTypes, class_of, spelled
from gateway.policy.matchers import Matchers, Wanted
from gateway.policy.patterns import PatternBook, text_field
from gateway.policy.reading import Reading
from gateway.policy.values import Bytes, Model, mistake

_MADE_OF = frozenset({"xml", "bin", "rels", "txt", "html", "css"})
"""Parts of OOXML, ODF and EPUB documents."""


class AttachmentParams(Model):
    """Several keys mean all of them, of the same file."""

    name: Matchers | None = None
    type: FileTypes | None = None
    bytes_over: Bytes | None = None

    @model_validator(mode="after")
    def _something(self) -> AttachmentParams:
        if not self.model_fields_set:
            raise mistake("this is empty: write {name: matcher}, {type: pdf} or {bytes_over: 5MB}")
        return self


def _names(facts: Facts, report: PartReport) -> tuple[str, ...]:
    candidates = next((p.names for p in facts.message.parts if p.n == report.n), ())
    return tuple(dict.fromkeys([report.name, *candidates]))


def _attached(facts: Facts) -> tuple[PartReport, ...]:
    texts = {p.n for p in facts.message.parts if p.is_text}
    return tuple(r for r in facts.scan.parts if r.n not in texts and not r.inline)


_NAME = text_field("attachment.name", lambda facts: tuple(n for r in _attached(facts) for n in _names(facts, r)))


class _Attachment:
    name = "attachment"
    Params = AttachmentParams

    def test(self, params: AttachmentParams, book: PatternBook) -> Test:
        wanted = Wanted(params.name, _NAME, book) if params.name else None
        types = frozenset(params.type or ())

        def fits(reading: Reading, report: PartReport) -> bool:
            if wanted and not any(
                wanted.numbers & reading.hits_in(_NAME, name) for name in _names(reading.facts, report)
            ):
                return False
            if types and types.isdisjoint(spelled(t) for t in report.types) and _inside(report, types) is None:
                return False
            return params.bytes_over is None or report.size_bytes > params.bytes_over

        def saw(reading: Reading) -> str:
            files = sorted(_attached(reading.facts), key=lambda r: not fits(reading, r))
            return shown(", ".join(_describe(r, types) for r in files[:20])) or "(none)"

        return Test(lambda r: any(fits(r, report) for report in _attached(r.facts)), _expected(params, wanted), saw)


def _expected(params: AttachmentParams, wanted: Wanted | None) -> str:
    pieces = [f"name: {wanted.text}"] if wanted else []
    pieces += [f"type: {' or '.join(params.type)}"] if params.type else []
    pieces += [f"over {params.bytes_over} bytes"] if params.bytes_over is not None else []
    return ", ".join(pieces)


def _describe(report: PartReport, types: frozenset[str]) -> str:
    inner = _inside(report, types)
    within = f", in it {without_controls(inner.path)}" if inner else ""
    kinds = "/".join(report.types) or report.declared_type
    return f"{report.name or '(no name)'} ({kinds}, {report.size_bytes} bytes{within})"


def _inside(report: PartReport, types: frozenset[str]) -> InnerFile | None:
    """The first file in this one that is of these types. What every document is made of (pictures, XML) is none of its
    contents; what an archive, an attached message or a winmail.dat carries is as if it were attached itself.
    """
    for inner in report.inside:
        found = types.intersection(map(spelled, inner.types))
        if inner.container not in BUNDLES:
            found = frozenset(t for t in found if class_of(t) == "other" and t not in _MADE_OF)
        if found:
            return inner
    return None


CONDITION: Any = _Attachment()
