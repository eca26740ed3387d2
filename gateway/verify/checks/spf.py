"""SPF: may this client use that reverse-path, and that name? (RFC 7208)"""

from __future__ import annotations

from gateway.core.envelope import Client
from gateway.core.ports import AuthEvidence, Resolver
from gateway.core.reports import AuthResult
from gateway.verify.at_once import together
from gateway.verify.evidence import impatient
from gateway.verify.spf import Identity, evaluate, helo_of, identity_of


class SpfCheck:
    """Judges MAIL FROM, or HELO where the reverse-path is null (RFC 7208 section 2.4).

    The first result is that of the identity that counts. HELO beside a reverse-path is recorded and counts for nothing:
    it says who runs the client, and DMARC knows MAIL FROM alone (RFC 9989 section 4.4.2).
    """

    name = "spf"
    only_asks = True

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]:
        """One result with `smtp.mailfrom`, and one with `smtp.helo` where that names a domain; with a null reverse-path
        `smtp.helo` alone. `none` where there is no client to judge.
        """
        identity, helo = identity_of(evidence.envelope), helo_of(evidence.envelope)
        client = evidence.envelope.client
        if client is None:
            return (AuthResult("spf", "none", _properties(identity), "no client address"),)
        first = _judge(identity, client, evidence.resolver)
        if identity.scope == "helo" or not helo.domain:
            return (await first,)
        second = _judge(helo, client, impatient(evidence))
        return tuple(await together(evidence.resolver, first, second))


async def _judge(identity: Identity, client: Client, resolver: Resolver) -> AuthResult:
    found = await evaluate(identity, client.ip, client.helo, resolver)
    return AuthResult("spf", found.result, _properties(identity), found.detail)


def _properties(identity: Identity) -> tuple[tuple[str, str], ...]:
    return ((f"smtp.{identity.scope}", identity.shown),) if identity.shown else ()


CHECK = SpfCheck()
