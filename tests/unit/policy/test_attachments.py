from __future__ import annotations

import pytest

from gateway.core.decision import Disposition, PartDisposition
from gateway.core.outcome import Reason
from gateway.core.reports import Finding, InnerFile, Path, ScanStatus

from .shapes import file, judged, leaf

KEPT, STRIPPED, HELD = PartDisposition.KEPT, PartDisposition.STRIPPED, PartDisposition.HELD


def parts(text="", *files, **more):
    decision = judged(text, parts=tuple(leaf(f.n, f.name, inline=f.inline) for f in files), files=files, **more)
    return [(p.disposition, p.reason) for p in decision.parts]


def one(report, text=""):
    return parts(text, report)[0]


@pytest.mark.parametrize("short", ["exe", "dll", "bat", "zip", "rar", "scr", "bin", "jar", "apk", "EXE"])
def test_the_default_deny_list(short):
    assert one(file(1, f"x.{short}", short)) == (STRIPPED, short.lower())


@pytest.mark.parametrize("short", ["pdf", "docx", "xlsx", "odt", "epub", "txt", "html", "7z", "js", "csv"])
def test_every_other_document_is_taken(short):
    assert one(file(1, f"x.{short}", short)) == (KEPT, "")


@pytest.mark.parametrize(
    ("media", "taken", "refused"),
    [
        ("image", ["jpeg", "png", "gif", "tiff", "raw", "webp", "heic", "heif", "jpg", "nef"], ["svg", "bmp", "psd"]),
        ("video", ["mp4", "mov", "avi", "wmv", "webm"], ["mkv", "flv"]),
        ("audio", ["mp3", "wav", "m4a", "ogg"], ["flac", "mid"]),
    ],
)
def test_media_are_allowed_by_their_lists(media, taken, refused):
    for short in taken:
        assert one(file(1, f"x.{short}", short, detected=short, media=media)) == (KEPT, "")
        assert one(file(1, f"x.{short}", short, media=media)) == (KEPT, "")
    for short in refused:
        assert one(file(1, f"x.{short}", short, detected=short, media=media)) == (STRIPPED, short)
        assert one(file(1, f"x.{short}", short, media=media)) == (STRIPPED, short)


def test_a_program_dressed_as_pdf_is_stripped():
    assert one(file(1, "setup.pdf", "exe", "pdf", detected="exe")) == (STRIPPED, "exe")


def test_a_document_called_a_program_is_stripped():
    assert one(file(1, "report.exe", "pdf", "exe", detected="pdf")) == (STRIPPED, "exe")


def test_a_picture_called_an_archive_is_stripped():
    assert one(file(1, "x.zip", "jpeg", "zip", detected="jpeg", media="image")) == (STRIPPED, "zip")


def test_a_picture_called_a_refused_kind_of_picture_is_stripped():
    assert one(file(1, "x.svg", "jpeg", "svg", detected="jpeg", media="image")) == (STRIPPED, "svg")


def test_a_picture_called_a_document_is_taken():
    assert one(file(1, "x.pdf", "jpeg", "pdf", detected="jpeg", media="image")) == (KEPT, "")


def test_a_picture_of_no_known_type_is_refused_by_its_declared_type():
    assert one(file(1, "x", media="image")) == (STRIPPED, "application/octet-stream")


def test_the_deny_list_is_not_for_media():
    assert one(file(1, "x.png", "png", detected="png", media="image"), "attachments: {deny: [png]}") == (KEPT, "")


def test_nothing_is_denied_by_an_empty_list():
    assert one(file(1, "x.exe", "exe"), "attachments: {deny: []}") == (KEPT, "")


def test_spellings_of_the_lists():
    assert one(file(1, "x.jpg", "jpeg", detected="jpeg", media="image"), "attachments: {allow: {image: [.JPG]}}") == (
        KEPT,
        "",
    )
    assert one(file(1, "x.png", "png", detected="png", media="image"), "attachments: {allow: {image: [.JPG]}}") == (
        STRIPPED,
        "png",
    )
    assert one(file(1, "x.mp4", "mp4", detected="mp4", media="video"), "attachments: {allow: {image: [jpg]}}") == (
        KEPT,
        "",
    )


@pytest.mark.parametrize(("wanted", "expected"), [("strip", STRIPPED), ("hold", HELD)])
def test_violations_go_as_the_document_says(wanted, expected):
    assert one(file(1, "x.exe", "exe"), f"attachments: {{violation: {wanted}}}") == (expected, "exe")


@pytest.mark.parametrize("key", ["encrypted", "macros"])
@pytest.mark.parametrize(("wanted", "expected"), [("accept", KEPT), ("hold", HELD), ("strip", STRIPPED)])
def test_encrypted_files_and_macros(key, wanted, expected):
    report = file(1, "x.docx", "docx", **{key: True})
    assert one(report, f"attachments: {{{key}: {wanted}}}") == (expected, key if expected is not KEPT else "")


