"""Language tags as the document takes them, and what people write instead."""

from __future__ import annotations

from gateway.parse.language import TAG
from gateway.policy.cures import quote
from gateway.policy.values import mistake

_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "spanish": "es", "español": "es", "french": "fr", "français": "fr",
    "polish": "pl", "polski": "pl", "russian": "ru", "chinese": "zh", "italian": "it", "dutch": "nl", "portuguese": "pt",
}  # fmt: skip


def language_tag(value: str) -> str:
    """A tag such as `de` or `pt-BR`. Raises the mistake of whoever wrote something else."""
    if TAG.fullmatch(value):
        return value
    meant = _NAMES.get(value.strip().lower()) or value.strip().replace("_", "-")
    cure = f"write {meant}" if TAG.fullmatch(meant) else "write en, de or pt-BR"
    raise mistake(f"{quote(value)} is no language tag: {cure}")
