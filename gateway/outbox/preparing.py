"""From claimed rows to signed bytes, many at a time in one thread: read together, rendered once, stored together, signed.

Mail that is forwarded may be as large as what came in: it is made one by one, stored before the next one, and no more of it
than ROOM_BYTES at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway import log
from gateway.core.digest import KIND as DIGEST
from gateway.core.errors import BlobUnavailable, GatewayError, Surroundings
from gateway.core.forwarded import KIND as FORWARD
from gateway.core.notice import Rendered
from gateway.core.policy_notice import KINDS as OF_POLICY
from gateway.core.tokens import Tokens
from gateway.notify.compose import compose
from gateway.notify.digest import compose_digest
from gateway.notify.forwarded import compose_forwarded
from gateway.notify.policy_notice import compose_policy_notice
from gateway.notify.render import Templates
from gateway.notify.sign import sign
from gateway.outbox.routes import Letter
from gateway.store import outbox
from gateway.store.blobs import FileBlobs
from gateway.store.digests import Digests
from gateway.store.engine import Store
from gateway.store.forwarded import ForwardedMail
from gateway.store.notice_reading import Notices
from gateway.store.outbox import Claim, SigningKey
from gateway.store.policy_notices import PolicyNotices
from gateway.store.secret import Secret

T = TypeVar("T")

ROOM_BYTES = 64 * 1024 * 1024
"""Of mail that is ready and not sent yet: over that, claimed rows are given back until there is room again."""


class NotForwarded(GatewayError):
    """A message that cannot be sent on as it is."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claimed row with what is to be sent, or with why nothing can be."""

    claim: Claim
    letter: Letter | None
    fault: str = ""


class Preparation:
    """Called by one thread at a time."""

    def __init__(
        self, store: Store, secret: Secret, tokens: Tokens, templates: Templates, blobs: FileBlobs, gateway_domain: str
    ) -> None:
        self._store = store
        self._secret = secret
        self._tokens = tokens
        self._templates = templates
        self._blobs = blobs
        self._domain = gateway_domain
        self._keys: dict[str, SigningKey] = {}
        self._log = log.get("outbox")

    def forget(self) -> None:
        """Keys are read anew."""
        self._keys = {}

    def __call__(self, claims: Sequence[Claim]) -> list[Prepared]:
        """In the order of `claims`, without those for which there was no room. What is rendered here is stored before this
        returns; every attempt sends the bytes of the first. Raises Surroundings.
        """
        forwards = [c for c in claims if c.kind == FORWARD]
        made = {one.claim.id: one for one in self._notices([c for c in claims if c.kind != FORWARD])}
        made |= {one.claim.id: one for one in self._forwards(forwards)}
        return [made[c.id] for c in claims if c.id in made]

    def _notices(self, claims: Sequence[Claim]) -> list[Prepared]:
        rendered = {c.id: c.rendered for c in claims if c.rendered}
        fresh, faults = self._compose([c for c in claims if not c.rendered])
        outbox.keep_rendered(self._store, fresh)
        rendered.update((claim.id, one) for claim, one in fresh)
        letters, more = _each(
            [c for c in claims if c.id in rendered], lambda claim: self._letter(claim, rendered[claim.id]), self._log
        )
        faults.update(more)
        made = {claim.id: letter for claim, letter in letters}
        return [Prepared(c, made.get(c.id), faults.get(c.id, "")) for c in claims]

    def _compose(self, claims: Sequence[Claim]) -> tuple[list[tuple[Claim, Rendered]], dict[str, str]]:
        if not claims:
            return [], {}
        digests = Digests(self._store, [c for c in claims if c.kind == DIGEST], self._domain)
        of_policy = PolicyNotices(self._store, claims, self._domain)
        usual = [c for c in claims if c.kind != DIGEST and c.kind not in OF_POLICY]
        notices = Notices(self._store, usual, self._domain)

        def written(claim: Claim) -> Rendered:
            if claim.kind == DIGEST:
                return compose_digest(digests.of(claim), tokens=self._tokens, templates=self._templates)
            if claim.kind in OF_POLICY:
                return compose_policy_notice(of_policy.of(claim), tokens=self._tokens, templates=self._templates)
            return compose(notices.of(claim), tokens=self._tokens, templates=self._templates)

        return _each(claims, written, self._log)

    def _forwards(self, claims: Sequence[Claim]) -> Iterator[Prepared]:
        """One is always made; the next ones while there is room."""
        mails = ForwardedMail(self._store, self._blobs, self._domain)
        held = 0
        for claim in claims:
            if held >= ROOM_BYTES:
                return
            letters, faults = _each([claim], lambda claim: self._forward(claim, mails), self._log)
            letter = letters[0][1] if letters else None
            held += len(letter.content) if letter else 0
            yield Prepared(claim, letter, faults.get(claim.id, ""))

    def _forward(self, claim: Claim, mails: ForwardedMail) -> Letter:
        rendered = claim.rendered
        if rendered is None:
            try:
                rendered = compose_forwarded(mails.of(claim), tokens=self._tokens, templates=self._templates)
            except BlobUnavailable as error:
                # one file that is lost must not hold up what everybody else is owed
                raise NotForwarded(f"its content cannot be read: {error}") from error
            outbox.keep_rendered(self._store, [(claim, rendered)])
        return self._letter(claim, rendered)

    def _letter(self, claim: Claim, rendered: Rendered) -> Letter:
        key = self._keys.get(claim.account_id)
        if key is None:
            key = outbox.signing_key(self._store, self._secret, claim.account_id, self._domain)
            self._keys[claim.account_id] = key
        content = sign(rendered.content, domain=key.domain, selector=key.selector, private_key_pem=key.private_key_pem)
        domain = claim.recipient.rpartition("@")[2].lower()
        return Letter(rendered.reverse_path, claim.recipient, domain, content)


def _each(
    claims: Sequence[Claim], make: Callable[[Claim], T], to_log: Any
) -> tuple[list[tuple[Claim, T]], dict[str, str]]:
    """What was made of each, and for the others by id why nothing was: a bad row stops nobody's mail."""
    made, faults = [], {}
    for claim in claims:
        try:
            made.append((claim, make(claim)))
        except Surroundings:
            raise
        except GatewayError as error:
            faults[claim.id] = f"not sent: {error}"
        except Exception as error:  # noqa: BLE001  a row that breaks our code fails visibly, it never stops the others
            to_log.error("notification failed", outbox=claim.id, exc_info=error)
            faults[claim.id] = f"{type(error).__name__}: see the log"
    return made, faults
