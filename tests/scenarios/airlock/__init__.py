"""Disguises of one file: what a stranger may wrap it in so that a scanner does not see it and a reader does."""

from tests.scenarios.airlock.archives import ARCHIVES
from tests.scenarios.airlock.documents import DOCUMENTS
from tests.scenarios.airlock.encodings import ENCODINGS
from tests.scenarios.airlock.letters import HARMLESS, VIRUS, Disguise
from tests.scenarios.airlock.names import NAMES
from tests.scenarios.airlock.structure import STRUCTURE

DISGUISES: tuple[Disguise, ...] = (*ENCODINGS, *NAMES, *STRUCTURE, *ARCHIVES, *DOCUMENTS)
assert len({d.name for d in DISGUISES}) == len(DISGUISES)

__all__ = ["DISGUISES", "HARMLESS", "VIRUS", "Disguise"]
