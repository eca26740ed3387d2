"""RCPT time: which account is this for, if any?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.core.addresses import AddrSpec, BadAddress, parse_addr_spec
from gateway.core.outcome import Reason
from gateway.store.directory import AccountEntry, Directory
from gateway.store.named import SYSTEM

T = TypeVar("T")
_ROLES = frozenset({"postmaster", "abuse"})
_ROUTING = frozenset("%!@:")
"""Characters of a local part that other servers once took as a route: percent hack, bang path, quoted address."""


class AskTheStore(Protocol):
    """Runs what asks the database, off the event loop."""

    async def __call__(self, work: Callable[..., T], /, *arguments: object) -> T: ...


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path that is taken: the account it is for, and the address as it is kept."""

    account: AccountEntry
    address: str


class Recipients:
    """Judges forward-paths. A hit in the directory costs nothing; a miss asks the database through `offload`."""

    def __init__(self, directory: Directory, offload: AskTheStore) -> None:
        self._directory = directory
        self._offload = offload

    async def judge(self, path: str) -> Recipient | Reason:
        """A `Recipient`, or the reason of the refusal. Raises StoreUnavailable."""
        if path.lower() in _ROLES:
            return await self._of_system(path.lower())
        try:
            spec = parse_addr_spec(path)
        except BadAddress:
            return Reason.BAD_RECIPIENT
        if _ROUTING & set(spec.local):
            return Reason.RELAYING_DENIED
        return await self._at_domain(spec)

    async def _at_domain(self, spec: AddrSpec) -> Recipient | Reason:
        if self._directory.is_system_domain(spec.domain):
            is_role = spec.local.lower() in _ROLES
            return await self._of_system(str(spec)) if is_role else Reason.UNKNOWN_RECIPIENT
        account = self._directory.cached(spec.domain)
        account = account or await self._offload(self._directory.look_up, spec.domain)
        if account:
            return Recipient(account, str(spec))
        if not await self._offload(self._directory.has_accounts):
            return Reason.NO_ACCOUNTS  # ours to mend: what is refused for good now is lost to who is added tomorrow
        ours = self._directory.is_below_gateway_domain(spec.domain)
        return Reason.UNKNOWN_RECIPIENT if ours else Reason.RELAYING_DENIED

    async def _of_system(self, address: str) -> Recipient | Reason:
        account = await self._offload(self._directory.account, SYSTEM)
        return Recipient(account, address) if account else Reason.UNKNOWN_RECIPIENT
