"""Our reading of a message, held against dkimpy's."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from gateway.parse.limits import HEADER_BYTES
from gateway.verify import dkim_message
from gateway.verify.dkim_message import BodyForm, body_hashes, canonical_body, read_message, without_b

PIECES = st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"bc", b"  ", b" \r\n", b"\r\n\r\n"])


@given(st.lists(PIECES, max_size=40).map(b"".join), st.booleans(), st.integers(1, 9))
def test_the_canonical_body_is_the_one_of_dkimpy_in_whatever_pieces(body, relaxed, chunk):
    form = b"relaxed" if relaxed else b"simple"
    expected = CanonicalizationPolicy.from_c_value(b"simple/" + form).canonicalize_body(body)
    size, dkim_message.CHUNK_OCTETS = dkim_message.CHUNK_OCTETS, chunk
    try:
        assert b"".join(canonical_body(body, relaxed=relaxed)) == expected
    finally:
        dkim_message.CHUNK_OCTETS = size


def test_all_forms_of_a_body_are_hashed_in_one_pass():
    forms = [BodyForm(True, None), BodyForm(True, 3), BodyForm(False, None), BodyForm(True, 0)]
    found = body_hashes(read_message(b"A: b\r\n\r\na  b\r\n"), forms)
    assert {f.body_octets for form, f in found.items() if form.relaxed} == {5}
    assert found[BodyForm(False, None)].body_octets == 6
    assert len({f.digest for f in found.values()}) == 4


def test_the_value_of_b_is_removed_with_its_blanks_and_bh_stays():
    assert without_b(b" bh=x;\r\n b = a\r\n c= ; s=q") == b" bh=x;\r\n b =; s=q"
    assert without_b(b" v=1; b=abc\r\n") == b" v=1; b="


def test_fields_keep_their_folding_and_nameless_lines_stay_nameless():
    message = read_message(b"A: b\r\n c\r\nnonsense\r\nFrom : x\r\n\r\nbody")
    assert [(f.name, f.raw_name, f.value) for f in message.fields] == [
        (b"a", b"A", b" b\r\n c\r\n"),
        (b"", b"", b"nonsense\r\n"),
        (b"from", b"From ", b" x\r\n"),
    ]
    assert message.content[message.body :] == b"body"


@given(st.lists(st.sampled_from([b"From: a", b" b", b"x", b"", b"\r", b":", b"\xff: y", b"A:\t"]), max_size=12))
def test_no_content_breaks_the_reader(lines):
    content = b"\r\n".join(lines)
    message = read_message(content)
    for relaxed in (False, True):
        assert not re.search(rb"(?<!\r)\n", b"".join(canonical_body(content, message.body, relaxed=relaxed)))


@given(st.lists(PIECES | st.just(b"\n"), max_size=40).map(b"".join), st.booleans(), st.integers(1, 9))
def test_a_bare_line_feed_is_a_line_end_wherever_the_body_is_cut(body, relaxed, chunk):
    expected = b"".join(canonical_body(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), relaxed=relaxed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim_message, "CHUNK_OCTETS", chunk)
        assert b"".join(canonical_body(b"A: b\n\n" + body, 6, relaxed=relaxed)) == expected


def test_text_without_an_end_of_a_header_was_taken_apart_line_by_line():
    """Nine million lines of a message without an empty line needed a gigabyte."""
    message = read_message(b"DKIM-Signature: x\r\n" + b"aa\r\n" * 500_000)
    assert message.fault == f"the header is longer than {HEADER_BYTES} octets"
    assert message.named(b"dkim-signature")
    assert len(message.fields) <= HEADER_BYTES // 4


def test_of_a_body_no_copy_is_made():
    content = b"A: b\r\n\r\n" + (b"x" * 76 + b"\r\n") * 50_000
    tracemalloc.start()
    body_hashes(read_message(content), [BodyForm(True, None), BodyForm(False, None)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * dkim_message.CHUNK_OCTETS
