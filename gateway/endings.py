"""How the way of a message ends: kept with what was decided, parked unread, or not kept; and what is told of it.

The way itself is `intake.py`'s; whatever it comes to is written here, so that a 250 is never given for less.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from gateway import log
from gateway.core.clock import now
from gateway.core.decision import Decision, Facts
from gateway.core.errors import OutOfMemory, StorageFull, Surroundings
from gateway.core.outcome import Accepted, Deferred, Outcome, Parked, Reason, Refused
from gateway.core.trace import Step, TransactionRecord, record_of
from gateway.journey import Again, Journey
from gateway.offload import Offload
from gateway.store.blobs import INLINE_BYTES as ROW_BYTES
from gateway.store.blobs import FileBlobs
from gateway.store.committer import Committer
from gateway.store.directory import AccountEntry
from gateway.store.filing import Answered, Filing, LogEntry
from gateway.store.keys import receipt_key
from gateway.verify.results import authentication_results

_DEFERRED_FOR = {StorageFull: Reason.STORAGE_FULL, OutOfMemory: Reason.INTERNAL}


class Endings:
    """`account_of` gives an account by its name and raises what the store raises."""

    def __init__(
        self,
        *,
        authserv_id: str,
        committer: Committer,
        blobs: FileBlobs,
        store_pool: Offload,
        account_of: Callable[[str], Awaitable[AccountEntry]],
        reply_line: Callable[[Outcome, str], str],
    ) -> None:
        self._authserv_id = authserv_id
        self._committer = committer
        self._blobs = blobs
        self._store_pool = store_pool
        self._account_of = account_of
        self._reply_line = reply_line
        self._log = log.get("intake")

    async def commit(
        self,
        journey: Journey,
        facts: Facts,
        decision: Decision,
        *,
        again: Again | None,
        answered: Answered | None = None,
    ) -> Outcome:
        """Keep it with what was decided. Raises what the store raises."""
        journey.stage = "commit"
        envelope = journey.envelope
        filing = Filing(
            message_id=journey.message_id,
            account_id=facts.place.account_id,
            envelope=envelope,
            facts=facts,
            decision=decision,
            parked=None,
            results_header=authentication_results(facts.auth, self._authserv_id),
            blob=await self._store_large(journey, facts.place.account_id, again=again),
            steps=tuple(journey.steps),
            again=again is not None,
            answered=answered,
        )
        return await self._file(journey, filing)

    async def _file(self, journey: Journey, filing: Filing) -> Outcome:
        with journey.in_stage("commit"):
            outcome = await self._committer.file(filing)
        journey.kept = filing.kept.value
        return outcome

    async def _store_large(self, journey: Journey, account_id: str, *, again: Again | None) -> bool:
        """Large content is on disk before the commit that names it."""
        content = journey.envelope.content
        if len(content) <= ROW_BYTES:
            return False
        if not again:
            await self._store_pool(self._blobs.put, account_id, journey.message_id, content)
        return True

    async def park(self, journey: Journey, reason: Reason, text: str, *, again: Again | None) -> Outcome:
        """Keep the bytes for a person, with as little of our code as can be; if even that fails, the client comes again."""
        journey.steps.append(Step(now(), journey.stage, "parked", reason.value, {"detail": text}))
        try:
            account = await self._account_of(journey.envelope.account)
            blob = await self._store_large(journey, account.id, again=again)
            filing = Filing(
                message_id=journey.message_id,
                account_id=account.id,
                envelope=journey.envelope,
                facts=None,
                decision=None,
                parked=reason,
                results_header="",
                blob=blob,
                steps=tuple(journey.steps),
                again=again is not None,
            )
            return await self._file(journey, filing)
        except Surroundings as error:
            return self.deferred(journey, error)
        except Exception as error:  # noqa: BLE001  parking is the last resort: where it fails too, 451
            self._log.error("parking failed", exc_info=error)
            outcome = Deferred(Reason.INTERNAL)
            self._committer.record_later(self._log_entry(journey, outcome))
            return outcome

    def deferred(self, journey: Journey, error: Surroundings) -> Outcome:
        """The client is not kept waiting for a line in a log that cannot be written just now."""
        self._log.warning("message deferred", stage=journey.stage, error=str(error))
        outcome = Deferred(_DEFERRED_FOR.get(type(error), Reason.STORE_UNAVAILABLE))
        self._committer.record_later(self._log_entry(journey, outcome))
        return outcome

    async def unkept(self, journey: Journey, outcome: Refused | Deferred) -> Outcome:
        """Nothing of the message stays but its line in the delivery log."""
        entry = self._log_entry(journey, outcome)
        try:
            await self._committer.record(entry)
        except Surroundings as error:
            self._log.warning("delivery log not written", reply=entry.record.reply, error=str(error))
        return outcome

    def tell(self, journey: Journey, outcome: Outcome, *, again: bool = False) -> None:
        """The canonical line of the process log. What goes the line again answers no client: no reply."""
        record = self._record(journey, outcome, answered=not again)
        seconds = perf_counter() - journey.began
        log.transaction(record, journey.steps, outcome, seconds=seconds, kept_as=journey.kept, again=again)

    def _log_entry(self, journey: Journey, outcome: Refused | Deferred) -> LogEntry:
        envelope = journey.envelope
        deferral = receipt_key(envelope.recipients, envelope.sha256) if isinstance(outcome, Deferred) else None
        return LogEntry(self._record(journey, outcome), tuple(journey.steps), deferral)

    def _record(self, journey: Journey, outcome: Outcome, *, answered: bool = True) -> TransactionRecord:
        name, reason = label(outcome)
        reply = self._reply_line(outcome, journey.envelope.trace_id) if answered else ""
        message_id = outcome.message_id if isinstance(outcome, Accepted | Parked) else None
        return record_of(journey.envelope, outcome=name, reason=reason, reply=reply, message_id=message_id)


def label(outcome: Outcome) -> tuple[str, str]:
    """Its name and its reason, as logs and metrics have them."""
    name = type(outcome).__name__.lower()
    return name, outcome.reason.value
