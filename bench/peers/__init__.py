"""The mail servers that are measured: each with the same checks (SPF, DKIM, clamd), the same records, the same clamd."""

from __future__ import annotations

from bench.peers.exim import Exim
from bench.peers.haraka import Haraka
from bench.peers.ours import Ours, OursOnPostgres
from bench.peers.peer import Peer
from bench.peers.postfix import Postfix

PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (Haraka, Exim, Postfix, Ours, OursOnPostgres)}
