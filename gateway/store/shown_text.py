"""What of a message's own words may be shown: no virus leaves as text, and no file that stands in the text of what waits."""

from __future__ import annotations

from gateway.core.ambiguity import BINHEX, UUENCODE, YENC
from gateway.core.decision import Facts
from gateway.core.reports import ScanStatus
from gateway.store.filing import Kept

_FILES = frozenset({UUENCODE, YENC, BINHEX})


def is_withheld(disposition: str, facts: Facts) -> bool:
    """Infected mail in quarantine: its text may be what is infected, and it is never released."""
    return disposition == Kept.QUARANTINED.value and facts.scan.status is ScanStatus.INFECTED


def shown_text(text: str, disposition: str, facts: Facts) -> str:
    """Nothing where it is withheld; of other quarantined mail what stands before a file in uuencode and the like."""
    if is_withheld(disposition, facts):
        return ""
    if disposition != Kept.QUARANTINED.value or _FILES.isdisjoint(facts.message.defects):
        return text
    from gateway.parse.files_in_text import before_files  # late: the parser would slow down the start of every command

    return before_files(text)
