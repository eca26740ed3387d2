"""Types that are text: scripts by their first line, markup by its first tags, cards and calendars by their first word."""

from __future__ import annotations

import re

_HEAD_BYTES = 8192
_ACTIVE_WITHIN_BYTES = 2 * 1024 * 1024

_INTERPRETERS = (
    (re.compile(r"python|pypy"), "py"),
    (re.compile(r"perl"), "pl"),
    (re.compile(r"php"), "php"),
    (re.compile(r"ruby"), "rb"),
    (re.compile(r"node|deno|bun\b"), "js"),
    (re.compile(r"pwsh|powershell"), "ps1"),
    (re.compile(r"osascript"), "applescript"),
)
_FIRST_WORDS = (
    (re.compile(r"@?echo (off|on)\b|@?setlocal\b|@cls\b", re.IGNORECASE), "bat"),
    (re.compile(r"<\?php", re.IGNORECASE), "php"),
    (re.compile(r"BEGIN:VCARD", re.IGNORECASE), "vcf"),
    (re.compile(r"BEGIN:VCALENDAR", re.IGNORECASE), "ics"),
    (re.compile(r"\[InternetShortcut\]", re.IGNORECASE), "url"),
    (re.compile(r"Windows Registry Editor|REGEDIT4"), "reg"),
)
_MARKUP = (
    (re.compile(r"<hta:application", re.IGNORECASE), "hta"),
    (re.compile(r"<scriptlet\b|<component\b[^<>]{0,500}>\s{0,99}<(registration|script)", re.IGNORECASE), "sct"),
    (re.compile(r"<job\b(?=[^\0]{0,4000}<script\b)|<package>\s{0,99}<job\b", re.IGNORECASE), "wsf"),
    (re.compile(r'progid="Word\.Document"|<w:wordDocument\b'), "doc"),
    (re.compile(r'progid="Excel\.Sheet"'), "xls"),
    (re.compile(r"<svg[\s>:]|<[\w.-]+:svg\b|<!DOCTYPE svg", re.IGNORECASE), "svg"),
)
_HTML = re.compile(
    r"<(!doctype html|html|head|body|title|meta|link|style|script|iframe|table|div|span|p|a|img|h[1-6]|font|center|form|base)\b",
    re.IGNORECASE,
)
_XHTML = "http://www.w3.org/1999/xhtml"
# Bounded repeats throughout: these run over megabytes that a stranger wrote.
_ACTIVE = re.compile(
    rb"<(?:[\w-]{1,20}:)?script\b|<[^<>]{1,500}[\s\"'/]on[a-z]{3,20}\s{0,8}=|(?:java|vb)script\s{0,8}:|"
    rb"<iframe\b[^<>]{0,500}\bsrcdoc",
    re.IGNORECASE,
)
_PROLOGUE = re.compile(r"(?:\s+|<\?xml\b[^>]*>|<!--.*?-->|<\?(?!php|mso)[^>]*>)+", re.DOTALL)
_FIELD = re.compile(
    r"^(received|return-path|from|to|cc|subject|date|message-id|mime-version|delivered-to|content-type|dkim-signature|"
    r"arc-seal|x-[\w-]+|reply-to|sender)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ANY_FIELD = re.compile(r"[!-9;-~]{1,76}[ \t]*:")


def look(data: bytes) -> tuple[str, ...]:
    """The types of a text, the telling one first; `js` is added for markup with script. Empty for plain text."""
    head = _head(data)
    if head is None:
        return ()
    if head.startswith("#!"):
        return (_interpreter(head),)
    start = head.lstrip()
    for pattern, kind in _FIRST_WORDS:
        if pattern.match(start):
            return (kind,)
    if start.startswith("<"):
        return _markup(start, data)
    return _mail(start, data)


def macros(data: bytes) -> bool:
    """Macros in Word 2003 XML, or in a web archive as an ActiveMime part (base64 of `ActiveMime` begins so)."""
    return b"QWN0aXZlTWlt" in data or b'macrosPresent="yes"' in data


def _head(data: bytes) -> str | None:
    """The beginning as text, None when it is none: NUL in bytes that claim no UTF-16."""
    raw = data[:_HEAD_BYTES]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace").lstrip("\ufeff")
    if b"\0" in raw[:512]:
        return None
    return raw.decode("utf-8-sig", "replace")


def _interpreter(head: str) -> str:
    line = head.partition("\n")[0][:200].lower()
    return next((kind for pattern, kind in _INTERPRETERS if pattern.search(line)), "sh")


def _markup(start: str, data: bytes) -> tuple[str, ...]:
    found = next((kind for pattern, kind in _MARKUP if pattern.search(start)), "")
    prologue = _PROLOGUE.match(start)
    body = start[prologue.end() :] if prologue else start
    if found in ("svg", "") and (_HTML.match(body) or (not found and _XHTML in start)):
        found = "html"  # a page that shows an SVG is a page, and so is XML that says so under any prefix
    if not found:
        return ("xml",) if start.startswith("<?xml") else ()
    active = found in ("html", "svg") and _ACTIVE.search(_text_bytes(data))
    return (found, "js") if active else (found,)


def _text_bytes(data: bytes) -> bytes:
    """UTF-16 markup runs its scripts as well."""
    head = data[:_ACTIVE_WITHIN_BYTES]
    return head.replace(b"\0", b"") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head


def _mail(start: str, data: bytes) -> tuple[str, ...]:
    """RFC 5322: a header whose first line is a field and that has at least three well-known ones (mbox: a From line)."""
    text = start.partition("\n")[2] if start.startswith("From ") else start
    header = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    if not _ANY_FIELD.match(header) or len({m.lower() for m in _FIELD.findall(header)}) < 3:
        return ()
    saved_page = "multipart/related" in header.lower() and (
        "<saved by" in header.lower() or b"mso" in data[:4096].lower()
    )
    return ("mht", "eml") if saved_page else ("eml",)
