"""The content off the wire, however it is cut into pieces."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.outcome import Reason
from gateway.smtp.data import Received, read_content
from gateway.smtp.wire import COMMAND_OCTETS, LineTooLong, SessionEnded, Wire

NEXT = b"MAIL FROM:<next@x.test>\r\n"
MAX = 10_000


class Pieces:
    """A stream that gives exactly these pieces, then its end."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [p for p in pieces if p]

    async def read(self, _size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def received(*pieces: bytes, maximum: int = MAX) -> tuple[Received, bytes]:
    """What was read, and what is left for the next command."""

    async def run() -> tuple[Received, bytes]:
        wire = Wire(Pieces(*pieces))  # type: ignore[arg-type]
        content = await read_content(wire, maximum, lambda: None)
        rest = b""
        while True:
            try:
                rest += await wire.block()
            except SessionEnded:
                return content, rest

    return asyncio.run(run())


def stuffed(content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


DIALOGUES = [
    b"", b"\r\n", b"Subject: x\r\n\r\nbody\r\n", b".\r\n", b"..\r\n.\r\n", b".hidden\r\n\r\n.\r\n..\r\n", b"\r\n.\r\n",
    b"a\r\n.b\r\n\r\n..\r\n", b"x\r\n\r\nbare\nline\n.\n..\n\r\n", b"\xff\x80\r\n\r\n\x00\r\n",
]  # fmt: skip


@pytest.mark.parametrize("content", DIALOGUES)
def test_a_cut_at_any_place_changes_nothing(content: bytes) -> None:
    wire = stuffed(content) + NEXT
    for i in range(len(wire) + 1):
        for j in (i, min(i + 1, len(wire)), min(i + 3, len(wire))):
            assert received(wire[:i], wire[i:j], wire[j:]) == (Received(content), NEXT), (i, j)
    assert received(*(wire[i : i + 1] for i in range(len(wire)))) == (Received(content), NEXT)


LINES = st.lists(
    st.binary(max_size=20).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")), max_size=10
)


@settings(max_examples=150, deadline=None)
@given(LINES, st.lists(st.integers(0, 400), max_size=6))
def test_every_text_comes_back_exactly_however_it_is_split(lines: list[bytes], cuts: list[int]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    wire = stuffed(content) + NEXT
    at = sorted({0, len(wire), *(c for c in cuts if c < len(wire))})
    pieces = [wire[a:b] for a, b in itertools.pairwise(at)]
    assert received(*pieces) == (Received(content), NEXT)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"\0", b"a", b"A: b", b"\r\n.\r\n"]), max_size=14),
    st.integers(1, 7),
)
def test_any_stream_is_one_message_or_one_refusal_and_stays_in_step(tokens: list[bytes], size: int) -> None:
    """Whatever comes: what was read ends at the first CRLF.CRLF and nowhere else, whole or in pieces."""
    wire = b"".join(tokens) + b"\r\n.\r\n" + NEXT
    first = (b"\r\n" + wire).find(b"\r\n.\r\n")
    after = wire[first + 3 :]
    result = received(wire)
    assert result[1] == after
    assert result[0].refused in (None, Reason.BAD_FRAMING)
    assert received(*(wire[i : i + size] for i in range(0, len(wire), size))) == result


@pytest.mark.parametrize(
    "content",
    [
        b"A: b\r\n\r\nbare\rcr\r\n", b"A: b\rC: d\r\n\r\nx\r\n", b"A: b\r\n\r\nx\r\r\n", b"A: b\nC: d\r\n\r\nx\r\n",
        b"A: b\n\nbody\r\n", b"\nA: b\r\n\r\nx\r\n", b"A: b\r\n\r\n\0.\r\n", b"A: b\r\n\r\nx\r\n\0.\0\r\n",
        b"A: b\r\n\r\nx\n\0.\n", b"A: b\r\n\r\nx\n.\n\0.\n", b"A: b\r\n\r\nx\r\n.\0\0\r\n", b"A: b\r\n\r\nx\n.\0\r\n",
    ],
)  # fmt: skip
def test_bad_framing_is_refused(content: bytes) -> None:
    assert received(content + b"\r\n.\r\n" + NEXT) == (Received(b"", Reason.BAD_FRAMING), NEXT)


@pytest.mark.parametrize(
    "content",
    [
        b"A: b\r\n\r\nx\n.\ny\r\n",
        b"A: b\r\n\r\nx\n.\r\ny\r\n",
        b"A: b\r\n\r\nx\r\ny\n\n\r\n",
        b"A: b\r\n\r\n\0a\0\r\n",
        b"A\0: b\r\n\r\nx\r\n",
    ],
)
def test_line_feeds_in_the_body_and_nul_in_the_text_stay_text(content: bytes) -> None:
    assert received(content + b".\r\n" + NEXT) == (Received(content), NEXT)


