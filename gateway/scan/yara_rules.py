"""The operator's YARA rules (the setting `yara.rules`), compiled by yara-x."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import InvalidInput

if TYPE_CHECKING:
    import yara_x

SUFFIXES = (".yar", ".yara")
"""Of a directory's files, those that are rules; a file that is named may be called as it likes."""
FILE_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compiled:
    """`count` rules of `files`."""

    rules: yara_x.Rules
    count: int
    files: int

    @property
    def told(self) -> str:
        """For the start and `doctor`."""
        return f"{self.count} rule{'s' * (self.count != 1)} of {self.files} file{'s' * (self.files != 1)}"


def compiled(places: Sequence[Path]) -> Compiled:
    """All rules of these files and directories. Raises InvalidInput naming file, line and what is wrong, for a place that
    cannot be read or holds no rules, and where the package is missing.
    """
    yara_x = package()
    files = [file for place in places for file in _files(place)]
    compiler = yara_x.Compiler()
    compiler.enable_includes(False)  # a rule file reads no other file of this machine
    for file in files:
        compiler.new_namespace(str(file))  # two files may each have a rule of the same name
        _add(compiler, yara_x.CompileError, file)
    rules = compiler.build()
    count = sum(1 for _ in rules)
    if not count:
        raise InvalidInput(f"yara.rules: there is no rule in {', '.join(map(str, places))}")
    return Compiled(rules, count, len(files))


def fingerprint(places: Sequence[Path]) -> str:
    """Another text means that other rules would be read. Empty where they cannot be."""
    digest = hashlib.sha256()
    try:
        for file in (file for place in places for file in _files(place)):
            digest.update(f"{file}\0".encode() + file.read_bytes())
    except (OSError, InvalidInput):
        return ""
    return digest.hexdigest()[:16]


def package() -> Any:
    """`yara_x`. Raises InvalidInput."""
    try:
        import yara_x  # noqa: PLC0415 - an extra, which may not be there
    except ImportError as error:
        raise InvalidInput(
            f"yara.rules is set, but the package yara-x is not there ({error}); install it: "
            "pip install 'support-mail-gateway[yara]', or remove yara.rules"
        ) from None
    return yara_x


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    found = sorted(file for file in place.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise InvalidInput(f"yara.rules: {place} has no file that ends in {' or '.join(SUFFIXES)}")
    yield from found


def _add(compiler: yara_x.Compiler, compile_error: type[Exception], file: Path) -> None:
    try:
        if file.stat().st_size > FILE_LIMIT_BYTES:
            raise InvalidInput(f"yara.rules: {file} is larger than {FILE_LIMIT_BYTES >> 20} MiB")
        source = file.read_text("utf-8")
    except OSError as error:
        raise InvalidInput(f"yara.rules: {file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(
            f"yara.rules: {file} is no text in UTF-8; compiled rules are not taken, name their source"
        ) from None
    try:
        compiler.add_source(source, origin=str(file))
    except compile_error as error:
        raise InvalidInput(f"yara.rules: {_first(compiler.errors(), file) or error}") from None


def _first(errors: Sequence[dict[str, Any]], file: Path) -> str:
    """`/etc/rules/a.yar, line 3, column 7: unknown pattern `$b` (this pattern is not declared ...)`."""
    if not errors:
        return ""
    first = errors[0]
    labels = "; ".join(str(label["text"]) for label in first.get("labels", ()) if label.get("text"))
    place = f"{file}, line {first.get('line')}, column {first.get('column')}"
    return f"{place}: {first.get('title')}" + (f" ({labels})" if labels else "")
