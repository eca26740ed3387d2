"""Random dialogues over real sockets, and content cut anywhere.

Two kinds of client: one that keeps to the RFCs, of which a model knows every reply beforehand (so no 5xx where the client
was right, and what was answered 250 is kept byte for byte, once); and one that keeps to nothing, to which every reply must
still be a legal one, and after which the next client is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.commands.audit import audit
from gateway.smtp import session, transactions
from gateway.smtp.data import Chunked, Dotted, Framing
from tests.scenarios.legality import replies_of
from tests.servers.inprocess import Gateway, dotted, fresh_ground, make_seed, numbered, running

T = TypeVar("T")
NUMBERS = itertools.count(1)
OURS = b"451 4.3.0"
"""The reply to a bug of ours: nothing a client sends may bring it forth."""


@dataclass(repr=False)
class Ground:
    """A gateway that all examples share, in an event loop that runs while one of them does."""

    runner: asyncio.Runner
    gateway: Gateway
    accepted: int = 0

    def run(self, example: Callable[[], Awaitable[T]]) -> T:
        async def within() -> T:
            async with asyncio.timeout(120):
                return await example()

        return self.runner.run(within())


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("fuzzed")
    opened = fresh_ground(make_seed(folder / "seed"), folder / "data", GATEWAY_SMTP__MAX_MESSAGE_BYTES="20000")
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(session, "GREET_PAUSE_SECONDS", 0.0005)
        for limit in ("SLOW_AFTER", "SLOW_AFTER_OF_NETWORK", "ENOUGH_AFTER"):
            patch.setattr(transactions, limit, 1 << 40, raising=False)
        stack = contextlib.AsyncExitStack()
        gateway = runner.run(stack.enter_async_context(running(opened)))
        ground = Ground(runner, gateway)
        yield ground
        report = audit(opened.store, opened.blobs)
        runner.run(stack.aclose())
    assert report.problems == []
    assert report.counts["accepted"] == ground.accepted


quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


async def converse(
    gateway: Gateway, turns: Sequence[tuple[bytes, int]], cuts: Sequence[int]
) -> tuple[list[tuple[str, ...]], bytes]:
    """Send each turn in pieces, wait for its replies, go on. All replies after the greeting, and what came unasked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    cut = itertools.cycle(cuts or [1 << 20])
    heard = b""
    try:
        assert (await reader.readuntil(b"\r\n")).startswith(b"220 ")
        for wire, count in turns:
            at = 0
            while at < len(wire):
                size = next(cut)
                writer.write(wire[at : at + size])
                at += size
                await asyncio.sleep(0)
            heard += b"".join([await one_reply(reader) for _ in range(count)])
        writer.write_eof()
        rest = await reader.read()
        return replies_of(heard), rest
    finally:
        writer.transport.abort()


async def one_reply(reader: asyncio.StreamReader) -> bytes:
    reply = b""
    while True:
        line = await reader.readline()
        reply += line
        if not line or line[3:4] != b"-":
            return reply


# --- the client that is right ---


