"""The walk through containers within containers, whatever they are."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from gateway.scan import filetypes
from gateway.scan.inside import walk
from gateway.scan.inside.entry import DEPTH, RATIO, Budget, Entry, Share, Unscannable
from gateway.scan.inside.walk import KINDS, NOBODY_READS, PATH_CHARACTERS, READERS, Inside, is_container
from tests.unit.scan.filetypes import samples
from tests.unit.scan.inside import archives as make
from tests.unit.scan.inside.archives import EXE, look, paths, tarred, zipped


def nested(levels: int) -> bytes:
    data = EXE
    for _ in range(levels):
        data = zipped(("x", data))
    return data


def test_files_are_found_at_every_depth() -> None:
    data = zipped(("b/docs.tgz", gzip.compress(tarred(("c/setup", EXE)))))
    found = look(data)
    assert found.unscannable == ""
    assert [(f.path, f.container, f.detected_type) for f in found.files] == [
        ("a.zip/b/docs.tgz", "zip", "gz"),
        ("a.zip/b/docs.tgz/docs.tar", "gz", "tar"),
        ("a.zip/b/docs.tgz/docs.tar/c/setup", "tar", "exe"),
    ]


def test_five_containers_within_each_other_are_entered_and_six_are_not() -> None:
    assert look(nested(DEPTH)).files[-1].detected_type == "exe"
    assert look(nested(DEPTH)).unscannable == ""
    deeper = look(nested(DEPTH + 1))
    assert deeper.unscannable == "more than 5 containers within each other"
    assert "exe" not in [f.detected_type for f in deeper.files]


def test_alike_files_are_told_together_by_the_first_one_s_path() -> None:
    found = look(zipped(("1.txt", b"x"), ("2.exe", EXE), ("3.txt", b"y"), ("4.jpg", samples.JPEG)))
    assert [(f.path, f.count, f.media_class) for f in found.files] == [
        ("a.zip/1.txt", 2, "other"),
        ("a.zip/2.exe", 1, "other"),
        ("a.zip/4.jpg", 1, "image"),
    ]


def test_documents_are_containers_and_their_macros_are_found() -> None:
    vba = samples.compound({"VBA/dir": b"x", "VBA/Module1": b"y"})
    document = samples.ooxml(f"{samples.OOXML}wordprocessingml.document.main+xml", "word", **{"word/o.bin": vba})
    found = look(document, "a.docx")
    assert found.macros
    assert ("a.docx/word/o.bin", "docx", True) in [(f.path, f.container, f.macros) for f in found.files]


def test_what_is_encrypted_deep_inside_is_told() -> None:
    found = look(zipped(("in.zip", samples.encrypted_zip("secret.exe"))))
    assert found.encrypted
    assert ("a.zip/in.zip/secret.exe", True) in [(f.path, f.encrypted) for f in found.files]


def test_a_file_that_is_two_things_is_entered_as_both() -> None:
    both = gzip.compress(EXE) + zipped(("b.txt", b"x"))
    found = look(both, "a")
    assert {"a/b.txt", "a/a"} == set(paths(found))
    assert found.unscannable == "data behind its end"


def test_a_program_that_unpacks_itself_is_entered() -> None:
    found = look(zipped(("x", EXE + zipped(("in.js", b"1")))))
    assert paths(found) == ["a.zip/x", "a.zip/x/in.js"]


@pytest.mark.parametrize("kind", ["cab", "iso", "vhd", "zst", "lha"])
def test_containers_that_nobody_reads_are_named(kind: str) -> None:
    contents = {
        "cab": b"MSCF\0\0\0\0" + bytes(40), "iso": samples.iso(), "vhd": b"conectix" + bytes(504),
        "zst": b"\x28\xb5\x2f\xfd\4\0" + bytes(9), "lha": b"\x1a\x20-lh5-" + bytes(20),
    }  # fmt: skip
    words = f"what lies in {NOBODY_READS[kind]} ({kind}) cannot be checked"
    assert look(contents[kind]) == Inside(unscannable=words)
    assert look(zipped(("x", contents[kind]))).unscannable == words


def test_what_is_called_an_image_and_known_as_nothing_is_not_called_seen() -> None:
    """It counted as a plain file: a disc image with an unusual beginning was kept, and clamd said OK of it."""
    assert look(zipped(("x.iso", b"\1" * 3000))).unscannable == "what lies in a disc image (iso) cannot be checked"
    assert look(zipped(("x.iso", samples.pdf()))).unscannable == ""
    assert look(zipped(("x.txt", b"\1" * 3000))).unscannable == ""


def test_what_is_called_a_tar_and_begins_with_none_is_not_called_seen() -> None:
    """GNU tar says "Skipping to next header" and unpacks the rest."""
    assert look(zipped(("x.tar", b"\1" * 512 + tarred(("x.exe", EXE))))).unscannable == "broken"


def test_no_type_is_read_and_said_to_be_read_by_nobody() -> None:
    assert NOBODY_READS & READERS.keys() == set()


@pytest.mark.parametrize("content", [b"", b"hello", samples.JPEG, EXE, b"%PDF-1.4"])
def test_other_files_are_no_containers(content: bytes) -> None:
    assert not is_container(filetypes.look(content))
    assert look(content) == Inside()


def test_the_rest_is_still_looked_at_behind_a_flaw() -> None:
    found = look(
        zipped(
            ("1.gz", b"\x1f\x8b\x08" + bytes(20)), ("2.cab", b"MSCF\0\0\0\0" + bytes(40)), ("3.zip", zipped(("x", EXE)))
        )
    )
    assert found.unscannable == "broken"
    assert "a.zip/3.zip/x" in paths(found)


def test_two_hundred_kinds_are_told_and_no_more_and_the_rest_is_still_judged() -> None:
    files = [(f"x.e{n}", b"x") for n in range(KINDS + 50)]
    found = look(zipped(*files, ("in.zip", samples.encrypted_zip())))
    assert len(found.files) == KINDS
    assert found.unscannable == f"more than {KINDS} kinds of files"
    assert found.encrypted


def test_paths_have_nothing_invisible_and_an_end() -> None:
    found = look(zipped(("evil\u202etxt.exe", b"x"), ("\u200b", b"x"), ("x/" * 900 + "end.js", b"x")), "a\u200b.zip")
    told = [f.path for f in found.files]
    assert told[:2] == ["a.zip/eviltxt.exe", "a.zip/unnamed"]
    assert told[2].endswith("x/end.js")
    assert len(told[2]) == PATH_CHARACTERS


def test_a_backslash_is_a_folder() -> None:
    assert paths(look(zipped(("b\\c.txt", b"x")))) == ["a.zip/b/c.txt"]


def test_of_a_name_too_long_for_anyone_both_ends_count() -> None:
    found = look(make.Zip([make.File(b"setup.exe\0" + b"x" * 3000 + b".txt")]).build())
    assert found.files[0].types == ("txt", "exe")


# --- readers that do what no archive can be made to do here ---


def with_reader(monkeypatch: pytest.MonkeyPatch, *given: Entry | Exception) -> None:
    def entries(content: bytes, share: Share) -> Iterator[Entry]:
        for one in given:
            if isinstance(one, Exception):
                raise one
            share.file()
            yield one

    monkeypatch.setitem(walk.READERS, "zip", entries)


def test_a_container_that_contains_itself_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    quine = zipped(("quine.zip", b""))
    with_reader(monkeypatch, Entry("quine.zip", quine))
    found = look(quine)
    assert found.unscannable == "more than 5 containers within each other"
    assert found.files[0].count == DEPTH


@pytest.mark.parametrize("bug", [ValueError("x"), RecursionError(), MemoryError(), KeyError()])
def test_a_reader_s_bug_is_unscannable_with_one_line_in_the_log(
    bug: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_reader(monkeypatch, Entry("x.exe", EXE), bug)
    both = tarred(("1.zip", zipped()), ("2.zip", zipped()))
    with capture_logs() as lines:
        found = look(both, "a.tar")
    assert found.unscannable == "cannot be read"
    assert "a.tar/1.zip/x.exe" in paths(found)
    assert [line["event"] for line in lines] == ["a container could not be read"]


def test_a_file_that_is_only_listed_has_no_content_type(monkeypatch: pytest.MonkeyPatch) -> None:
    with_reader(monkeypatch, Entry("x.exe", None))
    found = look(zipped())
    assert found.unscannable == ""
    assert (found.files[0].detected_type, found.files[0].types) == ("", ("exe",))


def test_a_container_that_is_only_listed_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    with_reader(monkeypatch, Entry("x.zip", None))
    assert look(zipped()).unscannable == "zip in it that can only be listed"


def test_the_beginning_of_a_large_container_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    with_reader(monkeypatch, Entry("x.tar", tarred(("y", b"")), cut=True), Unscannable("later"))
    found = look(zipped())
    assert found.unscannable == "a container too large to look into"
    assert paths(found) == ["a.zip/x.tar"]


# --- bombs ---


def test_a_bomb_of_zips_within_zips_spends_no_more_than_a_message_may() -> None:
    """42.zip: sixteen each, five levels, and zeros at the bottom; a million files of 4 GB if one believed it."""
    level = zipped(("0", bytes(8 * 1024 * 1024)))
    for _ in range(DEPTH):
        level = zipped(*((f"{n}.zip", level) for n in range(16)))
    spend = Budget(time.monotonic() + 30, octets=64 * 1024 * 1024)
    found = look(level, spend=spend)
    assert found.unscannable
    assert spend.octets > -2 * 65_536
    assert spend.files >= -DEPTH * 16


def test_zeros_in_a_zip_in_a_zip_are_a_bomb() -> None:
    spend = make.budget()
    inner = zipped(("0", bytes(100 * 1024 * 1024)))
    assert look(zipped(("x.zip", inner)), spend=spend).unscannable == f"more than {RATIO} times its size"
    assert make.spent(spend)[1] <= (RATIO + 1) * len(inner) + 65_536


def test_what_one_file_spends_the_next_has_no_more() -> None:
    spend = Budget(time.monotonic() + 30, files=3)
    assert look(zipped(("a", b""), ("b", b"")), spend=spend).unscannable == ""
    assert look(zipped(("a", b""), ("b", b"")), spend=spend).unscannable == "more than 10000 files"


def test_a_deadline_that_has_passed_ends_it() -> None:
    found = look(nested(3), spend=Budget(time.monotonic() - 1))
    assert found == Inside(unscannable="takes too long")


def test_a_message_in_an_archive_was_taken_for_the_picture_it_began_like() -> None:
    message = b"GIF89a: x\r\n" + b"From: a@customer.example\r\nTo: b@shop.example\r\nSubject: x\r\n\r\nhello\r\n"
    assert look(make.zipped(("a.eml", message))).unscannable == "a message that begins like another file"
