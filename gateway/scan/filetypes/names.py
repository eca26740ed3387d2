"""What a file's name and its declared media type say it is.

The name is read as the reader's computer will read it, not as it is written: compatibility characters folded, what is
invisible gone, trailing dots and blanks and NTFS streams cut (FreeScout CVE-2026-28289 was a zero-width space).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Shown as nothing though no Cf: combining grapheme joiner, Hangul fillers, Mongolian and other variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}
_EXTENSION = re.compile(r"[\w+!$~-]{1,24}")
_CLASS_ID = re.compile(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")

ALIASES = {
    "jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "pjpeg": "jpeg", "pjp": "jpeg", "tif": "tiff", "dib": "bmp",
    "apng": "png", "heics": "heic", "heifs": "heif", "svgz": "svg", "j2k": "jp2", "jpx": "jp2", "jpf": "jp2",
    "cr2": "raw", "cr3": "raw", "crw": "raw", "nef": "raw", "nrw": "raw", "dng": "raw", "arw": "raw", "sr2": "raw",
    "srf": "raw", "orf": "raw", "rw2": "raw", "raf": "raw", "pef": "raw", "srw": "raw", "x3f": "raw", "mrw": "raw",
    "3fr": "raw", "fff": "raw", "iiq": "raw", "rwl": "raw", "dcr": "raw", "kdc": "raw", "erf": "raw", "mos": "raw",
    "m4v": "mp4", "mpg4": "mp4", "qt": "mov", "asf": "wmv", "mpg": "mpeg", "mpe": "mpeg", "3gpp": "3gp", "3g2": "3gp",
    "wave": "wav", "oga": "ogg", "opus": "ogg", "spx": "ogg", "m4b": "m4a", "mpga": "mp3", "aif": "aiff",
    "aifc": "aiff", "midi": "mid", "htm": "html", "xhtml": "html", "xht": "html", "shtml": "html", "mhtml": "mht",
    "yml": "yaml", "text": "txt", "markdown": "md", "ical": "ics", "ifb": "ics", "vcard": "vcf",
    "bash": "sh", "zsh": "sh", "ksh": "sh", "csh": "sh", "command": "sh", "pyw": "py", "pyz": "py",
    "psm1": "ps1", "psd1": "ps1", "ps1xml": "ps1", "mjs": "js", "cjs": "js",
    "tgz": "gz", "taz": "gz", "gzip": "gz", "tbz": "bz2", "tbz2": "bz2", "txz": "xz", "tzst": "zst", "zstd": "zst",
    "rev": "rar", "r00": "rar", "r01": "rar", "zipx": "zip", "ova": "tar", "onetoc2": "one", "onepkg": "one",
    "qcow": "qcow2", "lzh": "lha", "tzo": "lzo", "lzop": "lzo", "sitx": "sit", "sea": "sit",
    "macbin": "macbinary", "dcm30": "dcm", "dicom": "dcm",
}  # fmt: skip
"""Other spellings of one type."""

IMPLIES = {
    "jar": ("zip",), "war": ("jar", "zip"), "ear": ("jar", "zip"), "apk": ("zip",), "aab": ("zip",), "xapk": ("zip",),
    "ipa": ("zip",), "appx": ("zip",), "msix": ("appx", "zip"), "xpi": ("zip",), "crx": ("zip",), "cbz": ("zip",),
    "kmz": ("zip",), "cbr": ("rar",),
    "scr": ("exe",), "com": ("exe",), "pif": ("exe",), "sys": ("exe",), "cpl": ("dll", "exe"), "ocx": ("dll", "exe"),
    "drv": ("dll", "exe"), "xll": ("dll", "exe"), "efi": ("exe",), "dll": ("exe",), "clsid": ("exe",),
    "cmd": ("bat",), "elf": ("bin",), "macho": ("bin",), "so": ("elf", "bin"), "dylib": ("macho", "bin"),
    "run": ("bin",), "udf": ("iso",), "vhdx": ("vhd",),
}  # fmt: skip
"""What a type also is: Windows runs .com and .scr as programs whatever they are called."""

_DECLARED = {
    "application/pdf": "pdf", "application/x-pdf": "pdf", "application/rtf": "rtf", "text/rtf": "rtf",
    "application/zip": "zip", "application/x-zip": "zip", "application/x-zip-compressed": "zip",
    "application/vnd.rar": "rar", "application/x-rar": "rar", "application/x-rar-compressed": "rar",
    "application/x-7z-compressed": "7z", "application/gzip": "gz", "application/x-gzip": "gz",
    "application/x-bzip2": "bz2", "application/x-xz": "xz", "application/zstd": "zst", "application/x-brotli": "br",
    "application/brotli": "br", "application/x-lzop": "lzo", "application/x-zoo": "zoo", "application/zoo": "zoo",
    "application/x-stuffit": "sit", "application/x-stuffitx": "sit", "application/x-sit": "sit",
    "application/x-alz": "alz", "application/x-alz-compressed": "alz", "application/x-egg": "egg",
    "application/macbinary": "macbinary", "application/x-macbinary": "macbinary", "application/x-tar": "tar",
    "application/vnd.ms-cab-compressed": "cab", "application/x-iso9660-image": "iso", "application/x-cd-image": "iso",
    "application/java-archive": "jar", "application/x-java-archive": "jar",
    "application/vnd.android.package-archive": "apk", "application/x-msdownload": "exe",
    "application/x-msdos-program": "exe", "application/x-dosexec": "exe", "application/exe": "exe",
    "application/x-exe": "exe", "application/x-winexe": "exe", "application/x-msdos-windows": "exe",
    "application/vnd.microsoft.portable-executable": "exe", "application/x-executable": "elf",
    "application/x-elf": "elf", "application/x-sharedlib": "elf", "application/x-mach-binary": "macho",
    "application/x-msi": "msi", "application/x-ms-installer": "msi", "application/x-ms-shortcut": "lnk",
    "application/x-bat": "bat", "application/bat": "bat", "application/x-sh": "sh", "application/x-shellscript": "sh",
    "text/x-shellscript": "sh", "text/x-sh": "sh", "text/x-python": "py", "application/x-python-code": "py",
    "text/javascript": "js", "application/javascript": "js", "application/x-javascript": "js", "text/vbscript": "vbs",
    "application/hta": "hta", "text/html": "html", "application/xhtml+xml": "html", "text/calendar": "ics",
    "application/ics": "ics", "text/vcard": "vcf", "text/x-vcard": "vcf", "text/directory": "vcf", "text/csv": "csv",
    "application/csv": "csv", "text/xml": "xml", "application/xml": "xml", "application/json": "json",
    "application/ms-tnef": "tnef", "application/vnd.ms-tnef": "tnef", "message/rfc822": "eml", "message/global": "eml",
    "application/vnd.ms-outlook": "msg", "application/msword": "doc", "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt", "application/onenote": "one", "application/msonenote": "one",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.ms-word.document.macroenabled.12": "docm",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsm",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": "pptm",
    "application/vnd.oasis.opendocument.text": "odt", "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp", "application/epub+zip": "epub",
    "application/postscript": "ps", "application/pgp-signature": "asc", "application/pkcs7-signature": "p7s",
    "application/x-pkcs7-signature": "p7s", "application/pkcs7-mime": "p7m", "application/x-pkcs7-mime": "p7m",
    "application/x-shockwave-flash": "swf", "application/ogg": "ogg", "application/dicom": "dcm",
    "image/svg+xml": "svg", "image/x-icon": "ico", "image/vnd.microsoft.icon": "ico", "image/x-ms-bmp": "bmp",
    "image/x-windows-bmp": "bmp", "image/vnd.adobe.photoshop": "psd", "image/x-photoshop": "psd",
    "image/x-adobe-dng": "raw", "image/x-canon-cr2": "raw", "image/x-canon-cr3": "raw", "image/x-nikon-nef": "raw",
    "image/x-sony-arw": "raw", "image/x-olympus-orf": "raw", "image/x-fuji-raf": "raw",
    "image/x-panasonic-rw2": "raw", "image/x-pentax-pef": "raw", "image/x-dcraw": "raw", "image/heic-sequence": "heic",
    "image/heif-sequence": "heif", "video/quicktime": "mov", "video/x-msvideo": "avi", "video/msvideo": "avi",
    "video/vnd.avi": "avi", "video/x-ms-wmv": "wmv", "video/x-ms-asf": "wmv", "video/x-matroska": "mkv",
    "video/matroska": "mkv", "video/3gpp": "3gp", "video/3gpp2": "3gp", "video/x-m4v": "mp4", "video/ogg": "ogv",
    "audio/mpeg": "mp3", "audio/mpeg3": "mp3", "audio/vnd.wave": "wav", "audio/mp4": "m4a", "audio/basic": "au",
    "audio/x-ms-wma": "wma",
}  # fmt: skip

_SAYS_NOTHING = frozenset({"octet-stream", "unknown", "download", "force-download", "binary", "*", ""})


def washed(name: str) -> str:
    """The name as a reader's computer takes it: NFKC, nothing invisible, no folder, no stream, no trailing dots."""
    text = _visible(unicodedata.normalize("NFKC", name))
    text = re.split(r"[/\\]", text)[-1]
    text = re.sub(r":+\$[A-Za-z_]*\s*$", "", text)
    return text.strip(" \t\"'`").rstrip(". \u00a0\"'`")


