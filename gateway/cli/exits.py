"""The exit codes of `receive`, from sysexits.h: for any other a mail server bounces mail that it could have kept."""

from __future__ import annotations

from typing import Final

REFUSED: Final = 65
"""EX_DATAERR: the mail server returns the message to its sender."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL: the mail server keeps the message and comes again."""


def to_a_mail_server(code: int) -> int:
    """What `receive` ends with: whatever else went wrong is no reason to return mail."""
    return code if code in (0, REFUSED) else TRY_AGAIN
