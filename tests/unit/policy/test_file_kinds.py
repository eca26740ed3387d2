from __future__ import annotations

from gateway.policy.file_kinds import MEDIA, class_of, spelled
from gateway.scan import filetypes
from gateway.scan.filetypes.names import ALIASES


def test_every_other_spelling_the_scan_knows_may_be_written_in_a_policy():
    assert {alias: spelled(alias) for alias in ALIASES} == ALIASES


def test_the_classes_are_those_of_the_scan():
    assert MEDIA == {"image": filetypes.IMAGES, "video": filetypes.VIDEOS, "audio": filetypes.AUDIOS}
    assert (class_of("png"), class_of("pdf")) == ("image", "other")


def test_spelling_is_forgiving():
    assert spelled(" .JPG ") == "jpeg"
    assert spelled("NEF") == "raw"
