"""SPF (RFC 7208) by pyspf, which asks our resolver and never waits in a thread.

pyspf calls a module-wide function for each look-up and wants the answer at once. Ours answers from what this
evaluation has fetched so far and raises `_Need` on a miss; the look-up is awaited and the evaluation run again.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.envelope import Envelope
from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver

with warnings.catch_warnings():
    # pyspf 2.0.14 has an invalid escape, a SyntaxWarning from Python 3.12 on (sdgathman/pyspf#45).
    warnings.simplefilter("ignore")
    import spf as pyspf

RECORD_OCTETS = 8192
TERM_OCTETS = 512
"""Beyond these a record is permerror: pyspf's patterns take quadratic time on one long term."""
RUNS = 150
"""More than the limits of RFC 7208 section 4.6.4 let any record need: ten `mx` of ten hosts are 111 look-ups."""

_RESULTS = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"})

_REMEMBERED = 4096
_FEW = 20
"""Look-ups of an evaluation that is worth remembering: more are dearer to compare, and rare."""

Question = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What one evaluation knows: what it has fetched, and what the resolver knows without asking."""

    resolver: Resolver
    answers: dict[Question, tuple[Any, ...] | None] = field(default_factory=dict)

    def get(self, question: Question) -> tuple[Any, ...] | None:
        """None for what DNS would not say. Raises _Need."""
        if question in self.answers:
            return self.answers[question]
        known = self.resolver.known(*question)
        if known is None:
            raise _Need(question)
        # the same answer for the whole evaluation, though the cache may lose it meanwhile
        self.answers[question] = known
        return known


_answers: ContextVar[_Fetched] = ContextVar("spf_answers")


class _Need(Exception):
    """pyspf asks something that is not fetched yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom SPF judges (RFC 7208 section 2.4): MAIL FROM, or HELO when the reverse-path is null.

    `domain` is in A-labels, empty when the identity has none that could be looked up.
    """

    scope: str
    local: str
    domain: str
    shown: str


@dataclass(frozen=True, slots=True)
class SpfResult:
    """`result` as in RFC 7208 section 2.6; `detail` says why in a few words."""

    result: str
    detail: str = ""


def identity_of(envelope: Envelope) -> Identity:
    """The identity of a transaction: `mailfrom`, or `helo` for the null reverse-path."""
    return helo_of(envelope) if envelope.reverse_path is None else identity_of_path(envelope.reverse_path)


def identity_of_path(reverse_path: str) -> Identity:
    """The MAIL FROM identity of a reverse-path that is not null (RFC 7208 section 2.4)."""
    local, _, domain = reverse_path.rpartition("@")
    return Identity("mailfrom", local.strip('"') or "postmaster", _domain(domain), reverse_path)


def helo_of(envelope: Envelope) -> Identity:
    """The HELO identity (RFC 7208 section 2.3); without a domain where there is no client."""
    helo = envelope.client.helo if envelope.client else ""
    return Identity("helo", "postmaster", _domain(helo), helo)


def _domain(text: str) -> str:
    """A-labels, empty for address literals and single labels (RFC 7208 section 4.3) and what is no domain at all."""
    try:
        name = normal_domain(text)
    except BadAddress:
        return ""
    return name if "." in name and not name.startswith("[") else ""


async def evaluate(identity: Identity, ip: str, helo: str, resolver: Resolver) -> SpfResult:
    """check_host() of RFC 7208 section 4. Never raises: what DNS would not say is temperror."""
    if not identity.domain:
        return SpfResult("none", "the identity is no domain name")
    client = _plain_ip(ip)
    if client is None:
        return SpfResult("none", "the client has no IP address")
    if remembered := _remembered(identity.domain, client, resolver):
        return remembered
    fetched = _Fetched(resolver)
    token = _answers.set(fetched)
    try:
        for _ in range(RUNS):
            try:
                result = _run(identity, client, helo)
            except _Need as need:
                fetched.answers[need.question] = await _fetch(need.question, resolver)
            else:
                _remember(identity.domain, client, fetched.answers, result)
                return result
    finally:
        _answers.reset(token)
    return SpfResult("permerror", "too many look-ups")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    answers: tuple[tuple[Question, tuple[Any, ...]], ...]
    result: SpfResult


_evaluations: dict[tuple[str, str], _Evaluation] = {}
"""What came of a domain and a client address, with every answer it came of: as long as DNS says the same, so does SPF."""


def _remembered(domain: str, client: str, resolver: Resolver) -> SpfResult | None:
    """The result of an earlier evaluation that every look-up would answer alike now, without asking anybody."""
    found = _evaluations.get((domain, client))
    if found is None or any(resolver.known(*question) != answer for question, answer in found.answers):
        return None
    return found.result


def _remember(domain: str, client: str, answers: Mapping[Question, tuple[Any, ...] | None], result: SpfResult) -> None:
    """Not where DNS was silent, and not where a macro lets another local part or HELO come out otherwise (section 7)."""
    said = tuple((question, answer) for question, answer in answers.items() if answer is not None)
    if len(said) < len(answers) or len(said) > _FEW or any(_has_macros(*one) for one in said):
        return
    if len(_evaluations) >= _REMEMBERED:
        del _evaluations[next(iter(_evaluations))]
    _evaluations[domain, client] = _Evaluation(said, result)


def _has_macros(question: Question, answer: tuple[Any, ...]) -> bool:
    return question[1] == "TXT" and any(b"%" in string for strings in answer for string in strings)


@lru_cache(maxsize=1024)
def _plain_ip(ip: str) -> str | None:
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address)))
    return str(address)


async def _fetch(question: Question, resolver: Resolver) -> tuple[Any, ...] | None:
    name, kind = question
    try:
        return await resolver.records(name, kind)
    except DnsFailure:
        return None


def _run(identity: Identity, ip: str, helo: str) -> SpfResult:
    """One evaluation with what is fetched so far. Raises _Need."""
    try:
        result, _, detail = _Query(identity, ip, helo).check()
    except _Need:
        raise
    except Exception as error:  # noqa: BLE001 - the guard is the point: hostile records and names meet old parsing code
        return SpfResult("permerror", f"the record could not be evaluated ({type(error).__name__})")
    return SpfResult(result if result in _RESULTS else "permerror", detail)


class _Query(pyspf.query):  # type: ignore[misc]  # pyspf is untyped
    """pyspf's evaluation with the identity as we read it, and the limits it leaves out."""

    def __init__(self, identity: Identity, ip: str, helo: str) -> None:
        super().__init__(i=ip, s=f"{identity.local}@{identity.domain}", h=helo or "unknown", querytime=0)
        # pyspf splits at the first @: `"a@evil.example"@victim.example` would be judged by the wrong domain.
        self.l, self.o, self.d = identity.local, identity.domain, identity.domain

    def get_explanation(self, _spec: str) -> None:
        """Never fetched: it is a stranger's text, and judges nothing (RFC 7208 section 6.2 leaves it to us)."""

    def getp(self) -> str:
        """%{p} costs look-ups as `ptr` does, and counts as one (RFC 7208 section 4.6.4)."""
        if not self.p:
            self.check_lookups()
        return str(super().getp())

    def validated_ptrs(self) -> list[str]:
        """A DNS error while looking for PTR fails to match, one for a name's address skips the name (section 5.5)."""
        try:
            names = self.dns_ptr(self.i)[: pyspf.MAX_PTR]
        except pyspf.TempError:
            return []
        return [name for name in names if self._leads_back(name)]

    def _leads_back(self, name: str) -> bool:
        try:
            return bool(self.cidrmatch(self.dns_a(name, self.A), self.cidrmax))
        except pyspf.TempError:
            return False


def _lookup(name: str, kind: str, _strict: object = True, _timeout: float = 0) -> list[tuple[Question, Any]]:
    """What pyspf takes for DNS: what has been fetched for this evaluation, TempError for what DNS would not say."""
    question = (name, kind)
    found = _answers.get().get(question)
    if found is None:
        raise pyspf.TempError(f"no answer for {kind} {name}")
    if kind == "TXT":
        for strings in found:
            _refuse_monsters(b"".join(strings))
    return [(question, value) for value in found]


def _refuse_monsters(record: bytes) -> None:
    if record[:6].lower() != b"v=spf1":
        return
    if len(record) > RECORD_OCTETS or max(map(len, record.split(b" "))) > TERM_OCTETS:
        raise pyspf.PermError("the record, or a term of it, is too long")


# The only door pyspf offers. It must not ask DNS by itself: its look-ups block, and know no budget.
pyspf.DNSLookup = _lookup
