"""Protocols between rooms that must not import each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.envelope import Client, Envelope
from gateway.core.message import ParsedMessage
from gateway.core.place import Place
from gateway.core.reports import AuthResult, Finding, ScanStatus


class Resolver(Protocol):
    """The one DNS door. All methods raise `DnsFailure` when nobody could say, return () for a name without such records."""

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """Each TXT record, its strings joined."""
        ...

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        """Records of `kind` as pyspf wants them: A/AAAA/PTR/CNAME as text, MX as (preference, host), TXT as a tuple of bytes."""
        ...

    def known(self, name: str, kind: str) -> tuple[Any, ...] | None:
        """What `records` would give without asking anybody, None when somebody must be asked."""
        ...


@dataclass(frozen=True, slots=True)
class AuthEvidence:
    """What an authentication check may look at. `deadline` is a `time.monotonic()` value."""

    envelope: Envelope
    message: ParsedMessage
    place: Place
    resolver: Resolver
    deadline: float


class AuthCheck(Protocol):
    """One authentication method (`verify/checks/<method>.py`). One that waits for nothing but DNS may say `only_asks = True`:
    it is then tried first with what is known already, without a task, and begun anew where somebody must be asked.
    """

    name: str

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]: ...


@dataclass(frozen=True, slots=True)
class Mail:
    """What is known of the transaction whose content a scanner gets; nothing is where it is a file by itself. `client` is
    None where nobody connected, too, and `reverse_path` for the null one.
    """

    trace_id: str = ""
    client: Client | None = None
    reverse_path: str | None = None
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScannerResult:
    """What one scanner says of the whole message. `status` is None from one that judges no viruses; `facts` are what else it
    says, by name (`<scanner>.<what>`).
    """

    status: ScanStatus | None
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    facts: tuple[tuple[str, float | str], ...] = ()


class Scanner(Protocol):
    """One scanner (`scan/scanners/<name>.py`). Raising means unscanned: `TimeoutError` timeout, `OSError` down, anything else
    protocol. One that judges no viruses says `judges = False`: then only its facts count, and that it raised is the fact
    `<name>.state` (`timeout`, `down` or `protocol`). One that holds connections or threads has `async def close(self) -> None`.
    """

    name: str

    async def scan(self, content: bytes, mail: Mail) -> ScannerResult: ...


@dataclass(frozen=True, slots=True)
class AgentCandidate:
    """An agent a strategy may choose. `open` counts tickets now assigned, `today` those of this day,
    `last_turn` is the account's turn counter when this agent was last chosen in this team (0 for never).
    """

    id: str
    address: str
    open: int
    today: int
    last_turn: int


class Strategy(Protocol):
    """A way of choosing an agent (`policy/strategies/<name>.py`). Pure. `counts` names what it reads of `open` and `today`:
    counting costs a transaction time, and what nobody reads is 0.
    """

    name: str
    counts: tuple[str, ...]

    def choose(self, candidates: Sequence[AgentCandidate]) -> AgentCandidate | None: ...
