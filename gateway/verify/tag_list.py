"""Tag lists of signatures and key records, read strictly (RFC 6376 section 3.2). The splitting is dkimpy's."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from dkim.util import InvalidTagValueList, parse_tag_value

from gateway.core.addresses import BadAddress, normal_domain

BLANKS = re.compile(rb"[ \t\r\n]+")
_NUMBER = re.compile(rb"[0-9]{1,12}")


class Unusable(Exception):
    """A signature or key that cannot prove anything: `result` as RFC 8601 section 2.7.1 names it, and why."""

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail


@lru_cache(maxsize=32)
def tags_of(text: bytes) -> Mapping[bytes, bytes]:
    """A tag list (RFC 6376 section 3.2). Raises Unusable. A signature is read to be told, and to be proven by."""
    try:
        tags: dict[bytes, bytes] = parse_tag_value(text)
    except InvalidTagValueList as error:
        raise Unusable("permerror", "malformed tag list") from error
    return MappingProxyType(tags)


def require(tags: Mapping[bytes, bytes], *names: bytes) -> None:
    """Raises Unusable, naming the first tag that is missing."""
    for name in names:
        if name not in tags:
            raise Unusable("permerror", f"{name.decode()}= is missing")


def number_in(tags: Mapping[bytes, bytes], tag: bytes) -> int | None:
    """A tag's number, None without the tag. Raises Unusable."""
    if tag not in tags:
        return None
    if not _NUMBER.fullmatch(tags[tag]):
        raise Unusable("permerror", f"{tag.decode()}= is no number")
    return int(tags[tag])


def base64_in(tags: Mapping[bytes, bytes], tag: bytes) -> bytes:
    """The octets of a tag that is there. Raises Unusable."""
    try:
        return base64.b64decode(BLANKS.sub(b"", tags[tag]), validate=True)
    except binascii.Error as error:
        raise Unusable("permerror", f"{tag.decode()}= is no base64") from error


def domain_in(tags: Mapping[bytes, bytes], tag: bytes) -> str:
    """The name in a tag that is there, in A-labels. Raises Unusable."""
    name = domain_or_none(tags[tag])
    if name is None:
        raise Unusable("permerror", f"{tag.decode()}= is no domain name")
    return name


def domain_or_none(text: bytes) -> str | None:
    """Strict on purpose: `legitimate.example(.attack.example` must mean nothing to anybody (T17)."""
    try:
        decoded = text.decode("utf-8")
        if not decoded or decoded[0] == "[" or decoded[-1] == ".":
            return None
        return normal_domain(decoded)
    except (UnicodeDecodeError, BadAddress):
        return None
