"""What is remembered of a relay that failed (RFC 5321 section 4.5.4.1): until when it is left alone. Pure."""

from __future__ import annotations

from enum import Enum

FIRST_PAUSE = 1.0


class Trouble(Enum):
    """What was wrong, with the longest pause in seconds before the relay is looked at again."""

    SILENT = 10.0
    """Not reached, or no answer. To look costs a connection and no mail, and whatever waits goes out when it is back."""
    STALLED = 60.0
    """It answered when it was looked at, and then failed with mail: each try costs that mail some seconds."""
    REFUSED = 300.0
    """It said no to us: a wrong password every few seconds gets an address banned."""


class Standing(Enum):
    WELL = "well"
    AWAY = "away"
    ON_TRIAL = "on trial"
    """It answered a knock: one message at a time, until one of them was answered."""


class Circuit:
    """One relay's. Times are those of a monotonic clock, in seconds.

    well --failed--> away --knock due--> (knocked) --> on trial --answered--> well
                       ^----------- failed ---------------'
    """

    def __init__(self) -> None:
        self.standing = Standing.WELL
        self._failures = 0
        self._pause_ends = 0.0

    def answered(self) -> bool:
        """A reply to mail, whatever it says. True when that ends an outage."""
        ended = self.standing is not Standing.WELL
        self.standing, self._failures = Standing.WELL, 0
        return ended

    def knocked(self) -> None:
        """It answered without mail. The number of failures stays: what fails again with mail waits longer."""
        if self.standing is Standing.AWAY:
            self.standing = Standing.ON_TRIAL

    def failed(self, trouble: Trouble, at: float) -> bool:
        """True when that begins an outage. Of many that fail at once only the first counts."""
        if self.standing is Standing.AWAY and at < self._pause_ends:
            return False
        begins = self.standing is Standing.WELL
        longest = trouble.value
        if self.standing is Standing.ON_TRIAL:
            longest = max(longest, Trouble.STALLED.value)
        self._pause_ends = at + min(FIRST_PAUSE * 2 ** min(self._failures, 10), longest)
        self._failures += 1
        self.standing = Standing.AWAY
        return begins

    def knock_due(self, at: float) -> bool:
        return self.standing is Standing.AWAY and at >= self._pause_ends

    def hurry(self) -> None:
        """Somebody changed something: look now."""
        self._pause_ends = 0.0
