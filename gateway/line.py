"""The line put together: the intake with everything it needs, for whoever brings messages to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Self, TypeVar

from gateway.core.clock import now
from gateway.core.ports import Strategy
from gateway.ground import Ground
from gateway.intake import Intake
from gateway.notify.relay_hosts import relay_addresses
from gateway.offload import Offload
from gateway.policy import strategies as strategy_package
from gateway.policy.engine import Policy, compile_policy
from gateway.policy.loader import load, load_published
from gateway.policy.problems import PolicyError, Problem
from gateway.registry import plugins_of
from gateway.resolver import DnsResolver
from gateway.scan.configured import configured
from gateway.scan.runner import ScanRunner
from gateway.smtp.replies import final_reply
from gateway.store.begun import BegunMarks
from gateway.store.blobs import FileBlobs
from gateway.store.commit import Commit
from gateway.store.committer import Committer
from gateway.store.directory import Directory
from gateway.store.engine import Store
from gateway.store.policies import PROBATION, Probation, candidate_text, policy_text, probation_of
from gateway.store.recall import Recall
from gateway.verify.verifier import Verifier

K = TypeVar("K")
V = TypeVar("V")


class Policies:
    """Compiled policies by account and version or candidate; neither ever changes, so nothing here ever goes stale."""

    _KEPT = 512

    def __init__(self, store: Store) -> None:
        self._store = store
        self._compiled: dict[tuple[str, int | str], Policy] = {}
        self._unreadable: dict[tuple[str, str], tuple[Problem, ...]] = {}
        self._probation: dict[tuple[str, int], Probation | None] = {}

    def __call__(self, account_id: str, version: int) -> Policy:
        """Raises StoreUnavailable."""
        return self._ready((account_id, version), version, partial(policy_text, self._store, account_id, version))

    def candidate(self, account_id: str, candidate_id: str) -> Policy:
        """One that is not live. Raises StoreUnavailable, and PolicyError for one that this release cannot read: that is
        remembered too, so that no draft costs every message a reading.
        """
        key = (account_id, candidate_id)
        if key in self._unreadable:
            raise PolicyError(self._unreadable[key])
        try:
            return self._ready(key, 0, partial(candidate_text, self._store, account_id, candidate_id))
        except PolicyError as error:
            self._unreadable = _with_room(self._unreadable, self._KEPT) | {key: error.problems}
            raise

    def before(self, account_id: str, version: int) -> Policy | None:
        """What this version is held against while it is on probation. Raises StoreUnavailable."""
        key = (account_id, version)
        if key not in self._probation:
            self._probation = _with_room(self._probation, self._KEPT)
            self._probation[key] = probation_of(self._store, account_id, version)
        found = self._probation[key]
        return self(account_id, found.before) if found and now() < found.since + PROBATION else None

    def _ready(self, key: tuple[str, int | str], version: int, text: Callable[[], str]) -> Policy:
        if key not in self._compiled:
            self._compiled = _with_room(self._compiled, self._KEPT)
            # what was published stays good; a draft that this release finds wrong is told to be
            read = load_published if version else load
            self._compiled[key] = compile_policy(read(text()), version)
        return self._compiled[key]


def _with_room(kept: dict[K, V], most: int) -> dict[K, V]:
    return kept if len(kept) < most else dict(islice(kept.items(), 1, None))


class Line:
    """In a running event loop. Used by `serve`, and by the commands that receive, judge or release messages."""

    def __init__(
        self,
        ground: Ground,
        on_owed: Callable[[], None] = lambda: None,
        saw_forwarder: Callable[[str], None] = lambda _ip: None,
    ) -> None:
        """`on_owed` is called from the committer's thread when mail is owed, `saw_forwarder` with the address of a client
        that a mailbox's own domain vouches for.
        """
        settings = ground.settings
        self.ground = ground
        self.store_pool = Offload("store", 4)
        self.cpu_pool = Offload("cpu", 2)
        self.looking_pool = Offload("inside", 2)
        self.directory = Directory(ground.store, settings.domain, settings.hostname)
        self.begun = BegunMarks(settings.data_dir)
        self.policies = Policies(ground.store)
        strategies = plugins_of(strategy_package, "STRATEGY", Strategy)  # type: ignore[type-abstract]
        commit = Commit(strategies, lambda outcome, trace: str(final_reply(outcome, trace)))
        self.committer = Committer(ground.store, ground.blobs, commit, on_owed)
        self.resolver = DnsResolver(
            settings.dns.nameservers or None, settings.dns.port, settings.dns.timeout_seconds, settings.dns.zone_file
        )
        self.scanning = ScanRunner(configured(settings), self.cpu_pool, self.looking_pool)
        self.intake = Intake(
            authserv_id=settings.hostname,
            directory=self.directory,
            verifier=Verifier(
                self.resolver, settings.auth.budget_seconds, self.cpu_pool, settings.auth.trusted_arc_sealers
            ),
            scanner=self.scanning,
            recall=Recall(ground.store, ground.tokens),
            policies=self.policies,
            reply_line=lambda outcome, trace: str(final_reply(outcome, trace)),
            committer=self.committer,
            blobs=ground.blobs,
            begun=self.begun,
            store_pool=self.store_pool,
            cpu_pool=self.cpu_pool,
            saw_forwarder=saw_forwarder,
            relay_addresses=lambda: relay_addresses(settings.relay.url, self.resolver),
        )

    @property
    def store(self) -> Store:
        return self.ground.store

    @property
    def blobs(self) -> FileBlobs:
        return self.ground.blobs

    async def __aenter__(self) -> Self:
        self.begun.start()
        self.committer.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.to_thread(self.committer.close)
        await self.scanning.close()
        self.store_pool.close()
        self.cpu_pool.close()
        self.looking_pool.close()
        self.begun.end()
