"""Short names of file types as the document writes them, and the class each belongs to."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from gateway.policy.cures import quote
from gateway.policy.values import Text, as_list, is_published, mistake

_SPELLINGS = {
    "jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "pjpeg": "jpeg", "pjp": "jpeg", "tif": "tiff", "dib": "bmp",
    "apng": "png", "heics": "heic", "heifs": "heif", "svgz": "svg", "j2k": "jp2", "jpx": "jp2", "jpf": "jp2",
    "cr2": "raw", "cr3": "raw", "crw": "raw", "nef": "raw", "nrw": "raw", "dng": "raw", "arw": "raw", "sr2": "raw",
    "srf": "raw", "orf": "raw", "rw2": "raw", "raf": "raw", "pef": "raw", "srw": "raw", "x3f": "raw", "mrw": "raw",
    "3fr": "raw", "fff": "raw", "iiq": "raw", "rwl": "raw", "dcr": "raw", "kdc": "raw", "erf": "raw", "mos": "raw",
    "m4v": "mp4", "mpg4": "mp4", "qt": "mov", "asf": "wmv", "mpg": "mpeg", "mpe": "mpeg", "3gpp": "3gp", "3g2": "3gp",
    "wave": "wav", "oga": "ogg", "opus": "ogg", "spx": "ogg", "m4b": "m4a", "mpga": "mp3", "aif": "aiff",
    "aifc": "aiff", "midi": "mid", "htm": "html", "xhtml": "html", "xht": "html", "shtml": "html", "mhtml": "mht",
    "yml": "yaml", "text": "txt", "markdown": "md", "ical": "ics", "ifb": "ics", "vcard": "vcf", "bash": "sh",
    "zsh": "sh", "ksh": "sh", "csh": "sh", "command": "sh", "pyw": "py", "pyz": "py", "psm1": "ps1", "psd1": "ps1",
    "ps1xml": "ps1", "mjs": "js", "cjs": "js", "tgz": "gz", "taz": "gz", "gzip": "gz", "tbz": "bz2", "tbz2": "bz2",
    "txz": "xz", "tzst": "zst", "zstd": "zst", "rev": "rar", "r00": "rar", "r01": "rar", "zipx": "zip", "ova": "tar",
    "onetoc2": "one", "onepkg": "one", "qcow": "qcow2", "lzh": "lha", "dcm30": "dcm", "dicom": "dcm",
    "tzo": "lzo", "lzop": "lzo", "sitx": "sit", "sea": "sit", "macbin": "macbinary",
}  # fmt: skip
"""What people write, and the one name the scan gives the type. A test holds it against the scan's own table."""

_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9_+-]{0,15}")

MEDIA = {
    "image": frozenset(
        {"jpeg", "png", "gif", "tiff", "raw", "webp", "heic", "heif", "avif", "bmp", "ico", "cur", "psd", "svg", "jxl"}
        | {"jp2", "wmf", "emf", "xcf"}
    ),
    "video": frozenset({"mp4", "mov", "avi", "wmv", "webm", "mkv", "mpeg", "flv", "ogv", "3gp"}),
    "audio": frozenset({"mp3", "wav", "m4a", "ogg", "flac", "aac", "amr", "mid", "aiff", "au", "caf", "wma"}),
}
"""The types of each class, as the scan has them."""

ZIP_IN_DISGUISE = frozenset({"jar", "apk"})
"""Archives of programs: zip by another name. OOXML, ODF and EPUB have types of their own and are documents."""

BUNDLES = frozenset(
    "zip tar gz bz2 xz zst 7z rar cab iso jar apk appx lha arj tnef eml mht msg".split()  # noqa: SIM905 - reads better
)
"""Types that only carry other files, for people to take out; every other type with files in it is a document."""


def spelled(name: str) -> str:
    """One spelling for each type: `JPG` and `.jpg` are `jpeg`; every camera's own format is `raw`."""
    short = name.strip().lower().lstrip(".")
    return _SPELLINGS.get(short, short)


def class_of(short: str) -> str:
    """image, video, audio, or other."""
    return next((name for name, types in MEDIA.items() if short in types), "other")


_OTHER_TYPES = """
    exe dll bat scr bin com msi cmd ps1 vbs vbe js jse wsf wsh hta lnk reg cpl sys pif sh py elf class dex pdf doc docx
    docm xls xlsx xlsm ppt pptx pptm rtf odt ods odp odg txt csv html css json xml yaml md ics vcf epub vsd one mdb pst
    sql log dwg dxf stl dcm p7m p7s asc pem vhd vhdx vmdk qcow2 img
"""
_KNOWN = frozenset().union(*MEDIA.values(), BUNDLES, ZIP_IN_DISGUISE, _SPELLINGS, _OTHER_TYPES.split())
"""Types people mean; any other extension may be written too, unless it looks like a slip of one of these."""

_MEANT = {
    "executable": "exe, dll, bat, scr", "executables": "exe, dll, bat, scr", "program": "exe, dll, bat, scr",
    "script": "bat, ps1, vbs, js, sh", "scripts": "bat, ps1, vbs, js, sh", "word": "doc, docx, docm",
    "excel": "xls, xlsx, xlsm", "powerpoint": "ppt, pptx, pptm", "office": "docx, xlsx, pptx",
    "archive": "zip, rar, 7z, gz", "archives": "zip, rar, 7z, gz", "image": "jpeg, png, gif", "images": "jpeg, png, gif",
    "video": "mp4, mov, avi", "videos": "mp4, mov, avi", "audio": "mp3, wav", "document": "pdf, docx, odt",
    "documents": "pdf, docx, odt", "any": "each type by its name", "all": "each type by its name",
}  # fmt: skip


def _file_type(value: str, info: ValidationInfo) -> str:
    short = spelled(value)
    if is_published(info):
        return short
    if short in _MEANT:
        raise mistake(f"{quote(value)} is a kind of files: name the types, for example {_MEANT[short]}")
    if not _SHORT_NAME.fullmatch(short):
        raise mistake(f"{quote(value)} is no file type: {_cure_of_type(value.strip())}")
    if short not in _KNOWN and not value.strip().startswith("."):
        close = get_close_matches(short, sorted(_KNOWN), n=1, cutoff=0.8)
        if close and len(short) > 3:  # among names of three letters everything is close
            raise mistake(
                f"{quote(value)} is not known: did you mean `{close[0]}`? If files end so, write it with the dot: .{short}"
            )
    return short


def _cure_of_type(value: str) -> str:
    if re.fullmatch(r"\w+(,\s*\w+)+", value):
        return f"write a list: [{value}]"
    name = re.fullmatch(r"\*?\.?([\w+-]+)|[a-z]+/(?:x-|vnd\.)?([\w.+-]+)", value.lower())
    word = (name.group(1) or name.group(2)) if name else ""
    return f"write {spelled(word)}" if spelled(word) in _KNOWN else "write a short name such as pdf, exe or jpeg"


FileType = Annotated[Text, AfterValidator(_file_type)]


def _list_or_empty(value: Any) -> Any:
    return value if value == () else as_list(value)


FileTypes = Annotated[tuple[FileType, ...], BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])]
FileTypeList = Annotated[
    tuple[FileType, ...], BeforeValidator(_list_or_empty, json_schema_input_type=str | tuple[str, ...])
]
"""May be empty: `deny: []` denies nothing."""
