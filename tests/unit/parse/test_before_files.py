from __future__ import annotations

import pytest

from gateway.parse.files_in_text import before_files

UU = "begin 644 a.exe\n#0V%T\n`\nend\n"


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (f"Hé, see:\n\n{UU}\nand more", "Hé, see:\n\n"),
        (UU, ""),
        (f"x\n=ybegin line=128 size=3 name=a\nabc\n=yend\n{UU}", "x\n"),
        (f"{UU}(This file must be converted with BinHex 4.0)\n\n:abc:", ""),
        ("begin 644 is how it begins\nand so on", "begin 644 is how it begins\nand so on"),
        ("lone \udcff surrogate", "lone \udcff surrogate"),
        ("", ""),
    ],
)
def test_words_end_where_the_first_file_begins(text: str, before: str) -> None:
    assert before_files(text) == before
