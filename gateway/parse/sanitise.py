"""A stranger's HTML, fit to be shown: nothing runs, nothing loads, nothing leaves its place (trust T45-T47)."""

from __future__ import annotations

import nh3

_TAGS = (nh3.ALLOWED_TAGS | {"font", "center", "u", "s"}) - {"map", "area"}
_ATTRIBUTES = {
    "*": {"align", "dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "font": {"color", "face", "size"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "width"},
    "th": {"colspan", "rowspan", "width"},
    "table": {"width", "border", "cellpadding", "cellspacing"},
}


def sanitised(html: str) -> str:
    """HTML without scripts, styles, forms, frames and remote content; pictures only from the message itself (`cid:`).

    `html` is a message's own, which the parser has checked against the limits of `html_limits`: nh3's cost grows with
    the square of the nesting.
    """
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_only_harmless,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def _only_harmless(tag: str, attribute: str, value: str) -> str | None:
    """An `img` loads nothing from elsewhere: its reader would be seen opening the mail."""
    if tag == "img" and attribute == "src" and not value.strip().lower().startswith("cid:"):
        return None
    return value
