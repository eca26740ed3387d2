"""The outbox worker: claims what is due, sends it, records every attempt. Polling is the guarantee, `wake` only hurries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from time import monotonic

from gateway import log, metrics
from gateway.core.clock import new_id, now
from gateway.core.errors import GatewayError, Surroundings
from gateway.core.notice import Delivery, DeliveryResult, Rendered
from gateway.core.tokens import Tokens
from gateway.notify.compose import compose
from gateway.notify.courier import Relay, deliver
from gateway.notify.render import Templates
from gateway.notify.sign import sign
from gateway.offload import Offload
from gateway.outbox.schedule import next_attempt
from gateway.store import outbox
from gateway.store.engine import Store
from gateway.store.outbox import Claim, Settlement, SigningKey
from gateway.store.secret import Secret

BATCH = 32
AT_ONCE = 16
"""Attempts under way at once: a relay that hangs holds its own slots, not the queue."""
POLL_SECONDS = 1.0
ATTEMPT_SECONDS = 60.0
RECORD_AGAIN_SECONDS = 1.0
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
        gateway_domain: str,
        store_pool: Offload,
        cpu_pool: Offload,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._store = store
        self._secret = secret
        self._tokens = tokens
        self._templates = templates
        self._relays = tuple(relays)
        self._domain = gateway_domain
        self._store_pool = store_pool
        self._cpu_pool = cpu_pool
        self._attempt_seconds = attempt_seconds
        self._name = new_id()
        self._wake = asyncio.Event()
        self._stopping = False
        self._under_way: dict[asyncio.Task[None], str] = {}
        """Tasks with the id of the row each has in hand."""
        self._attempts: set[asyncio.Task[Delivery]] = set()
        self._keys: dict[str, SigningKey] = {}
        self._log = log.get("outbox")

    def wake(self) -> None:
        """Something was committed: look now."""
        self._wake.set()

    def forget(self) -> None:
        """An admin changed something: keys are read anew."""
        self._keys = {}

    async def run(self) -> None:
        """Until `stop`; ends when the attempts under way have been recorded, with what came of them so far."""
        if not self._relays:
            self._log.warning("no relay configured: notifications are held", key="relay.url")
        while not self._stopping:
            busy = False
            try:
                busy = await self._round()
            except Surroundings as error:
                self._log.warning("outbox waits", error=str(error))
            except Exception as error:  # noqa: BLE001  the loop's one broad except: one bad row stops nobody's mail
                self._log.error("outbox round failed", exc_info=error)
            if not busy:
                await self._sleep()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LAST_SECONDS)
        for attempt in self._attempts:
            attempt.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _round(self) -> bool:
        """Claim as many as there are free slots; True when there may be more at once."""
        free = AT_ONCE - len(self._under_way)
        if not self._relays or free <= 0:
            return False
        in_hand = self._under_way.values()
        claims = await self._store_pool(
            outbox.claim, self._store, now(), min(BATCH, free), set(in_hand), True, self._name
        )
        for claim in claims:
            task = asyncio.get_running_loop().create_task(self._deliver(claim))
            self._under_way[task] = claim.id
            task.add_done_callback(self._done)
        return False

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._wake.set()

    async def _deliver(self, claim: Claim) -> None:
        """One attempt, from rendering (the first time) to its record. Whatever happens is recorded; it never raises."""
        try:
            delivery = await self._until_cut(claim)
            metrics.DELIVERIES.labels(delivery.result.value).inc()
            await self._record(_settlement(claim, delivery, now()))
        except Surroundings as error:
            # the lease runs out by itself and the row is tried again
            self._log.warning("attempt not made", outbox=claim.id, error=str(error))
        except Exception as error:  # noqa: BLE001  a row that breaks our code fails visibly, it never stops the worker
            self._log.error("notification failed", outbox=claim.id, exc_info=error)
            await self._give_up(claim, f"{type(error).__name__}: see the log")

    async def _until_cut(self, claim: Claim) -> Delivery:
        """The attempt as a task of its own: the stop can cut it, and its record is made all the same."""
        attempt = asyncio.get_running_loop().create_task(self._attempt(claim))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            return await attempt
        except asyncio.CancelledError:
            if not attempt.cancelled():
                raise
            return Delivery(DeliveryResult.RETRY, 0, "cut by our own stop before an answer came", "", uncertain=True)

    async def _give_up(self, claim: Claim, why: str) -> None:
        await self._record(_settlement(claim, Delivery(DeliveryResult.FAILED, 0, why, "gateway"), now()))

    async def _record(self, settlement: Settlement) -> None:
        """Tried again while the lease is young: unrecorded, a row whose mail is out would be sent a second time."""
        end = monotonic() + outbox.LEASE.total_seconds() / 2
        while True:
            try:
                await self._store_pool(outbox.settle, self._store, [settlement], now())
            except Surroundings as error:
                self._log.warning("attempt not recorded", outbox=settlement.claim.id, error=str(error))
                if self._stopping or monotonic() > end:
                    return
                await asyncio.sleep(RECORD_AGAIN_SECONDS)
            else:
                return

    async def _attempt(self, claim: Claim) -> Delivery:
        try:
            rendered = await self._rendered(claim)
        except Surroundings:
            raise
        except GatewayError as error:
            return Delivery(DeliveryResult.FAILED, 0, f"not sent: {error}", "gateway")
        content = await self._cpu_pool(self._signed, claim, rendered)
        delivery = Delivery(DeliveryResult.RETRY, 0, "no relay", "")
        for relay in self._relays:
            delivery = await deliver(
                relay,
                reverse_path=rendered.reverse_path,
                recipient=claim.recipient,
                content=content,
                timeout_seconds=self._attempt_seconds,
            )
            # only a relay that took no word of it is passed over; after an uncertain end another would double it
            if delivery.result is not DeliveryResult.RETRY or delivery.uncertain or delivery.code:
                break
        return delivery

    async def _rendered(self, claim: Claim) -> Rendered:
        """Every attempt sends the bytes of the first."""
        if claim.rendered is not None:
            return claim.rendered
        return await self._store_pool(self._render, claim)

    def _render(self, claim: Claim) -> Rendered:
        notice = outbox.notice_of(self._store, claim, self._domain)
        rendered = compose(notice, tokens=self._tokens, templates=self._templates)
        outbox.keep_rendered(self._store, claim, rendered)
        return rendered

    def _signed(self, claim: Claim, rendered: Rendered) -> bytes:
        key = self._keys.get(claim.account_id)
        if key is None:
            key = outbox.signing_key(self._store, self._secret, claim.account_id, self._domain)
            self._keys[claim.account_id] = key
        return sign(rendered.content, domain=key.domain, selector=key.selector, private_key_pem=key.private_key_pem)


def _settlement(claim: Claim, delivery: Delivery, at: datetime) -> Settlement:
    if delivery.result is DeliveryResult.DELIVERED:
        return Settlement(claim, delivery, "delivered", at)
    if delivery.result is DeliveryResult.FAILED:
        return Settlement(claim, delivery, "failed", at)
    due = next_attempt(claim.attempts + 1, claim.created_at, at)
    return Settlement(claim, delivery, "pending", due) if due else Settlement(claim, delivery, "failed", at)
