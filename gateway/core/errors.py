"""The exceptions that mean something to the line; everything else is a bug.

GatewayError
├── InvalidInput             a person gave us something we cannot take: says what, where and how to mend it
│   └── UnknownThing         a name that does not exist here
├── Surroundings             something around us failed: never the message's fault, always 4xx
│   ├── StoreUnavailable     the database is locked, gone or cut
│   ├── BlobUnavailable      large content cannot be stored or read
│   ├── StorageFull          no room left on the disk
│   └── OutOfMemory          no room left in memory, by others' content as a rule
├── TooComplex               a message over the structural limits: kept unread, parked
└── DnsFailure               the resolver could not say: temperror, never pass and never fail
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all exceptions that the gateway raises on purpose."""


class InvalidInput(GatewayError):
    """Input from a person that cannot be taken. The text names what, where and the cure."""


class UnknownThing(InvalidInput):
    """A name (account, mailbox, ticket, ...) that does not exist."""


class Surroundings(GatewayError):
    """A fault of what we stand on. The client is asked to come again (4xx)."""


class StoreUnavailable(Surroundings):
    """The database did not do what was asked, for a reason that may pass."""


class BlobUnavailable(Surroundings):
    """The blob store did not do what was asked, or returned other bytes than were stored."""


class StorageFull(Surroundings):
    """No space left where messages are kept (RFC 3463 X.3.1)."""


class OutOfMemory(Surroundings):
    """No memory left for this message just now."""


class TooComplex(GatewayError):
    """A message that exceeds the limits counted before any parser runs; `str()` names the limit."""


class DnsFailure(GatewayError):
    """A look-up that has no answer: time-out, SERVFAIL, or a name that cannot be asked."""
