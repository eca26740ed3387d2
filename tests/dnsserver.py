"""A name server for tests, over UDP and TCP on one loopback port, that can be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers `zone` ({(name, kind): [values]}); names in `broken` answer SERVFAIL, those in `silent` never (but for the records they have)."""

    def __init__(
        self, zone: dict[tuple[str, str], list[str]] | None = None, *, ttl: int = 60, soa: bool = False
    ) -> None:
        self.zone = {(name.lower().rstrip("."), kind): values for (name, kind), values in (zone or {}).items()}
        self.ttl, self.soa = ttl, soa
        self.broken: set[str] = set()
        self.silent: set[str] = set()
        self.refused: set[str] = set()
        self.hold: asyncio.Event | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.question_came = asyncio.Event()
        self.port = 0

    def count(self, name: str, kind: str = "TXT") -> int:
        return sum(1 for n, k, _ in self.asked if (n, k) == (name, kind))

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        # Octets as they are, not as master files escape them: hostile names hold blanks and worse.
        name = b".".join(query.question[0].name.labels[:-1]).decode("latin-1").lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name, kind, transport))
        self.question_came.set()
        if name in self.silent and (name, kind) not in self.zone:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        if name in self.broken or name in self.refused:
            response.set_rcode(dns.rcode.SERVFAIL if name in self.broken else dns.rcode.REFUSED)
            return response.to_wire()
        self._fill(response, name, kind)
        full = response.to_wire(max_size=65535)
        if transport == "udp" and len(full) > 1232:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.TC
            return response.to_wire()
        return full

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(12):
            owner = (
                dns.name.Name([label.encode("latin-1") for label in name.split(".")] + [b""]) if name else dns.name.root
            )
            if values := self.zone.get((name, kind)):
                response.answer.append(dns.rrset.from_text(owner, self.ttl, "IN", kind, *values))
                return
            if not (alias := self.zone.get((name, "CNAME"))):
                break
            response.answer.append(dns.rrset.from_text(owner, self.ttl, "IN", "CNAME", *alias))
            name = alias[0].lower().rstrip(".")
        if not any(known == name or known.endswith("." + name) for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self.soa:
            soa = f"ns.test. root.test. 1 1 1 1 {self.ttl}"
            response.authority.append(dns.rrset.from_text(".", self.ttl, "IN", "SOA", soa))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[NameServer]:
        loop = asyncio.get_running_loop()
        tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        self.port = tcp.sockets[0].getsockname()[1]
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", self.port))
        udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=sock)
        try:
            yield self
        finally:
            udp.close()
            tcp.close()
            await tcp.wait_closed()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            size = int.from_bytes(await reader.readexactly(2), "big")
            if reply := self.answer(await reader.readexactly(size), "tcp"):
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self.server = server
        self.tasks: set[asyncio.Task] = set()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address) -> None:
        reply = self.server.answer(data, "udp")
        if reply is None:
            return
        if self.server.hold is None:
            self.transport.sendto(reply, address)
            return
        task = asyncio.create_task(self._later(reply, address))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _later(self, reply: bytes, address) -> None:
        await self.server.hold.wait()
        self.transport.sendto(reply, address)
