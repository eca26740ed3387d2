"""`note: text`: an internal note on the ticket, for agents; the notes of all rules add up."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from gateway.core.decision import Note
from gateway.policy.action import Order
from gateway.policy.values import Text, mistake

LONGEST_NOTE = 2000
_SHOWN = 80


def _note(value: str) -> str:
    text = value.strip()
    if len(text) > LONGEST_NOTE:
        raise mistake(f"a note has at most {LONGEST_NOTE} characters here, this has {len(text)}: shorten it")
    return text


class _Note:
    name = "note"
    Params = Annotated[Text, AfterValidator(_note)]
    bare = False

    def orders(self, params: str) -> tuple[Order, ...]:
        line = " ".join(params.split())
        return (Order(Note(params), f"note: {line if len(line) <= _SHOWN else line[: _SHOWN - 1] + '…'}"),)


ACTION: Any = _Note()
