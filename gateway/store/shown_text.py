"""What of a message's own words may be shown: no virus leaves as text, and no file that stands in the text of what waits."""

from __future__ import annotations

from gateway.core.ambiguity import BINHEX, UUENCODE, YENC
from gateway.core.decision import Facts
from gateway.core.infected import lies_in_files
from gateway.core.reports import ScanStatus
from gateway.store.filing import Kept

_FILES = frozenset({UUENCODE, YENC, BINHEX})


def is_withheld(disposition: str, facts: Facts) -> bool:
    """Infected mail in quarantine, which is never released, and any whose text may be what is infected: what came while the
    scanner was away is a ticket by the time it is scanned.
    """
    infected = facts.scan.status is ScanStatus.INFECTED
    return infected and (disposition == Kept.QUARANTINED.value or not lies_in_files(facts))


def shown_text(text: str, disposition: str, facts: Facts) -> str:
    """Nothing where it is withheld; of other quarantined mail what stands before a file in uuencode and the like."""
    if is_withheld(disposition, facts):
        return ""
    if disposition != Kept.QUARANTINED.value or _FILES.isdisjoint(facts.message.defects):
        return text
    from gateway.parse.files_in_text import before_files  # late: the parser would slow down the start of every command

    return before_files(text)
