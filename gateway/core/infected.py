"""Where in a message the virus is that scanners found."""

from __future__ import annotations

from gateway.core.decision import Facts
from gateway.core.reports import INSIDE


def lies_in_files(facts: Facts) -> bool:
    """Whether every scanner says which files they are: what is in the text, or nobody knows where, cannot be stripped."""
    texts = {str(part.n) for part in facts.message.parts if part.is_text}
    findings = [f for f in facts.scan.findings if f.scanner != INSIDE]
    named = {f.scanner for f in findings if f.where.isdecimal()}
    return named == {f.scanner for f in findings} and texts.isdisjoint(f.where for f in findings)