@dataclass
class Model:
    """RFC 5321 as this gateway keeps it. `turns`: what is sent before replies are waited for, and how many there are."""

    turns: list[list[object]] = field(default_factory=lambda: [[b"", 0]])
    expected: list[str] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)
    greeted: bool = False
    open: bool = False
    utf8: bool = False
    account: str = ""

    def say(self, wire: bytes, *replies: str, ends_turn: bool = False) -> None:
        turn = self.turns[-1]
        turn[0] += wire  # type: ignore[operator]
        turn[1] += len(replies)  # type: ignore[operator]
        self.expected += replies
        if ends_turn:
            self.wait()

    def wait(self) -> None:
        if self.turns[-1][0]:
            self.turns.append([b"", 0])

    def reset(self) -> None:
        self.open, self.utf8, self.account = False, False, ""

    def hello(self, verb: bytes) -> None:
        self.wait()
        self.say(verb + b" client.test\r\n", "250", ends_turn=True)
        self.greeted = True
        self.reset()

    def mail(self, argument: str, reply: str) -> None:
        wire = f"MAIL FROM:{argument}\r\n".encode()
        if not self.greeted or self.open:
            # the grammar of an argument is looked at only where the command is in its place
            self.say(wire, "503 5.5.1")
            return
        self.say(wire, reply)
        self.open, self.utf8 = reply.startswith("250"), "SMTPUTF8" in argument

    def rcpt(self, path: str, account: str, reply: str) -> None:
        wire = f"RCPT TO:<{path}>\r\n".encode()
        if not self.open:
            self.say(wire, "503 5.5.1")
        elif not path.isascii() and not self.utf8:
            self.say(wire, "553 5.6.7")
        elif account and self.account and account != self.account:
            self.say(wire, "452 4.5.3")
        else:
            self.say(wire, reply)
            self.account = self.account or account

    def data(self, content: bytes) -> None:
        if not self.account:
            self.say(b"DATA\r\n", "503 5.5.1", ends_turn=True)
            return
        self.say(b"DATA\r\n", "354", ends_turn=True)
        self.keep(content)
        self.say(dotted(content), "250 2.0.0 #")
        self.reset()

    def bdat(self, content: bytes, sizes: Sequence[int], between: bytes) -> None:
        chunks, at = [], 0
        for size in sizes:
            chunks.append(content[at : at + size])
            at += size
        chunks.append(content[at:])
        is_due = bool(self.account)
        for n, chunk in enumerate(chunks):
            last = b" LAST" if n == len(chunks) - 1 else b""
            if last and is_due:
                self.keep(content)
            wire = b"BDAT %d%s\r\n%s" % (len(chunk), last, chunk)
            self.say(wire, "503 5.5.1" if not is_due else "250 2.0.0 #" if last else "250 2.0.0")
            if between and not last:
                self.say(between + b"\r\n", "250 2.0.0")
        if is_due:
            self.reset()

    def keep(self, content: bytes) -> None:
        self.contents[len(self.expected)] = content


