"""What one client may do in all its sessions together, and what is remembered of it: the limits of a node.

A client is a network: one IPv4 address or one IPv6 /64. Everything counts for all workers of the node (`client_table.py`);
whenever something cannot be counted, the answer is the one that takes mail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self

from gateway.core.networks import unmapped
from gateway.smtp.client_table import ClientTable

_SECOND: Final = 1_000_000_000
_UNITS: Final = {"s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86_400 * _SECOND}

FORGET_A_BAD_RECIPIENT_NS: Final = 30 * _SECOND
BAD_RECIPIENTS_KEPT: Final = 60
"""Counted no further: however much was tried, after half an hour without unknown recipients nothing is held against it."""
FORWARDER_KEPT_NS: Final = 24 * 3600 * _SECOND


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a time, all of them at once too, refilled evenly: the generic cell rate algorithm (ITU-T I.371).

    What it remembers of somebody is one time, at which everything taken will be refilled. In whole nanoseconds, because
    with floating point the last of a burst could be refused for its rounding.
    """

    each_ns: int
    amount: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`600/m` (per s, m, h, d); None for `off`. Raises ValueError, KeyError for what settings would not take."""
        if text == "off":
            return None
        amount, _, unit = text.partition("/")
        return cls(_UNITS[unit] // int(amount), int(amount))

    def takes(self, refilled_at: MutableSequence[int] | memoryview, index: int, now: int) -> bool:
        """One more? What is refused costs nothing, so who asks too often is still served at the rate."""
        whole = self.each_ns * self.amount
        # never later than the whole amount takes: after SIGHUP the time may be that of another, slower rate
        then = min(max(refilled_at[index], now), now + whole) + self.each_ns
        is_over = then > now + whole
        refilled_at[index] = then - self.each_ns if is_over else then
        return not is_over


@lru_cache(maxsize=1024)
def network_of(ip: str) -> str:
    """`192.0.2.1`, `2001:db8::/64`: what counts as one client. An IPv6 host has all of its /64 to send from; IPv4 mapped into
    IPv6 (RFC 4291 section 2.5.5.2) is IPv4. Raises ValueError when `ip` is no address.
    """
    address = unmapped(ip_address(ip))
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


class Clients:
    """The limits as one worker keeps them, from one thread. `ip` is the client's, after PROXY; ValueError when no address."""

    def __init__(
        self,
        table: ClientTable,
        *,
        max_connections: int,
        max_connections_per_client: int,
        rate_per_client: str = "off",
        rate_per_account: str = "off",
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Rates as in the settings (`600/m`, `off`). `clock`: nanoseconds, the same for all who share the table."""
        self._table = table
        self._max_connections = max_connections
        self._max_connections_per_client = max_connections_per_client
        self._rate_per_client = Rate.parse(rate_per_client)
        self._rate_per_account = Rate.parse(rate_per_account)
        self._clock = clock

    # --- connections ---

    def enter(self, ip: str) -> bool:
        """Count a connection that was opened. False, and not counted: there are too many in all, or of this client.

        Each True is followed by one `leave`; what a killed worker could not leave, the supervisor does.
        """
        network = network_of(ip)
        with self._table.lock:
            if self._table.all_open_connections() >= self._max_connections:
                return False
            row = self._table.network_row(network, self._clock())
            if row is not None and self._table.open_connections(row) >= self._max_connections_per_client:
                return False
            self._table.connected(row)
        return True

    def leave(self, ip: str) -> None:
        """A connection that had entered is closed."""
        self._table.disconnected(network_of(ip))

    # --- rates ---

    def takes_from(self, ip: str) -> bool:
        """A transaction begins. False: over `smtp.rate_per_client`. Forwarders bring the mail of many and are exempt."""
        if self._rate_per_client is None:
            return True
        now = self._clock()
        with self._table.lock:
            row = self._table.network_row(network_of(ip), now)
            if row is None or self._table.forwarder[row] > now:
                return True
            return self._rate_per_client.takes(self._table.rate, row, now)

    def takes_for(self, account_id: str) -> bool:
        """A transaction for this account begins. False: over `smtp.rate_per_account`."""
        if self._rate_per_account is None:
            return True
        now = self._clock()
        with self._table.lock:
            row = self._table.account_row(account_id, now)
            return row is None or self._rate_per_account.takes(self._table.rate, row, now)

    # --- what is remembered ---

    def bad_recipient(self, ip: str) -> int:
        """Count an unknown recipient; how many this client named lately, this one included: one is forgotten every 30 s."""
        now = self._clock()
        with self._table.lock:
            row = self._table.network_row(network_of(ip), now)
            if row is None:
                return 1
            forgotten_at = max(self._table.bad[row], now) + FORGET_A_BAD_RECIPIENT_NS
            self._table.bad[row] = min(forgotten_at, now + BAD_RECIPIENTS_KEPT * FORGET_A_BAD_RECIPIENT_NS)
            return _bad_recipients_until(self._table.bad[row], now)

    def bad_recipients(self, ip: str) -> int:
        """How many unknown recipients this client named lately."""
        with self._table.lock:
            row = self._table.known_network_row(network_of(ip))
            return 0 if row is None else _bad_recipients_until(self._table.bad[row], self._clock())

    def saw_forwarder(self, ip: str) -> None:
        """The client is a mailbox's forwarder: remembered for 24 h from now."""
        now = self._clock()
        with self._table.lock:
            row = self._table.network_row(network_of(ip), now)
            if row is not None:
                self._table.forwarder[row] = now + FORWARDER_KEPT_NS

    def is_forwarder(self, ip: str) -> bool:
        """Was it seen as a forwarder in the last 24 h?"""
        with self._table.lock:
            row = self._table.known_network_row(network_of(ip))
            return row is not None and bool(self._table.forwarder[row] > self._clock())


def _bad_recipients_until(forgotten_at: int, now: int) -> int:
    """The begun half minute counts whole."""
    return max(0, -((now - forgotten_at) // FORGET_A_BAD_RECIPIENT_NS))
