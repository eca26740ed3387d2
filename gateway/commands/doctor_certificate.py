"""The certificate of `smtp.tls_cert`: would it serve, for how long, for whom, and who else can read its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.certificates import Pair, Validity, read_pair
from gateway.commands.findings import Finding, failed, warned, well
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.settings import Settings

CHECK = "certificate"
OF_OTHERS = 0o007
"""A group may read the key: on Debian it is how a service gets at a file of root's."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Nothing where none is set. What lies there is judged, also while a running `serve` still uses the one before."""
    cert, key = settings.smtp.tls_cert, settings.smtp.tls_key
    if cert is None or key is None:
        return
    try:
        pair = read_pair(cert, key)
        mode = key.stat().st_mode
    except (InvalidInput, OSError) as error:
        yield failed(CHECK, str(error))
        return
    yield _dated(cert, pair)
    if not pair.is_for(settings.hostname):
        there = ", ".join(sorted(pair.names)) or "no name"
        yield warned(CHECK, f"{cert} is for {there}, not for {settings.hostname}; MTA-STS senders will not deliver")
    if pair.lacks_issuer:
        yield warned(CHECK, f"{cert} lacks the certificate that signed it; name the whole chain (fullchain.pem)")
    if mode & OF_OTHERS:
        yield warned(CHECK, f"{key} is open to every user of this machine; run `chmod o= {key}`")


def _dated(cert: Path, pair: Pair) -> Finding:
    moment = now()
    detail = f"{cert}: {pair.dates(moment)}"
    match pair.validity(moment):
        case Validity.GOOD:
            return well(CHECK, detail)
        case Validity.ENDS_SOON:
            return warned(CHECK, detail)
        case Validity.EXPIRED | Validity.NOT_YET:
            return failed(CHECK, detail)
