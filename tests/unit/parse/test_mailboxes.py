from __future__ import annotations

import pytest

from gateway.core.message import Address
from gateway.parse import parse

from .shapes import message


def to_of(value: str) -> tuple[Address, ...]:
    return parse(message(f"To: {value}")).to


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b.example, C D <c@d.example>", (Address("a@b.example"), Address("c@d.example", "C D"))),
        (
            "team: a@b.example, c@d.example;, e@f.example",
            (Address("a@b.example"), Address("c@d.example"), Address("e@f.example")),
        ),
        ("undisclosed-recipients:;", ()),
        ("<@relay.example:a@b.example>", (Address("a@b.example"),)),
        ('"Last, \\"First\\"" <a@b.example>', (Address("a@b.example", 'Last, "First"'),)),
        (
            "a@b.example (Carol (her\\) account)), c@d.example",
            (Address("a@b.example", "Carol her) account"), Address("c@d.example")),
        ),
        ("<mailto:a@b.example>", (Address("a@b.example"),)),
        ("Unclosed <a@b.example", (Address("a@b.example", "Unclosed"),)),
        ("a..b@docomo.example", (Address('"a..b"@docomo.example'),)),
    ],
)
def test_lists_are_read_tolerantly(value: str, expected: tuple[Address, ...]) -> None:
    assert to_of(value) == expected


def test_what_is_no_address_is_left_out_and_noted() -> None:
    parsed = parse(message("To: nobody, a@b.example"))
    assert parsed.to == (Address("a@b.example"),)
    assert parsed.defects == ("malformed-address",)


def test_a_list_without_end_is_read_in_part() -> None:
    parsed = parse(message("To: " + "a@b.example, " * 5000))
    assert len(parsed.to) == 1000
    assert parsed.defects == ("too-many-addresses",)


def test_reply_to_cc_and_sender_are_read() -> None:
    parsed = parse(message("Sender: s@x.example", "Reply-To: r@x.example", "Cc: c@x.example", "Cc: d@x.example"))
    assert parsed.originator == Address("s@x.example")
    assert parsed.reply_to == (Address("r@x.example"),)
    assert parsed.cc == (Address("c@x.example"), Address("d@x.example"))
    assert parsed.defects == ("duplicate-cc",)