BODY = [
    b"", b".", b"..", b"...", b".x", b". ", b"..\n.", b"a\n.\nb", b"x" * 70, b"x" * 1500, b"\xff\xfe\x80", b"a\x00b", b"\x00",
    b"MAIL FROM:<x@customer.test>", b"QUIT", b"RSET", b"DATA", b"BDAT 9 LAST", b"\xe6\x9d\xb1", b"--", b"From x", b"\x1a", b" ",
]  # fmt: skip
bodies = st.lists(st.sampled_from(BODY), max_size=8).map(lambda lines: b"".join(x + b"\r\n" for x in lines))
cuttings = st.lists(st.one_of(st.integers(1, 12), st.integers(13, 4000)), min_size=1, max_size=6)
STEPS = st.one_of(
    st.sampled_from([b"EHLO", b"HELO", b"ehlo"]).map(lambda v: ("hello", v)),
    st.sampled_from(
        [
            ("<carol@customer.test>", "250 2.1.0"), ("<>", "250 2.1.0"), (" <carol@customer.test> SIZE=20000", "250 2.1.0"),
            ("<jürgen@customer.test> SMTPUTF8 BODY=8BITMIME", "250 2.1.0"), ("<carol@customer.test> SMTPUTF8", "250 2.1.0"),
            ("<carol@customer.test> SIZE=20001", "552 5.3.4"), ("<jürgen@customer.test>", "553 5.6.7"),
            ("carol@customer.test", "501 5.5.4"), ("<carol>", "553 5.1.7"), ("<> AUTH=<>", "555 5.5.4"),
        ]
    ).map(lambda m: ("mail", *m)),
    st.sampled_from(
        [
            ("support@acme.gw.test", "acme", "250 2.1.5"), ("Any.One+x@ACME.gw.test", "acme", "250 2.1.5"),
            ("x@mail.acme.example", "acme", "250 2.1.5"), ("grüße@acme.gw.test", "acme", "250 2.1.5"),
            ("help@globex.gw.test", "globex", "250 2.1.5"), ("postmaster", "system", "250 2.1.5"),
            ("x@nobody.gw.test", "", "550 5.1.1"), ("x@elsewhere.test", "", "550 5.7.1"), ("x", "", "553 5.1.3"), ("", "", "553 5.1.3"),
        ]
    ).map(lambda r: ("rcpt", *r)),
    bodies.map(lambda b: ("data", b)),
    st.tuples(bodies, st.lists(st.integers(0, 120), max_size=4), st.sampled_from([b"", b"", b"NOOP"])).map(lambda b: ("bdat", *b)),
    st.sampled_from([b"RSET", b"rset", b"NOOP", b"VRFY x", b"HELP", b"XYZZY", b"EXPN x", b"NOOP a b"]).map(lambda v: ("simple", v)),
    st.just(("wait",)),
)  # fmt: skip
whole = st.tuples(
    st.just(("mail", "<carol@customer.test>", "250 2.1.0")),
    st.just(("rcpt", "support@acme.gw.test", "acme", "250 2.1.5")),
    st.one_of(
        bodies.map(lambda b: ("data", b)),
        st.tuples(bodies, st.lists(st.integers(0, 120), max_size=4), st.just(b"")).map(lambda b: ("bdat", *b)),
    ),
)
dialogues = st.lists(st.one_of(STEPS.map(lambda s: (s,)), whole), max_size=7).map(
    lambda parts: [s for p in parts for s in p]
)
SIMPLE = {
    b"RSET": "250 2.0.0", b"NOOP": "250 2.0.0", b"VRFY": "252 2.", b"HELP": "214 2.0.0", b"XYZZY": "500 5.5.2", b"EXPN": "502 5.5.1",
}  # fmt: skip


def played(steps: Sequence[tuple[object, ...]]) -> Model:
    model = Model()
    model.hello(b"EHLO")
    for step in steps:
        match step:
            case ("hello", bytes(verb)):
                model.hello(verb)
            case ("mail", str(argument), str(reply)):
                model.mail(argument, reply)
            case ("rcpt", str(path), str(account), str(reply)):
                model.rcpt(path, account, reply)
            case ("data", bytes(body)):
                model.data(numbered(f"fuzz-{next(NUMBERS)}") + body)
            case ("bdat", bytes(body), list(sizes), bytes(between)):
                model.bdat(numbered(f"fuzz-{next(NUMBERS)}") + body, sizes, between)
            case ("simple", bytes(line)):
                verb = line.split()[0].upper()
                if verb == b"RSET":
                    model.reset()
                model.say(line + b"\r\n", SIMPLE[verb], ends_turn=verb not in (b"RSET", b"XYZZY"))
            case _:
                model.wait()
    model.say(b"QUIT\r\n", "221 2.0.0")
    return model


@settings(quick, max_examples=150)
@given(steps=dialogues, cuts=cuttings)
def test_a_client_that_is_right_hears_what_it_expects_and_its_mail_is_kept(
    ground: Ground, steps: list[tuple[object, ...]], cuts: list[int]
) -> None:
    model = played(steps)
    turns = [(bytes(wire), int(count)) for wire, count in model.turns]  # type: ignore[call-overload]
    gateway = ground.gateway
    replies, rest = ground.run(lambda: converse(gateway, turns, cuts))
    assert rest == b""
    heard = [reply[-1] for reply in replies]
    patterns = [re.escape(e).replace(r"\#", "[A-Z2-7]{16} accepted$") for e in model.expected]
    wrong = [
        (n, e, h) for n, (e, h) in enumerate(zip(model.expected, heard, strict=True)) if not re.match(patterns[n], h)
    ]
    assert wrong == []
    for at, content in model.contents.items():
        trace = gateway.trace(heard[at].split()[2])
        assert trace["outcome"] == "accepted"
        assert gateway.raw(trace["message"], trace["account"]) == content
    ground.accepted += len(model.contents)


