"""One relay as the outbox sees it: its slots, who is on his way to it, and what is remembered of its failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway import log
from gateway.core.notice import Delivery
from gateway.notify.courier import Relay
from gateway.notify.patience import Patience
from gateway.outbox.circuit import Circuit, Standing, Trouble

SLOTS = 16
"""Messages on their way to one relay at once. A relay that hangs holds its own, and no other's."""
LATE_SECONDS = 5.0
"""A relay that has answered nobody for so long gets nothing new."""

ANSWERS_FOR_A_SLOT = 1000
"""A relay that had too many connections of ours gets one more after so many answers."""

_GOING_AWAY = 421


@dataclass(slots=True, eq=False)
class Attempt:
    """A message on its way. `began` is the loop's time; `trial`: all that the relay is given until it has answered;
    `lingers`: its final dot was sent long ago, and it does nothing but wait.
    """

    lane: Lane
    domain: str
    patience: Patience
    began: float
    trial: bool
    lingers: bool = False


class Lane:
    """Belongs to one event loop. `changed` is called when others may have a turn, or have to look elsewhere."""

    def __init__(self, relay: Relay, changed: Callable[[], None]) -> None:
        self.relay = relay
        self.circuit = Circuit()
        self.under_way: set[Attempt] = set()
        self._taken = 0
        self._domains: Counter[str] = Counter()
        self._trial = False
        self._last_answer = -LATE_SECONDS
        self._slots = SLOTS
        self._answers = 0
        self._changed = changed
        self._log = log.get("outbox")

    @property
    def is_well(self) -> bool:
        return self.circuit.standing is Standing.WELL

    @property
    def room(self) -> int:
        """How many messages may start now."""
        free = max(0, self._slots - self._taken + self._spared)
        if self.circuit.standing is Standing.ON_TRIAL:
            return min(free, int(not self._trial))
        return free if self.is_well else 0

    @property
    def _spared(self) -> int:
        """Slots of those that linger, perhaps for ten minutes, are given to others: as many as there are slots, and none
        where the relay counts our connections.
        """
        lingering = sum(attempt.lingers for attempt in self.under_way)
        return min(lingering, SLOTS) if self._slots == SLOTS else 0

    def has_room_for(self, domain: str) -> bool:
        """No recipients' domain gets more than three quarters of the slots: a slow one leaves the others some."""
        return self.room > 0 and self._domains[domain] < self._share

    @property
    def _share(self) -> int:
        return max(1, self._slots * 3 // 4)

    def enter(self, domain: str, patience: Patience) -> Attempt:
        """Takes a slot, until `leave`."""
        self._taken += 1
        self._domains[domain] += 1
        trial = self.circuit.standing is Standing.ON_TRIAL
        self._trial |= trial
        attempt = Attempt(self, domain, patience, asyncio.get_running_loop().time(), trial)
        self.under_way.add(attempt)
        return attempt

    def leave(self, attempt: Attempt) -> None:
        self.under_way.discard(attempt)
        self._taken -= 1
        if not attempt.lingers:
            self._less(attempt.domain)
        if attempt.trial:
            self._trial = False
        self._changed()

    def _less(self, domain: str) -> None:
        self._domains[domain] -= 1
        if not self._domains[domain]:
            del self._domains[domain]

    def full_domains(self) -> set[str]:
        return {d for d, count in self._domains.items() if count >= self._share}

    def judge(self, delivery: Delivery) -> bool:
        """What an attempt says of the relay. True when it is well again."""
        if self._is_full(delivery):
            self._slots = max(1, min(self._slots, self._taken) - 1)
            self._answers = 0
            return False
        if delivery.took_no_word or delivery.uncertain:
            self.failed(_trouble(delivery), f"{delivery.code or ''} {delivery.reply}".strip())
            return False
        if not delivery.code:  # what must not leave us, or this relay cannot carry: it was not asked
            return False
        self._last_answer = asyncio.get_running_loop().time()
        self._answers += 1
        if self._answers % ANSWERS_FOR_A_SLOT == 0:
            self._slots = min(SLOTS, self._slots + 1)
        recovered = self.circuit.answered()
        if recovered:
            self._log.info("relay answers again", relay=self.relay.name)
            self._changed()
        return recovered

    def _is_full(self, delivery: Delivery) -> bool:
        """It puts off this connection and answers on others: too many of ours, and not the relay's end."""
        lately = asyncio.get_running_loop().time() - self._last_answer < LATE_SECONDS
        return delivery.of_the_relay and 400 <= delivery.code <= 499 and self._taken > 1 and lately

    def late(self, attempt: Attempt) -> None:
        """Nobody may have heard of it since: then it gets nothing new, and whoever waits for it goes on waiting."""
        if attempt.patience.content_is_out:
            attempt.lingers = True
            self._less(attempt.domain)
        if self._last_answer < attempt.began:
            self._end_trial(attempt)
            trouble = Trouble.STALLED if attempt.patience.content_is_out else Trouble.SILENT
            self.failed(trouble, f"no answer for {LATE_SECONDS:g} s")

    def failed(self, trouble: Trouble, why: str) -> None:
        if self.circuit.failed(trouble, asyncio.get_running_loop().time()):
            self._log.warning("relay left alone", relay=self.relay.name, why=why)
        self._changed()

    async def knock(self, patience: Patience) -> bool:
        """Whether it is back, as far as can be seen without mail."""
        wrong = await self.relay.knock(patience)
        if wrong:
            self.failed(_trouble(wrong), wrong.reply)
            return False
        self.circuit.knocked()
        self._changed()
        return True

    def _end_trial(self, attempt: Attempt) -> None:
        if attempt.trial:
            attempt.trial = self._trial = False


def _trouble(delivery: Delivery) -> Trouble:
    if delivery.uncertain or delivery.code == _GOING_AWAY:
        return Trouble.STALLED
    return Trouble.REFUSED if delivery.code else Trouble.SILENT
