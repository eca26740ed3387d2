"""Short names of file types as the document writes them, and the class each belongs to."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from gateway.policy.cures import quote
from gateway.policy.values import Text, as_list, mistake

_SPELLINGS = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff", "htm": "html", "qt": "mov", "oga": "ogg"}
_RAW = frozenset({"arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "srw"})
_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9_+-]{0,15}")

MEDIA = {
    "image": frozenset({"avif", "bmp", "eps", "gif", "heic", "heif", "ico", "jp2", "jpeg", "jxl", "png", "psd", "raw"})
    | {"svg", "tiff", "webp", "wmf", "emf"},
    "video": frozenset({"avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm", "wmv", "3gp"}),
    "audio": frozenset({"aac", "aiff", "amr", "flac", "m4a", "mid", "mp3", "ogg", "opus", "wav", "wma"}),
}

ZIP_IN_DISGUISE = frozenset({"jar", "apk"})
"""Archives of programs: zip by another name. OOXML, ODF and EPUB have types of their own and are documents."""


def spelled(name: str) -> str:
    """One spelling for each type: `JPG` and `.jpg` are `jpeg`; every camera's own format is `raw`."""
    short = name.strip().lower().lstrip(".")
    return "raw" if short in _RAW else _SPELLINGS.get(short, short)


def class_of(short: str) -> str:
    """image, video, audio, or other."""
    return next((name for name, types in MEDIA.items() if short in types), "other")


def _file_type(value: str) -> str:
    short = spelled(value)
    if not _SHORT_NAME.fullmatch(short):
        raise mistake(f"{quote(value)} is no file type: write a short name such as pdf, exe or jpeg")
    return short


FileType = Annotated[Text, AfterValidator(_file_type)]


def _list_or_empty(value: Any) -> Any:
    return value if value == () else as_list(value)


FileTypes = Annotated[tuple[FileType, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]
FileTypeList = Annotated[tuple[FileType, ...], BeforeValidator(_list_or_empty, json_schema_input_type=tuple[str, ...])]
"""May be empty: `deny: []` denies nothing."""