# --- the client that keeps to nothing ---

FRAGMENTS = [
    b"EHLO client.test\r\n", b"HELO x\r\n", b"MAIL FROM:<carol@customer.test>\r\n", b"RCPT TO:<support@acme.gw.test>\r\n", b"DATA\r\n",
    b"\r\n.\r\n", b".\r\n", b"RSET\r\n", b"NOOP\r\n", b"VRFY x\r\n", b"HELP\r\n", b"STARTTLS\r\n", b"AUTH PLAIN\r\n", b"BDAT 5\r\n",
    b"BDAT 5 LAST\r\n", b"BDAT 0 LAST\r\n", b"BDAT -1\r\n", b"BDAT 99999999999999999999999\r\n", b"BDAT\r\n", b"MAIL FROM:<", b"RCPT TO:<",
    b"@", b">", b"\r", b"\n", b"\0", b" ", b".", b"\r\n", b"\t", b"\xff", b"\xc3\xa4", b"\xed\xa0\x80", b"<>", b'"', b"\\", b"[", b":", b"%s",
    b"SIZE=", b"SMTPUTF8", b"BODY=8BITMIME", b"x" * 600, b"x" * 1200, b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROXY TCP4 ", b"Subject: a\r\n\r\n",
    b"LHLO x\r\n", b"\xe2\x80\xa8", b"\x1b[31m", b"mail from:<>\r\n", b"rcpt to:<postmaster>\r\n", b"X" * 21_000, b"A: b\n", b"\n.\n", b"\r.\r",
]  # fmt: skip
WHOLE = b"MAIL FROM:<>\r\nRCPT TO:<support@acme.gw.test>\r\n"
noise = st.one_of(st.sampled_from(FRAGMENTS), st.just(WHOLE), st.binary(max_size=12))
PAUSES = (0, 0, 0, 0.003)


