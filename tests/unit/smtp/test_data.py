"""The content off the wire, however it is cut into pieces."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smtp.data import Chunked, Dotted, Framing

NEXT = b"MAIL FROM:<next@x.test>\r\n"


def received(*pieces: bytes) -> tuple[bytes | None, bytes]:
    """What was read (None where its framing is refused), and what is left for the next command."""
    framing = Framing()
    dotted, content = Dotted(framing), b""
    for i, piece in enumerate(pieces):
        content += dotted.feed(piece)
        if dotted.rest is not None:
            return None if framing.is_bad else content, dotted.rest + b"".join(pieces[i + 1 :])
    raise AssertionError("no end was found")


def chunked(*pieces: bytes) -> bytes | None:
    framing = Framing()
    chunks = Chunked(framing)
    content = b"".join(chunks.feed(p, last=False) for p in pieces) + chunks.feed(b"", last=True)
    return None if framing.is_bad else content


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
            assert received(wire[:i], wire[i:j], wire[j:]) == (content, NEXT), (i, j)
    assert received(*(wire[i : i + 1] for i in range(len(wire)))) == (content, NEXT)


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
    assert received(*pieces) == (content, NEXT)


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
    assert received(content + b"\r\n.\r\n" + NEXT) == (None, NEXT)


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
    assert received(content + b".\r\n" + NEXT) == (content, NEXT)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("nuls", [1, 3, 200])
def test_a_disguised_dot_is_seen_wherever_the_stream_is_cut(size: int, nuls: int) -> None:
    nul = b"\0" * nuls
    for line in (nul + b".", b"." + nul, nul + b"." + nul):
        wire = b"A: b\r\n\r\nx\r\n" + line + b"\r\ny\r\n.\r\n" + NEXT
        assert received(*(wire[i : i + size] for i in range(0, len(wire), size))) == (None, NEXT)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_bare_line_feed_right_behind_the_empty_line_is_body(size: int) -> None:
    """Two octets too many were taken for header where the empty line came first, or with the beginning of a chunk."""
    content = b"\r\n\n\r\n"
    wire = content + b".\r\n"
    assert received(*(wire[i : i + size] for i in range(0, len(wire), size))) == (content, b"")
    assert chunked(b"A: b\r\n", b"\r\n\nx\r\n") == b"A: b\r\n\r\n\nx\r\n"


def test_a_quarter_megabyte_of_nul_costs_no_more_than_other_content() -> None:
    """It held the event loop for minutes: the expression took the square of their number."""
    began = time.process_time()
    for line in (b"\0" * 250_000 + b"x", b"\0." * 125_000):
        wire = b"A: b\r\n\r\n" + line
        assert received(wire, b"\r\n.\r\n") == (wire + b"\r\n", b"")
    assert time.process_time() - began < 2


# --- chunks ---


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_chunks_are_taken_as_they_are(size: int) -> None:
    content = b"A: b\r\n\r\n.\r\n..\r\nbare\nline\r\n\0\xff no end"
    assert chunked(*(content[i : i + size] for i in range(0, len(content), size))) == content


@pytest.mark.parametrize(
    "content", [b"A: b\r\n\r\nx\ry", b"A: b\nC: d\r\n\r\nx", b"A: b\r\n\r\nx\r", b"\nA: b\r\n\r\n"]
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_bad_framing_is_refused_in_chunks_too(content: bytes, size: int) -> None:
    assert chunked(*(content[i : i + size] for i in range(0, len(content), size))) is None
