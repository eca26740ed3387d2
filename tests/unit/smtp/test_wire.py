"""What a session reads: command lines and blocks from one place, however the octets come."""

from __future__ import annotations

import asyncio

import pytest

from gateway.smtp.wire import (
    COMMAND_OCTETS,
    HELD_OCTETS,
    PATH_COMMAND_OCTETS,
    BareLineFeed,
    LineTooLong,
    SessionEnded,
    Wire,
)


class Flow:
    """A transport that remembers whether it was asked to stop."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def commands(*pieces: bytes) -> list[bytes]:
    """All command lines; a line that is too long is b"!", one that ends in a bare LF b"?"."""

    async def run() -> list[bytes]:
        wire, lines = Wire(), []

        async def feed() -> None:
            for piece in pieces:
                wire.feed(piece)
                await asyncio.sleep(0)
            wire.end()

        feeding = asyncio.create_task(feed())
        while True:
            try:
                lines.append(await wire.command())
            except LineTooLong:
                lines.append(b"!")
            except BareLineFeed:
                lines.append(b"?")
            except SessionEnded:
                await feeding
                return lines

    return asyncio.run(run())


def test_command_lines_come_whole_however_they_are_cut() -> None:
    wire = b"EHLO a\r\nMAIL FROM:<>\r\n\r\nQUIT\r\n"
    for size in range(1, len(wire) + 1):
        pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
        assert commands(*pieces) == [b"EHLO a", b"MAIL FROM:<>", b"", b"QUIT"]


@pytest.mark.parametrize("size", [1000, COMMAND_OCTETS, 131_072])
def test_a_command_too_long_is_told_once_and_the_next_is_read(size: int) -> None:
    wire = b"x" * 300_000 + b"\r\n" + b"y" * (COMMAND_OCTETS - 2) + b"\r\nNOOP\r\n"
    pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
    assert commands(*pieces) == [b"!", b"y" * (COMMAND_OCTETS - 2), b"NOOP"]


def test_an_unfinished_line_at_the_end_is_no_command() -> None:
    assert commands(b"NOOP\r\nQUI") == [b"NOOP"]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("verb", "most"), [(b"NOOP", COMMAND_OCTETS), (b"mail", PATH_COMMAND_OCTETS), (b"RCPT", PATH_COMMAND_OCTETS)]
)
def test_the_longest_command_is_counted_with_its_crlf(verb: bytes, most: int, size: int) -> None:
    line = verb + b" " + b"x" * (most - len(verb) - 3)
    wire = line + b"\r\n" + line + b"x\r\nQUIT\r\n"
    assert commands(*(wire[i : i + size] for i in range(0, len(wire), size))) == [line, b"!", b"QUIT"]


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_a_line_that_ends_in_a_bare_line_feed_is_told_apart(size: int) -> None:
    wire = b"NOOP\nQUIT\r\n" + b"x" * 5000 + b"\nRSET\r\n"
    assert commands(*(wire[i : i + size] for i in range(0, len(wire), size))) == [b"?", b"QUIT", b"?", b"RSET"]


async def test_what_was_given_back_is_read_before_what_came_later() -> None:
    wire = Wire()
    wire.feed(b"abc")
    assert await wire.block() == b"abc"
    wire.feed(b"def")
    wire.give_back(b"c")
    assert await wire.block(2) == b"cd"
    assert await wire.block() == b"ef"
    assert not wire.has_pending


async def test_a_client_that_sends_faster_than_it_is_read_is_made_to_wait() -> None:
    wire, flow = Wire(), Flow()
    wire.begin(flow)
    wire.feed(bytes(HELD_OCTETS))
    assert not flow.paused
    wire.feed(b"x")
    assert flow.paused
    await wire.block(HELD_OCTETS // 4)
    assert flow.paused
    await wire.block(HELD_OCTETS // 2)
    assert not flow.paused


async def test_what_came_in_clear_is_forgotten_when_tls_begins() -> None:
    wire = Wire()
    wire.begin(Flow())
    wire.feed(b"MAIL FROM:<injected@evil.test>\r\n")
    wire.forget()
    assert not wire.has_pending
    wire.feed(b"EHLO a\r\n")
    wire.begin(Flow())
    assert await wire.command() == b"EHLO a"


async def test_what_came_before_the_end_is_still_read_and_a_reason_to_stop_ends_at_once() -> None:
    wire = Wire()
    wire.feed(b"NOOP\r\nQUIT\r\n")
    wire.end()
    assert await wire.command() == b"NOOP"
    wire.end(TimeoutError("now"))
    with pytest.raises(TimeoutError, match="now"):
        await wire.command()


async def test_replies_go_out_before_the_client_is_waited_for_and_not_earlier() -> None:
    flushed: list[bool] = []

    async def flush() -> None:
        flushed.append(True)

    wire = Wire(flush)
    wire.feed(b"NOOP\r\nRSET\r\n")
    await wire.command()
    await wire.command()
    assert flushed == []
    waiting = asyncio.create_task(wire.command())
    await asyncio.sleep(0)
    assert (flushed, wire.is_waiting) == ([True], True)
    wire.feed(b"QUIT\r\n")
    assert await waiting == b"QUIT"


async def test_a_command_too_long_stalled_the_session_when_it_came_in_one_piece() -> None:
    """Reading was paused for what was held, and forgetting it did not go on."""
    wire, flow = Wire(), Flow()
    wire.begin(flow)
    wire.feed(b"x" * (2 * HELD_OCTETS))
    assert flow.paused
    reading = asyncio.create_task(wire.command())
    await asyncio.sleep(0)
    assert not flow.paused
    wire.feed(b"x\r\n")
    with pytest.raises(LineTooLong):
        await reading


async def test_one_client_s_commands_without_end_let_nobody_else_have_a_turn() -> None:
    """What has come already was obeyed to its end before the event loop was given back: 5 s of `BDAT 0`."""
    wire, turns = Wire(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    wire.feed(b"BDAT 0\r\n" * 1000)
    for _ in range(1000):
        assert await wire.command() == b"BDAT 0"
    waiting.cancel()
    assert turns >= 20
