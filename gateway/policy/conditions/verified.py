"""`verified: true|false`: whether the author is proven."""

from __future__ import annotations

from typing import Any

from gateway.core.reports import Sender
from gateway.policy.condition import Test
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading


class _Verified:
    name = "verified"
    Params = bool

    def test(self, params: bool, book: PatternBook) -> Test:
        del book  # no pattern to enter

        def holds(reading: Reading) -> bool:
            return (reading.facts.auth.sender is Sender.VERIFIED) == params

        return Test(holds, str(params).lower(), lambda reading: reading.facts.auth.sender.value)


CONDITION: Any = _Verified()
