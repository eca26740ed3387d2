"""Templates to texts: Jinja2 in its sandbox, one file per kind and language with the blocks subject, text and html."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gateway.core.errors import InvalidInput, UnknownThing
from gateway.notify.context import Value
from gateway.notify.headers import one_line

OUTPUT_BYTES = 262_144
"""The most that one block may give."""

BLOCKS = ("subject", "text", "html")
DEFAULT_LANGUAGE = "en"
_LANGUAGES_KEPT = 1024
"""Answers to which file is for a kind and a language: the language may be whatever an admin wrote."""
_KIND = re.compile(r"[a-z][a-z0-9-]{0,60}")
_LANGUAGE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8}){0,3}")
_PART = re.compile(r"_parts/[a-z0-9-]{1,60}\.j2")
_FILTERS = frozenset(
    {"default", "e", "escape", "first", "join", "last", "length", "lower", "trim", "truncate", "upper"}
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a template gave. `version` is `<kind>/<language>#<digest>` of the file it was made from."""

    subject: str
    text: str
    html: str
    version: str


_GROWING = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill", "join", "replace", "translate"})
"""Methods of text that make 300 MB of one argument before any limit can act."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox keeps templates from objects; it does not keep them from `'a' * 10**9`. No globals, few filters
    and no multiplying: what is left grows no faster than the file that holds it, macros that call themselves apart.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _GROWING and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002  # jinja's signature
        raise SecurityError(f"the operator {operator} is not available in templates")


def _environment(load: Callable[[str], str | None], *, autoescape: bool) -> _Sandbox:
    environment = _Sandbox(
        undefined=StrictUndefined,
        autoescape=autoescape,
        loader=FunctionLoader(load),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()
    environment.filters = {name: f for name, f in environment.filters.items() if name in _FILTERS}
    return environment


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A file compiled twice: escaping is decided by the block, not by whoever wrote the template."""

    plain: Template
    escaped: Template
    version: str


class Templates:
    """The templates in `folder` (the one that holds `notifications/`), each compiled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "notifications"
        self._plain = _environment(self._part, autoescape=False)
        self._escaped = _environment(self._part, autoescape=True)
        self._compiled = cache(self._compile)
        self._language = lru_cache(_LANGUAGES_KEPT)(self._find_language)

    def kinds(self) -> tuple[str, ...]:
        """The kinds there are: the names of the folders."""
        return tuple(sorted(p.name for p in self._folder.iterdir() if p.is_dir() and _KIND.fullmatch(p.name)))

    def render(self, kind: str, language: str, values: Mapping[str, Value]) -> Page:
        """The three texts of a notification in `language`, or its base language, or English.

        Raises UnknownThing for a kind without a folder, InvalidInput for a template that fails, asks for a value that
        is not there, or gives more than `OUTPUT_BYTES`.
        """
        compiled = self._compiled(kind, self._language(kind, language))
        try:
            return Page(
                subject=one_line(_block(compiled.plain, "subject", values)),
                text=_block(compiled.plain, "text", values),
                html=_block(compiled.escaped, "html", values),
                version=compiled.version,
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise InvalidInput(f"template {compiled.version}: {one_line(str(error))}") from error

    def _find_language(self, kind: str, language: str) -> str:
        if not _KIND.fullmatch(kind) or not (self._folder / kind).is_dir():
            raise UnknownThing(f"no notification of kind {one_line(kind, 60)!r}: there are {', '.join(self.kinds())}")
        asked = language.lower().replace("_", "-")
        candidates = [asked, asked.partition("-")[0]] if _LANGUAGE.fullmatch(asked) else []
        there = (c for c in candidates if (self._folder / kind / f"{c}.j2").is_file())
        return next(there, DEFAULT_LANGUAGE)

    def _compile(self, kind: str, language: str) -> _Compiled:
        name = f"{kind}/{language}"
        try:
            source = (self._folder / f"{name}.j2").read_text(encoding="utf-8")
            plain, escaped = self._plain.from_string(source), self._escaped.from_string(source)
        except (OSError, UnicodeError, TemplateError) as error:
            raise InvalidInput(f"template {name}.j2: {error}") from error
        missing = [block for block in BLOCKS if block not in plain.blocks]
        if missing:
            raise InvalidInput(f"template {name}.j2: add the block {', '.join(missing)}")
        return _Compiled(plain, escaped, f"{name}#{hashlib.sha256(source.encode()).hexdigest()[:12]}")

    def _part(self, name: str) -> str | None:
        """What `{% from … import … %}` may load: macros shared by the kinds, and no other file."""
        path = self._folder / name
        return path.read_text(encoding="utf-8") if _PART.fullmatch(name) and path.is_file() else None


def _block(template: Template, name: str, values: Mapping[str, Value]) -> str:
    return _gathered(template.blocks[name](template.new_context(dict(values))))


def _gathered(chunks: Iterable[str]) -> str:
    kept, size = [], 0
    for chunk in chunks:
        size += len(chunk.encode("utf-8", "replace"))
        if size > OUTPUT_BYTES:
            raise ValueError(f"gives more than {OUTPUT_BYTES} octets")
        kept.append(chunk)
    return "".join(kept)