def test_encrypted_waits_and_macros_pass_when_nothing_is_said():
    assert one(file(1, "x.docx", "docx", encrypted=True)) == (HELD, "encrypted")
    assert one(file(1, "x.docx", "docx", macros=True)) == (KEPT, "")


def test_the_strictest_of_several_reasons_holds():
    assert one(file(1, "x.zip", "zip", encrypted=True)) == (STRIPPED, "zip")
    assert one(file(1, "x.zip", "zip", encrypted=True), "attachments: {violation: hold, encrypted: strip}") == (
        STRIPPED,
        "encrypted",
    )


@pytest.mark.parametrize(
    ("wanted", "disposition"), [("reject", Disposition.REJECT), ("quarantine", Disposition.QUARANTINE)]
)
def test_a_file_can_stop_the_whole_message(wanted, disposition):
    files = (file(1, "a.pdf", "pdf"), file(2, "setup.exe", "exe"))
    decision = judged(f"attachments: {{violation: {wanted}}}", parts=(leaf(1), leaf(2)), files=files)
    assert (decision.disposition, decision.reason) == (disposition, Reason.ATTACHMENT)
    assert decision.text == "the attachment setup.exe (exe) is not taken here"
    assert [p.disposition for p in decision.parts] == [KEPT, HELD]


def test_behind_a_forwarder_a_refused_file_quarantines():
    decision = judged(
        "attachments: {violation: reject}", parts=(leaf(1),), files=(file(1, "x.exe", "exe"),), path=Path.PROBABLE
    )
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.ATTACHMENT)


def test_the_reply_about_a_file_is_ascii_on_one_line():
    files = (file(1, "żółw\r\n\u202e.exe" + "x" * 200, "exe"),)
    text = judged("attachments: {violation: reject}", parts=(leaf(1),), files=files).text
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 200
    unnamed = judged("attachments: {violation: reject}", parts=(leaf(1),), files=(file(1, "", "exe"),)).text
    assert unnamed == "the attachment without a name (exe) is not taken here"


def test_the_stricter_file_speaks_for_the_message():
    files = (file(1, "a.docx", "docx", encrypted=True), file(2, "b.exe", "exe"))
    text = "attachments: {encrypted: quarantine, violation: reject}"
    decision = judged(text, parts=(leaf(1), leaf(2)), files=files)
    assert (decision.disposition, "b.exe" in decision.text) == (Disposition.REJECT, True)


def test_the_last_files_over_a_maximum_are_violations():
    files = [file(n, f"{n}.pdf", "pdf") for n in range(1, 5)]
    assert [p[0] for p in parts("attachments: {max_files: 2}", *files)] == [KEPT, KEPT, STRIPPED, STRIPPED]
    assert [p[0] for p in parts("attachments: {max_bytes: 2500}", *files)] == [KEPT, KEPT, STRIPPED, STRIPPED]
    assert parts("attachments: {max_files: 0, violation: hold}", files[0]) == [(HELD, "more than 0 files")]
    assert parts("attachments: {max_bytes: 1}", files[0]) == [(STRIPPED, "more than 1 bytes of files")]


def test_files_that_are_not_kept_do_not_count():
    files = [file(1, "1.exe", "exe"), file(2, "2.pdf", "pdf")]
    assert [p[0] for p in parts("attachments: {max_files: 1}", *files)] == [STRIPPED, KEPT]


def test_images_in_the_text_are_counted_apart():
    picture = {"detected": "png", "media": "image"}
    files = [
        file(1, "1", "png", inline=True, **picture),
        file(2, "2", "png", **picture),
        file(3, "3", "png", inline=True, **picture),
    ]
    assert [p[0] for p in parts("attachments: {max_files: 1}", *files)] == [KEPT, KEPT, KEPT]
    assert [p[0] for p in parts("attachments: {max_inline_files: 1}", *files)] == [KEPT, KEPT, STRIPPED]
    assert [p[0] for p in parts("attachments: {max_inline_bytes: 1500}", *files)] == [KEPT, KEPT, STRIPPED]


def test_the_text_of_the_message_is_never_a_file():
    decision = judged(
        "attachments: {deny: [html]}",
        parts=(leaf(1, is_text=True), leaf(2)),
        files=(file(1, "", "html"), file(2, "x.html", "html")),
    )
    assert [p.disposition for p in decision.parts] == [KEPT, STRIPPED]


def test_a_file_nobody_examined_waits():
    decision = judged("", parts=(leaf(1, is_text=True), leaf(2, "x.pdf")))
    assert [(p.n, p.disposition, p.reason) for p in decision.parts] == [(1, KEPT, ""), (2, HELD, "not examined")]