def shown(name: str) -> str:
    """The name for people: as written, but without what is invisible or turns the writing direction."""
    return _visible(unicodedata.normalize("NFC", name)).strip()


def _visible(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE and c not in _BLANK)


def extension_of(name: str) -> str:
    """The last extension of the washed name, lower case, empty when there is none."""
    _, dot, last = washed(name).rpartition(".")
    last = last.strip().casefold()
    if not dot or not (_EXTENSION.fullmatch(last) or _CLASS_ID.fullmatch(last)):
        return ""
    return last


def types_of_name(name: str) -> tuple[str, ...]:
    """The types a file name promises, by every reading a computer may make of it; empty when it has no extension.

    Only the last extension counts: `invoice.exe.pdf` opens as PDF. Before a NUL or an NTFS stream's colon the name may
    end for some (`run.exe:a.pdf`), so both ends count.
    """
    readings = dict.fromkeys((name, name.partition("\0")[0], re.sub(r":[^/\\:]*$", "", name)))
    return with_implied(_type_of_extension(e) for e in map(extension_of, readings) if e)


def _type_of_extension(extension: str) -> str:
    if _CLASS_ID.fullmatch(extension):
        return "clsid"  # Explorer takes {3050f4d8-...} for the class's extension and shows none
    return ALIASES.get(extension, extension)


def types_of_declared(media_type: str) -> tuple[str, ...]:
    """The types a `type/subtype` of RFC 2045 promises; empty when it says nothing (`application/octet-stream`)."""
    full = media_type.partition(";")[0].strip().lower()
    kind, _, subtype = full.partition("/")
    subtype = subtype.removeprefix("x-")
    known = _DECLARED.get(full) or _DECLARED.get(f"{kind}/{subtype}")
    if known:
        return with_implied((known,))
    if kind not in ("image", "video", "audio") or subtype in _SAYS_NOTHING:
        return ()
    return with_implied((ALIASES.get(subtype, subtype),))


def with_implied(types: Iterable[str]) -> tuple[str, ...]:
    """`types`, each followed by what it also is, no type twice."""
    found: dict[str, None] = {}
    for kind in types:
        found.update(dict.fromkeys((kind, *IMPLIES.get(kind, ()))))
    return tuple(found)
