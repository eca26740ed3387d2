"""SPF: may this client use that reverse-path? (RFC 7208)"""

from __future__ import annotations

from gateway.core.ports import AuthEvidence
from gateway.core.reports import AuthResult
from gateway.verify.spf import evaluate, identity_of


class SpfCheck:
    """Judges MAIL FROM, or HELO where the reverse-path is null (RFC 7208 section 2.4)."""

    name = "spf"

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]:
        """One result with `smtp.mailfrom` or `smtp.helo`; `none` where there is no client to judge."""
        identity = identity_of(evidence.envelope)
        properties = ((f"smtp.{identity.scope}", identity.shown),) if identity.shown else ()
        client = evidence.envelope.client
        if client is None:
            return (AuthResult("spf", "none", properties, "no client address"),)
        found = await evaluate(identity, client.ip, client.helo, evidence.resolver)
        return (AuthResult("spf", found.result, properties, found.detail),)


CHECK = SpfCheck()
