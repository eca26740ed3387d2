"""Language tags as the document takes them, and what people write instead."""

from __future__ import annotations

from pydantic import ValidationInfo

from gateway.parse.language import TAG
from gateway.policy.cures import quote
from gateway.policy.values import is_published, mistake

_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "spanish": "es", "español": "es", "french": "fr", "français": "fr",
    "polish": "pl", "polski": "pl", "russian": "ru", "chinese": "zh", "italian": "it", "dutch": "nl", "portuguese": "pt",
}  # fmt: skip

_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
    "en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in io is it "
    "iu iw ja ji jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mo "
    "mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh "
    "si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh "
    "yi yo za zh zu"
)
_ISO_639_1 = frozenset(_CODES.split())
"""With those that were withdrawn: old programs write them still."""
_OTHER_CODES = {
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "nld": "nl", "dut": "nl",
    "por": "pt", "pol": "pl", "rus": "ru", "zho": "zh", "chi": "zh", "jpn": "ja", "kor": "ko", "tur": "tr", "ara": "ar",
    "swe": "sv", "dan": "da", "nor": "no", "fin": "fi", "ces": "cs", "cze": "cs", "ell": "el", "gre": "el", "hun": "hu",
    "ron": "ro", "rum": "ro", "ukr": "uk", "heb": "he", "hin": "hi",
    "gb": "en", "us": "en", "at": "de", "cn": "zh", "jp": "ja", "cz": "cs", "dk": "da", "gr": "el", "ua": "uk",
}  # fmt: skip
"""Codes of three letters whose language has one of two, which is the one to use (RFC 5646 section 2.2.1); and of countries."""


def known_language(value: str, info: ValidationInfo) -> str:
    """A tag whose language there is: mail in any other will not come. Codes of three letters are taken as they are."""
    primary, _, rest = value.lower().partition("-")
    if is_published(info) or primary in _ISO_639_1 or (len(primary) == 3 and primary not in _OTHER_CODES):
        return value
    meant = _OTHER_CODES.get(primary, "")
    cure = f"write {meant}{'-' if rest else ''}{value[len(primary) + 1 :]}" if meant else "write en, de or pt-BR"
    raise mistake(f"{quote(value)} is the tag of no language (ISO 639): {cure}")


def language_tag(value: str) -> str:
    """A tag such as `de` or `pt-BR`. Raises the mistake of whoever wrote something else."""
    if TAG.fullmatch(value):
        return value
    meant = _NAMES.get(value.strip().lower()) or value.strip().replace("_", "-")
    cure = f"write {meant}" if TAG.fullmatch(meant) else "write en, de or pt-BR"
    raise mistake(f"{quote(value)} is no language tag: {cure}")
