"""As much of JSON Schema 2020-12 as the policy's schema uses; a keyword it does not know is an error, not passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

SILENT = {"$schema", "$defs", "title", "description", "default"}
"""Keywords that refuse nothing."""
TYPES: dict[str, Any] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list | tuple),
    "null": lambda v: v is None,
}
LENGTHS: dict[str, Any] = {
    "minLength": lambda v, n: not isinstance(v, str) or len(v) >= n,
    "maxLength": lambda v, n: not isinstance(v, str) or len(v) <= n,
    "minItems": lambda v, n: not isinstance(v, list | tuple) or len(v) >= n,
    "minProperties": lambda v, n: not isinstance(v, dict) or len(v) >= n,
    "maxProperties": lambda v, n: not isinstance(v, dict) or len(v) <= n,
    "minimum": lambda v, n: not TYPES["number"](v) or v >= n,
    "maximum": lambda v, n: not TYPES["number"](v) or v <= n,
    "pattern": lambda v, p: not isinstance(v, str) or re.search(p, v) is not None,
    "type": lambda v, t: TYPES[t](v),
    "enum": lambda v, words: v in words,
    "const": lambda v, word: v is word if isinstance(word, bool) else v == word,
    "required": lambda v, names: not isinstance(v, dict) or set(names) <= set(v),
}


def refused(value: Any, schema: Json, root: Json | None = None) -> list[str]:
    """Why the value does not fit, or nothing."""
    return list(_refused(value, schema, root or schema, "$"))


def _refused(value: Any, schema: Json | bool, root: Json, place: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{place}: may not stand here"
        return
    for keyword, wanted in schema.items():
        if keyword in LENGTHS:
            if not LENGTHS[keyword](value, wanted):
                yield f"{place}: {keyword} {wanted!r}"
        elif keyword not in SILENT:
            yield from NESTED[keyword](value, wanted, schema, root, place)


def _ref(value: Any, wanted: str, _schema: Json, root: Json, place: str) -> Iterator[str]:
    yield from _refused(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, place)


def _any_of(value: Any, wanted: list[Json], _schema: Json, root: Json, place: str) -> Iterator[str]:
    if all(list(_refused(value, one, root, place)) for one in wanted):
        yield f"{place}: none of {len(wanted)} shapes"


def _one_of(value: Any, wanted: list[Json], _schema: Json, root: Json, place: str) -> Iterator[str]:
    if sum(not list(_refused(value, one, root, place)) for one in wanted) != 1:
        yield f"{place}: not exactly one of {len(wanted)} shapes"


def _items(value: Any, wanted: Json, _schema: Json, root: Json, place: str) -> Iterator[str]:
    for n, item in enumerate(value if isinstance(value, list | tuple) else ()):
        yield from _refused(item, wanted, root, f"{place}[{n}]")


def _properties(value: Any, wanted: Json, _schema: Json, root: Json, place: str) -> Iterator[str]:
    for key in value if isinstance(value, dict) else ():
        if key in wanted:
            yield from _refused(value[key], wanted[key], root, f"{place}.{key}")


def _additional(value: Any, wanted: Json | bool, schema: Json, root: Json, place: str) -> Iterator[str]:
    for key in value if isinstance(value, dict) else ():
        if key not in schema.get("properties", {}):
            yield from _refused(value[key], wanted, root, f"{place}.{key}")


NESTED: dict[str, Any] = {
    "$ref": _ref,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "items": _items,
    "properties": _properties,
    "additionalProperties": _additional,
}
