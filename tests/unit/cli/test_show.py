"""Tables on terminals of any width."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from rich.cells import cell_len

from gateway.cli import show

Shown = Callable[[int, Sequence[str], Sequence[Sequence[show.Cell]]], str]

COLUMNS = ("at", "trace", "outcome", "from", "to", "reply")
ROWS = [
    (
        f"2026-11-22 15:00:0{n}Z", f"T4WZG63WEWFPABC{n}", show.state("refused"), "carol@petal.example",
        "support@acme.gateway.localhost", "550 5.7.26 forged, the author's domain disowns this message (DMARC)",
    )
    for n in range(3)
]  # fmt: skip
TICKETS = [(1007, "open", "Where is my order? I have waited long enough"), (1008, "closed", None)]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    def on(width: int, columns: Sequence[str], rows: Sequence[Sequence[show.Cell]]) -> str:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(width))
        show.table(columns, rows, empty="")
        return re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)

    return on


@pytest.mark.parametrize("width", [50, 60, 80, 100, 130, 200])
def test_on_a_narrow_terminal_no_id_is_cut_and_no_column_is_gone(shown: Shown, width: int) -> None:
    """At 80 columns tickets 1007 and 1008 both were `100`, a trace could not be copied, and the reply was missing."""
    text = shown(width, COLUMNS, ROWS)
    for n in range(3):
        assert f"T4WZG63WEWFPABC{n}" in text
    assert text.count("refused") == 3
    assert text.count("550 5.7.26") == 3
    assert all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_every_ticket_keeps_its_number(shown: Shown, width: int) -> None:
    text = shown(width, ("ticket", "state", "subject"), TICKETS)
    assert "1007" in text
    assert "1008" in text
    assert "closed" in text
    assert "order?" in text


@pytest.mark.parametrize("width", [60, 80, *range(92, 98), 120])
def test_wide_characters_emptied_the_first_column_and_cut_the_others(shown: Shown, width: int) -> None:
    """A letter of Japanese takes two columns, and was counted as one."""
    columns = ("agent", "name", "status", "teams", "language")
    name, team = "\u65e5\u672c\u8a9e\u306e\u540d\u524d" * 3, "\u65e5\u672c\u8a9e\u30c1\u30fc\u30e0\u306e\u540d\u524d"
    text = shown(width, columns, [("wide@home.test", name, show.state("available"), team, None)] * 2)

    assert text.count("wide@home.test") == 2
    assert text.count("languag") == text.count("language")
    assert sum(text.count(letter) for letter in set(name + team)) == 2 * len(name + team)
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_in_plain_text_columns_of_wide_characters_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("name", "team"), [("\u65e5\u672c\u8a9e", "a"), ("Ann", "b")], empty="")

    starts = {cell_len(line.partition("\t")[0]) for line in capsys.readouterr().out.splitlines()}
    assert starts == {6}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_ids_were_broken_over_lines(shown: Shown, width: int) -> None:
    """They are the only handle for `policy unschedule` and `key revoke`."""
    ids = [f"0199d2f0a1b27c3d8e4f5061728394a{n}" for n in range(3)]
    rows = [
        (one, "2026-11-22 15:00:00Z", "an.admin@petal.example", "Before the holidays, as agreed in the team", "")
        for one in ids
    ]

    text = shown(width, ("id", "due", "by", "note", "result"), rows)

    assert [one for one in ids if one in text] == ids
    assert text.count("an.admin@petal.example") == 3
    assert all(len(line) <= width for line in text.splitlines())


def test_where_there_is_room_it_is_a_table(shown: Shown) -> None:
    head = shown(200, COLUMNS, ROWS).splitlines()[1]
    assert head.split() == list(COLUMNS)