async def babble(gateway: Gateway, pieces: Sequence[bytes], pauses: Sequence[int], *, waits: bool) -> bytes:
    """Send, now and then let the server speak, close our side: all it said until it closed its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        greeting = await reader.readuntil(b"\r\n") if waits else b""
        heard = asyncio.ensure_future(reader.read(-1))
        pause = itertools.cycle(pauses or [0])
        with contextlib.suppress(OSError):  # the server may close at any of these
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(PAUSES[next(pause)])
            writer.write_eof()
        try:
            return greeting + await heard
        except ConnectionError:
            return b""  # the server closed before it read all, and the reset overtook its reply
    finally:
        writer.transport.abort()


@settings(quick, max_examples=250)
@given(
    pieces=st.lists(noise, max_size=25),
    pauses=st.lists(st.integers(0, len(PAUSES) - 1), max_size=6),
    waits=st.sampled_from([True, True, True, False]),
    greets=st.booleans(),
)
def test_whatever_a_client_says_it_hears_legal_replies_and_the_next_is_served(
    ground: Ground, pieces: list[bytes], pauses: list[int], waits: bool, greets: bool
) -> None:
    gateway = ground.gateway
    talk = [b"EHLO client.test\r\n", b"", b"", *pieces] if greets else pieces
    tail = b"\r\n.\r\nRSET\r\nQUIT\r\n"
    stream = ground.run(lambda: babble(gateway, [*talk, tail], [3, *pauses], waits=waits))
    replies = replies_of(stream)
    assert OURS not in stream
    if replies and b"BDAT" not in b"".join(talk).upper():
        # a chunk may swallow the QUIT; else the last word is a goodbye or a refusal, never a door left open
        assert replies[-1][-1][0] in "45" or replies[-1][-1].startswith("221"), replies
    for reply in replies:
        if accepted := re.match(r"250 2\.0\.0 ([A-Z2-7]{16}) accepted$", reply[-1]):
            trace = gateway.trace(accepted[1])
            assert trace["outcome"] == "accepted"
            assert gateway.raw(trace["message"], trace["account"]) is not None
    ground.run(lambda: nobody_is_left(gateway))
    replies, _ = ground.run(lambda: converse(gateway, [(b"EHLO next.test\r\n", 1), (b"QUIT\r\n", 1)], []))
    assert [r[-1][:3] for r in replies] == ["250", "221"]
    ground.accepted = audit(gateway.ground.store, gateway.ground.blobs).counts["accepted"]


async def nobody_is_left(gateway: Gateway) -> None:
    while True:
        if not gateway.server._sessions and not gateway.server._work:
            return
        await asyncio.sleep(0.001)


# --- content, cut anywhere ---

LINE_ENDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b".",
    b"..",
    b"\0",
    b"\r\n.\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"A: b",
    b"x",
    b"\0.",
    b".\0",
    b"\r\n.",
]
streams = st.lists(st.sampled_from(LINE_ENDS), max_size=14).map(b"".join)


def pieces_of(wire: bytes, sizes: Sequence[int]) -> list[bytes]:
    size, at, pieces = itertools.cycle(sizes), 0, []
    while at < len(wire):
        pieces.append(wire[at : at + (step := next(size))])
        at += step
    return pieces


def undotted(pieces: Sequence[bytes]) -> tuple[bytes, bool, bytes]:
    """Content, whether it is badly framed, and what is left for the next command."""
    framing = Framing()
    dotted_ = Dotted(framing)
    content, rest = b"", b""
    for piece in pieces:
        if dotted_.rest is None:
            content += dotted_.feed(piece)
        else:
            rest += piece
    assert dotted_.rest is not None
    return content, framing.is_bad, dotted_.rest + rest


def unchunked(pieces: Sequence[bytes]) -> tuple[bytes, bool]:
    framing = Framing()
    chunked = Chunked(framing)
    content = b"".join(chunked.feed(piece, last=False) for piece in pieces) + chunked.feed(b"", last=True)
    return content, framing.is_bad


def badly_framed(content: bytes) -> bool:
    """T01, said another way than the gateway does; `content` with its dots still doubled."""
    is_empty = content.startswith(b"\r\n")
    header = b"" if is_empty else content.partition(b"\r\n\r\n")[0]
    lines = re.split(rb"\r\n|\n", content)[:-1]
    return (
        re.search(rb"\r(?!\n)", content) is not None
        or re.search(rb"(?<!\r)\n", header) is not None
        or any(b"\0" in line and line.replace(b"\0", b"") == b"." for line in lines)
    )


@settings(deadline=None, max_examples=400)
@given(stream=streams, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_dotted_content_is_the_same_however_it_is_cut(stream: bytes, sizes: list[int]) -> None:
    wire = stream + b"\r\n.\r\nQUIT\r\n"
    end = (b"\r\n" + wire).index(b"\r\n.\r\n")
    stuffed, rest = wire[:end], wire[end + 3 :]
    plain = b"\r\n".join(line.removeprefix(b".") for line in stuffed.split(b"\r\n"))
    due = (plain, badly_framed(stuffed), rest)
    assert undotted([wire]) == due
    assert undotted(pieces_of(wire, sizes)) == due
    for cut in range(len(wire) + 1):
        assert undotted([wire[:cut], wire[cut:]]) == due, cut


@settings(deadline=None, max_examples=400)
@given(stream=streams, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_chunked_content_is_the_same_however_it_is_cut(stream: bytes, sizes: list[int]) -> None:
    due = unchunked([stream])
    assert due[0] == stream
    if not stream.endswith((b"\0", b".")):  # a disguised dot that the content ends with is a line only with an end
        assert due[1] == badly_framed(stream)
    assert unchunked(pieces_of(stream, sizes)) == due
    for cut in range(len(stream) + 1):
        assert unchunked([stream[:cut], stream[cut:]]) == due, cut
