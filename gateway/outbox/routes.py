"""Which relay a message goes to: the first in the settings' order that is well, and the next when that one takes no word.

A relay that hangs must not delay what another could take by more than ten seconds, and a slow one must not be left where
it is the only one (RFC 5321 section 4.5.3.2 gives it minutes). So patience depends on whom else there is to ask, and is
shortened under way when somebody is well again. Whatever happens, a message whose final dot was sent waits where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway import log
from gateway.core.notice import Delivery
from gateway.notify.courier import Relay, deliver
from gateway.notify.patience import Patience
from gateway.outbox.lane import LATE_SECONDS, Attempt, Lane

BEFORE_SECONDS = 300.0
"""Until the content is sent, where nobody else can be asked (RFC 5321 sections 4.5.3.2.1 to 4.5.3.2.3)."""
AFTER_SECONDS = 600.0
"""For the answer to the final dot (RFC 5321 section 4.5.3.2.6): early leavers make duplicates."""
ELSEWHERE_SECONDS = 8.0
"""For all relays together that are asked before the last."""

LEAST_SECONDS = 1.0
KNOCK_SECONDS = 60.0
"""For a greeting without mail, where nobody else can be asked."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: `domain` is the recipient's."""

    reverse_path: str | None
    recipient: str
    domain: str
    content: bytes


@dataclass(slots=True, eq=False)
class Journey:
    """One message's way: `attempt` is the present one, `passed_over` names relays that took no word, with what was wrong."""

    letter: Letter
    attempt: Attempt
    began: float
    tried: list[Lane]
    passed_over: list[str] = field(default_factory=list)


class Routes:
    """The relays in order. Belongs to one event loop. `changed` is called when another message may start."""

    def __init__(
        self, relays: Sequence[Relay], changed: Callable[[], None], before: float = BEFORE_SECONDS,
        after: float = AFTER_SECONDS,
    ) -> None:  # fmt: skip
        self.lanes = tuple(Lane(relay, self._on_change) for relay in relays)
        self._changed = changed
        self._log = log.get("outbox")
        self._before, self._after = before, after
        self._change: asyncio.Future[None] | None = None
        self._waiting = 0
        """Messages that were passed over somewhere and wait for a slot: they go before those that begin."""
        self._knocks: dict[asyncio.Task[None], Lane] = {}

    @property
    def room(self) -> int:
        """How many messages may start now: at the first relay that is well, and one each where one is wanted as a trial."""
        room = 0
        for lane in self.lanes:
            room += lane.room
            if lane.is_well:
                break
        return max(0, room - self._waiting)

    @property
    def is_anyone_well(self) -> bool:
        return any(lane.is_well for lane in self.lanes)

    def begin(self, letter: Letter) -> Journey | None:
        """Takes a slot where this message may start now: a relay that is away is passed over, one that is busy is not."""
        for lane in self.lanes:
            if lane.has_room_for(letter.domain) and lane.room > self._waiting:
                tried = [lane]
                attempt = lane.enter(letter.domain, self._patience(tried, 0.0))
                return Journey(letter, attempt, attempt.began, tried)
            if lane.is_well:
                break
        return None

    def full_domains(self) -> set[str]:
        """Those whose mail waits for its share of slots."""
        return set().union(*(lane.full_domains() for lane in self.lanes))

    def look(self) -> None:
        """Knock where it is time to. To be called now and then."""
        at = asyncio.get_running_loop().time()
        for lane in self.lanes:
            if lane.circuit.knock_due(at) and lane not in self._knocks.values():
                seconds = LATE_SECONDS if self.is_anyone_well else min(self._before, KNOCK_SECONDS)
                knock = asyncio.get_running_loop().create_task(self._knock(lane, Patience(seconds, seconds)))
                self._knocks[knock] = lane
                knock.add_done_callback(self._knocked)

    def hurry(self) -> None:
        """Somebody changed something: see at once whether relays are back."""
        for lane in self.lanes:
            lane.circuit.hurry()

    async def send(self, journey: Journey) -> Delivery:
        """Until a relay has said something of this message, or may have it, or none is left to ask: what the last said."""
        while True:
            delivery = await self._at(journey.attempt, journey.letter)
            following = await self._next(journey) if delivery.took_no_word else None
            if following is None:
                return delivery
            words = f"{delivery.code} {delivery.reply}" if delivery.code else delivery.reply
            journey.passed_over.append(f"{delivery.via}: {words}")
            journey.attempt = following

    async def close(self) -> None:
        for knock in self._knocks:
            knock.cancel()
        await asyncio.gather(*self._knocks, return_exceptions=True)
        for lane in self.lanes:
            await lane.relay.close()

    async def _at(self, attempt: Attempt, letter: Letter) -> Delivery:
        lane = attempt.lane
        late = asyncio.get_running_loop().call_later(LATE_SECONDS, lane.late, attempt)
        try:
            delivery = await deliver(
                lane.relay,
                reverse_path=letter.reverse_path,
                recipient=letter.recipient,
                content=letter.content,
                patience=attempt.patience,
            )
            if lane.judge(delivery):
                self._call_away_from_others(lane)
            return delivery
        finally:
            late.cancel()
            lane.leave(attempt)

    def _patience(self, tried: Sequence[Lane], elapsed: float) -> Patience:
        """Before the content the shorter the later, as long as there is somebody else."""
        if not any(lane.is_well for lane in self.lanes if lane not in tried):
            return Patience(self._before, self._after)
        return Patience(min(self._before, max(LEAST_SECONDS, 0.6 * (ELSEWHERE_SECONDS - elapsed))), self._after)

    def _call_away_from_others(self, back: Lane) -> None:
        """Those who wait at another relay for its first words have somebody else to ask again."""
        for lane in self.lanes:
            if lane is not back:
                for attempt in lane.under_way:
                    attempt.patience.shorten(LATE_SECONDS)

    async def _next(self, journey: Journey) -> Attempt | None:
        """A turn at the first untried relay that gives one; None when none is left that would."""
        self._waiting += 1
        try:
            while True:
                left = [lane for lane in self.lanes if lane not in journey.tried]
                for lane in left:
                    if lane.has_room_for(journey.letter.domain):
                        journey.tried.append(lane)
                        elapsed = asyncio.get_running_loop().time() - journey.began
                        return lane.enter(journey.letter.domain, self._patience(journey.tried, elapsed))
                if not any(lane.is_well for lane in left):
                    return None
                self._change = self._change or asyncio.get_running_loop().create_future()
                await asyncio.shield(self._change)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._changed()

    async def _knock(self, lane: Lane, patience: Patience) -> None:
        if await lane.knock(patience):
            self._call_away_from_others(lane)

    def _knocked(self, knock: asyncio.Task[None]) -> None:
        del self._knocks[knock]
        if not knock.cancelled() and (bug := knock.exception()):
            self._log.error("knocking failed", exc_info=bug)

    def _on_change(self) -> None:
        if self._change and not self._change.done():
            self._change.set_result(None)
        self._change = None
        self._changed()