def test_a_refused_file_that_was_never_examined_has_a_name_in_the_reply():
    decision = judged("virus: {infected: reject}", status=ScanStatus.INFECTED, parts=(leaf(1, "x"),))
    assert decision.parts[0].disposition is HELD


def test_a_report_without_its_leaf_is_judged_all_the_same():
    assert [p.disposition for p in judged("", files=(file(4, "x.exe", "exe"),)).parts] == [STRIPPED]


def test_what_a_scanner_calls_encrypted_is_judged_by_that_key_alone():
    picture = file(3, "c.png", "png", detected="png", media="image", inline=True)
    files = (file(1, "a.7z", "7z"), file(2, "b.pdf", "pdf"), picture)

    def dispositions(text, findings, *reports):
        leaves = tuple(leaf(r.n) for r in reports)
        scan = {"status": ScanStatus.UNSCANNABLE, "scan_reason": "encrypted", "findings": findings}
        decision = judged(text, parts=leaves, files=reports, **scan)
        assert decision.disposition is Disposition.ACCEPT
        return [p.disposition for p in decision.parts]

    whole = (Finding("clamav", "Heuristics.Encrypted.Zip"),)
    second = (Finding("clamav", "Heuristics.Encrypted.PDF", "2"),)
    assert dispositions("virus: {unscannable: reject}", whole, *files) == [HELD, HELD, KEPT]
    assert dispositions("virus: {unscannable: reject}", second, *files) == [KEPT, HELD, KEPT]
    assert dispositions("attachments: {encrypted: strip}", second, *files) == [KEPT, STRIPPED, KEPT]
    seen = file(1, "a.7z", "7z", encrypted=True)
    assert dispositions("", whole, seen, *files[1:]) == [HELD, KEPT, KEPT]


def inner(path, *types, container="zip", media="other", detected="", **more):
    return InnerFile(path, container, detected, media, types, **more)


def test_what_lies_in_an_archive_is_judged_as_if_it_were_attached():
    allowed = "attachments: {deny: [exe]}"
    report = file(1, "a.zip", "zip", detected="zip", inside=(inner("a.zip/b/x.exe", "exe", detected="exe"),))
    assert one(report, allowed) == (STRIPPED, "exe inside it: a.zip/b/x.exe")
    picture = inner("a.zip/x.svg", "svg", media="image", detected="svg")
    assert one(file(1, "a.zip", "zip", inside=(picture,)), allowed) == (STRIPPED, "svg inside it: a.zip/x.svg")
    good = inner("a.zip/x.jpg", "jpeg", media="image", detected="jpeg")
    assert one(file(1, "a.zip", "zip", inside=(good,)), allowed) == (KEPT, "")


def test_what_a_document_is_made_of_is_no_attachment():
    own = (
        inner("a.docx/word/media/image1.emf", "emf", container="docx", media="image", detected="emf"),
        inner("a.docx/word/vbaProject.bin", "bin", container="docx", detected="ole"),
    )
    assert one(file(1, "a.docx", "docx", detected="docx", inside=own)) == (KEPT, "")


@pytest.mark.parametrize("container", ["docx", "ole", "odt"])
def test_a_program_in_a_document_is_found(container):
    program = inner("a.docx/embeddings/1/x.exe", "exe", container=container)
    report = file(1, "a.docx", "docx", detected="docx", inside=(program,))
    assert one(report) == (STRIPPED, "exe inside it: a.docx/embeddings/1/x.exe")


def test_an_archive_in_an_attached_message_is_an_archive():
    report = file(1, "fwd.eml", "eml", detected="eml", inside=(inner("fwd.eml/a.zip", "zip", container="eml"),))
    assert one(report) == (STRIPPED, "zip inside it: fwd.eml/a.zip")


@pytest.mark.parametrize(("says", "wanted"), [("hold", HELD), ("accept", KEPT)])
def test_a_file_that_cannot_be_seen_to_its_end_waits_alone(says, wanted):
    bomb = file(1, "a.7z", "7z", detected="7z", unscannable="more than 100 times its size")
    found = parts(f"virus: {{unscannable: {says}}}", bomb, file(2, "b.pdf", "pdf"), status=ScanStatus.UNSCANNABLE,
                  scan_reason="archive")  # fmt: skip
    assert [disposition for disposition, _ in found] == [wanted, KEPT]


def test_a_name_inside_is_a_strangers_text():
    report = file(1, "a.zip", "7z", inside=(inner("a\x1b[31m.exe" + "x" * 500, "exe"),))
    reason = one(report)[1]
    assert reason.isprintable()
    assert len(reason) < 160