@pytest.mark.parametrize("over", [0, 1, 3, 10, 10_000])
@pytest.mark.parametrize("size", [1000, 131_072])
def test_one_octet_too_many_is_too_many_and_the_session_stays_in_step(over: int, size: int) -> None:
    content = b"A: b\r\n\r\n" + b"x" * (MAX - 10 + over) + b"\r\n"
    wire = stuffed(content) + NEXT
    result, rest = received(*(wire[i : i + size] for i in range(0, len(wire), size)))
    assert rest == NEXT
    assert result == (Received(content) if over == 0 else Received(b"", Reason.TOO_BIG))


@pytest.mark.parametrize("size", [100, 1000, 131_072])
def test_doubled_dots_do_not_count(size: int) -> None:
    content = b"A: b\r\n\r\n" + b".\r\n" * ((MAX - 8) // 3)
    wire = stuffed(content) + NEXT
    assert received(*(wire[i : i + size] for i in range(0, len(wire), size))) == (Received(content), NEXT)


def test_an_end_in_pieces_behind_too_much_content_is_found() -> None:
    wire = b"x" * (2 * MAX) + b"\r\n.\r\n" + NEXT
    cut = 2 * MAX
    for i in range(cut, cut + 6):
        assert received(wire[:cut], wire[cut:i], wire[i:]) == (Received(b"", Reason.TOO_BIG), NEXT)


@pytest.mark.parametrize("block", [b"\r\n" * 32_768, b".\r\n" * 21_845, b"x" * 65_536])
def test_endless_content_is_read_in_flat_memory(block: bytes) -> None:
    class Endless:
        left = 600

        async def read(self, _size: int) -> bytes:
            self.left -= 1
            return block if self.left else b"\r\nx\r\n.\r\n"

    async def run() -> Received:
        return await read_content(Wire(Endless()), 1_000_000, lambda: None)  # type: ignore[arg-type]

    tracemalloc.start()
    result = asyncio.run(run())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # a text of dot lines ends itself where a bare dot line stands: `.` CRLF `.` CRLF is an end
    assert result.refused is Reason.TOO_BIG or block.startswith(b".")
    assert peak < 2_500_000


def test_a_message_is_held_twice_at_most() -> None:
    content = b"A: b\r\n\r\n" + b"x" * 4_000_000 + b"\r\n"
    wire = stuffed(content)
    pieces = [wire[i : i + 131_072] for i in range(0, len(wire), 131_072)]

    async def run() -> tuple[bool, int]:
        # measured within: asyncio.run makes a repr of what the task returned
        result = await read_content(Wire(Pieces(*pieces)), 10_000_000, lambda: None)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        return result.content == content, peak

    tracemalloc.start()
    same, peak = asyncio.run(run())
    tracemalloc.stop()
    assert same
    assert peak < 2.3 * len(content)


def test_every_block_is_progress() -> None:
    seen: list[int] = []

    async def run() -> None:
        wire = Wire(Pieces(b"a", b"b\r\n", b".\r\n"))  # type: ignore[arg-type]
        await read_content(wire, MAX, lambda: seen.append(1))

    asyncio.run(run())
    assert len(seen) == 3


# --- command lines ---


def commands(*pieces: bytes) -> list[bytes]:
    """All command lines; a line that is too long is b"!"."""

    async def run() -> list[bytes]:
        wire, lines = Wire(Pieces(*pieces)), []  # type: ignore[arg-type]
        while True:
            try:
                lines.append(await wire.command())
            except LineTooLong:
                lines.append(b"!")
            except SessionEnded:
                return lines

    return asyncio.run(run())


def test_command_lines_come_whole_however_they_are_cut() -> None:
    wire = b"EHLO a\r\nMAIL FROM:<>\r\n\r\nQUIT\r\n"
    for size in range(1, len(wire) + 1):
        pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
        assert commands(*pieces) == [b"EHLO a", b"MAIL FROM:<>", b"", b"QUIT"]


@pytest.mark.parametrize("size", [1000, COMMAND_OCTETS, 131_072])
def test_a_command_too_long_is_told_once_and_the_next_is_read(size: int) -> None:
    wire = b"x" * 300_000 + b"\r\n" + b"y" * (COMMAND_OCTETS - 1) + b"\r\nNOOP\r\n"
    pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
    assert commands(*pieces) == [b"!", b"y" * (COMMAND_OCTETS - 1), b"NOOP"]


def test_an_unfinished_line_at_the_end_is_no_command() -> None:
    assert commands(b"NOOP\r\nQUI") == [b"NOOP"]
