"""The outbox worker: claims what is due, sends it, records every attempt. Polling is the guarantee, `wake` only hurries.

stock   a thread: claim by turns, render, store, sign          one batch at a time, while others are sent
send    the event loop: a relay with a free slot               `routes.py` says which
record  a thread: what has ended meanwhile, as one commit      `record.py`
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic

from gateway import log, metrics
from gateway.core.clock import new_id, now
from gateway.core.errors import Surroundings
from gateway.core.notice import Delivery, DeliveryResult
from gateway.core.tokens import Tokens
from gateway.notify.courier import Relay
from gateway.notify.render import Templates
from gateway.offload import Offload
from gateway.outbox.preparing import ROOM_BYTES, Preparation, Prepared
from gateway.outbox.record import Recorder
from gateway.outbox.routes import AFTER_SECONDS, BEFORE_SECONDS, Journey, Routes
from gateway.outbox.schedule import next_after_silence, next_attempt
from gateway.store import outbox
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.outbox import Claim, Due, Settlement
from gateway.store.secret import Secret
from gateway.store.sole import Sole

BATCH = 32
"""Rows claimed and rendered together: some 40 ms of a thread."""
LOOK_AHEAD = 2000
"""Rows that one look-up puts into their order."""
LOOK_AGAIN_SECONDS = 1.0
LOOK_SHARE = 20
"""A look-up that took long, because much is due, is made again after so many times its length."""
POLL_SECONDS = 1.0
LAST_SECONDS = 5.0
"""How long attempts may go on after the stop; then they are cut, recorded and due again at the next start."""


class OutboxWorker:
    """One task. Without a relay the outbox holds: rows wait, visible, until one is configured."""

    def __init__(
        self,
        *,
        store: Store,
        secret: Secret,
        tokens: Tokens,
        templates: Templates,
        relays: Sequence[Relay],
        blobs: FileBlobs,
        gateway_domain: str,
        store_pool: Offload,
        sole: Sole | None = None,
        before_seconds: float = BEFORE_SECONDS,
        after_seconds: float = AFTER_SECONDS,
    ) -> None:
        """`sole`: once it is ours, what others hold is a dead one's. Without it, others work on the same database, and leases
        run out.
        """
        self._store = store
        self._store_pool = store_pool
        self._preparation = Preparation(store, secret, tokens, templates, blobs, gateway_domain)
        self._routes = Routes(relays, self._on_room, before_seconds, after_seconds)
        self._recorder = Recorder(store, store_pool, self._on_record)
        self._name = new_id()
        self._wake = asyncio.Event()
        self._sole = sole
        self._takes_over = sole is not None
        self._stopping = False
        self._stocking: asyncio.Task[None] | None = None
        self._due: deque[Due] = deque()
        self._look = True
        self._look_after = 0.0
        self._barren: frozenset[str] | None = None
        """The domains held up when all that was due was theirs."""
        self._ready: list[Prepared] = []
        self._in_hand: dict[str, Claim] = {}
        """From the claim to the record."""
        self._sending: set[asyncio.Task[None]] = set()
        self._renewed_at = monotonic()
        self._log = log.get("outbox")

    def wake(self) -> None:
        """Something was committed: look now."""
        self._look = True
        self._wake.set()

    def forget(self) -> None:
        """An admin changed something: keys are read anew, and relays are looked at again."""
        self._preparation.forget()
        self._routes.hurry()
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`; ends when the attempts under way have been recorded, with what came of them so far."""
        if not self._routes.lanes:
            self._log.warning("no relay configured: notifications are held", key="relay.url")
        while not self._stopping:
            try:
                await self._round()
            except Surroundings as error:
                self._log.warning("outbox waits", error=str(error))
            except Exception as error:  # noqa: BLE001  the loop's one broad except: one bad row stops nobody's mail
                self._log.error("outbox round failed", exc_info=error)
            await self._sleep()
        await self._end()

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            self._look = True
        finally:
            self._wake.clear()

    async def _end(self) -> None:
        if self._stocking:
            await asyncio.gather(self._stocking, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_SECONDS)
        for sending in self._sending:
            sending.cancel()
        if self._sending:
            await asyncio.wait(self._sending)
        await self._recorder.finish()
        await self._routes.close()
        try:
            await self._store_pool(outbox.release, self._store, list(self._in_hand.values()))
        except Surroundings as error:
            self._log.warning("leases not given back: they run out by themselves", error=str(error))
        if self._sole:
            self._sole.let_go()

    async def _round(self) -> None:
        if self._takes_over and self._sole and self._sole.is_ours():
            await self._store_pool(outbox.release_leases, self._store, self._name)
            self._takes_over = False
        self._routes.look()
        self._send_ready()
        if self._stocking and self._stocking.done():
            stocked, self._stocking = self._stocking, None
            stocked.result()
        if not self._stocking and self._wanted() > 0:
            self._stocking = asyncio.get_running_loop().create_task(self._stock(self._wanted()))
            self._stocking.add_done_callback(lambda _: self._wake.set())
        if self._in_hand and monotonic() > self._renewed_at + outbox.LEASE.total_seconds() / 5:
            self._renewed_at = monotonic()
            await self._store_pool(outbox.renew, self._store, list(self._in_hand.values()), now(), True, self._name)

    # --- stock ---

    def _wanted(self) -> int:
        """How many rows to claim now: a batch when there is little left, only trials when no relay is well."""
        if not self._may_look() and (not self._due or self._held_up() == self._barren):
            return 0
        if sum(len(one.letter.content) for one in self._ready if one.letter) >= ROOM_BYTES:
            return 0
        if not self._routes.is_anyone_well:
            return self._routes.room - len(self._ready)
        held_up = self._held_up()
        left = sum(1 for one in self._ready if not one.letter or one.letter.domain not in held_up)
        return BATCH if 2 * left < BATCH else 0

    def _held_up(self) -> frozenset[str]:
        """Recipients' domains that use up their share of slots, with enough mail ready for when one is free."""
        full = self._routes.full_domains()
        ready = Counter(one.letter.domain for one in self._ready if one.letter) if full else Counter()
        return frozenset(domain for domain in full if 2 * ready[domain] >= BATCH)

    async def _stock(self, wanted: int) -> None:
        if self._may_look():
            await self._look_up()
        batch = self._next_due(wanted)
        if batch:
            claims = await self._store_pool(outbox.take, self._store, batch, now(), (), True, self._name)
            prepared = await self._store_pool(self._preparation, claims)
            # together, so that what broke off in between was never in hand: then it is free for us again
            self._in_hand.update((one.claim.id, one.claim) for one in prepared)
            self._ready += prepared
            if len(prepared) < len(claims):
                await self._give_back([c for c in claims if c.id not in self._in_hand])
        self._on_room()

    async def _give_back(self, claims: list[Claim]) -> None:
        """There was no room for these: they come next."""
        await self._store_pool(outbox.release, self._store, claims)
        self._due.extendleft(reversed([Due(c.account_id, c.id, domain_of(c.recipient)) for c in claims]))

    def _may_look(self) -> bool:
        return self._look and (not self._due or monotonic() > self._look_after)

    async def _look_up(self) -> None:
        began = monotonic()
        self._look = False
        in_hand = set(self._in_hand)
        try:
            found = await self._store_pool(outbox.due, self._store, now(), LOOK_AHEAD, in_hand, True, self._name)
        except BaseException:
            self._look = True
            raise
        self._due = deque(found)
        self._look_after = monotonic() + max(LOOK_AGAIN_SECONDS, LOOK_SHARE * (monotonic() - began))
        self._look |= bool(found)  # there may be more of them

    def _next_due(self, wanted: int) -> list[Due]:
        held_up = self._held_up()
        batch: list[Due] = []
        others: list[Due] = []
        while self._due and len(batch) < wanted:
            one = self._due.popleft()
            if one.id not in self._in_hand:
                (others if one.domain in held_up else batch).append(one)
        self._due.extendleft(reversed(others))
        self._barren = None if batch else held_up
        return batch

    # --- send ---

    def _on_room(self) -> None:
        """A slot is free, or a relay has changed."""
        if not self._stopping:
            self._send_ready()
            if self._wanted() > 0 or not self._routes.is_anyone_well:
                self._wake.set()

    def _send_ready(self) -> None:
        waiting = []
        for place, one in enumerate(self._ready):
            journey = self._routes.begin(one.letter) if one.letter else None
            if journey:
                self._start(one.claim, journey)
            elif one.letter:
                waiting.append(one)
                if not self._routes.room:
                    waiting += self._ready[place + 1 :]
                    break
            else:
                self._settle(one.claim, Delivery(DeliveryResult.FAILED, 0, one.fault, "gateway"))
        self._ready = waiting

    def _start(self, claim: Claim, journey: Journey) -> None:
        task = asyncio.get_running_loop().create_task(self._send(claim, journey))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, claim: Claim, journey: Journey) -> None:
        """Whatever happens is recorded; it never raises, and the stop can cut it."""
        try:
            delivery = await self._routes.send(journey)
        except asyncio.CancelledError:
            out = journey.attempt.patience.content_is_out
            words = "cut by our own stop before an answer came"
            delivery = Delivery(DeliveryResult.RETRY, 0, words, journey.attempt.lane.relay.name, uncertain=out)
        except Exception as error:  # noqa: BLE001  a row that breaks our code fails visibly, it never stops the worker
            self._log.error("notification failed", outbox=claim.id, exc_info=error)
            delivery = Delivery(DeliveryResult.FAILED, 0, f"{type(error).__name__}: see the log", "gateway")
        self._settle(claim, delivery, tuple(journey.passed_over))

    # --- record ---

    def _settle(self, claim: Claim, delivery: Delivery, passed_over: tuple[str, ...] = ()) -> None:
        metrics.DELIVERIES.labels(delivery.result.value).inc()
        self._recorder.add(_settlement(claim, delivery, passed_over))

    def _on_record(self, settled: Sequence[Settlement]) -> None:
        for one in settled:
            self._in_hand.pop(one.claim.id, None)


def domain_of(recipient: str) -> str:
    return recipient.rpartition("@")[2].lower()


def _settlement(claim: Claim, delivery: Delivery, passed_over: tuple[str, ...]) -> Settlement:
    at = now()
    if delivery.result is DeliveryResult.DELIVERED:
        return Settlement(claim, delivery, "delivered", at, passed_over)
    if delivery.result is DeliveryResult.FAILED:
        return Settlement(claim, delivery, "failed", at, passed_over)
    if delivery.took_no_word:
        due = next_after_silence(claim.created_at, at)
    else:
        due = next_attempt(claim.attempts + 1, claim.created_at, at)
    return Settlement(claim, delivery, "pending" if due else "failed", due or at, passed_over)
