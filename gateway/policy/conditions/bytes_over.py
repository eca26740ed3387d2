"""`bytes_over`: the whole message is bigger than this."""

from __future__ import annotations

from typing import Any

from gateway.policy.condition import Test
from gateway.policy.patterns import PatternBook
from gateway.policy.values import Bytes


class _BytesOver:
    name = "bytes_over"
    Params = Bytes

    def test(self, params: int, book: PatternBook) -> Test:
        del book  # no pattern to enter
        return Test(
            lambda reading: reading.facts.envelope.size_bytes > params,
            f"over {params} bytes",
            lambda reading: f"{reading.facts.envelope.size_bytes} bytes",
        )


CONDITION: Any = _BytesOver()
