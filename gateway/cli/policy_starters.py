"""`policy starters`, `starter`, `schema`: policies to begin with, and what editors check them by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import show
from gateway.cli.completion import starter_names
from gateway.cli.options import AsJson
from gateway.core.errors import InvalidInput

Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write it there instead of showing it.")]


def starters(as_json: AsJson = False) -> None:
    """The policies to begin with, and what each is for."""
    from gateway.cli.starters import starters as all_starters

    found = all_starters()
    if as_json:
        show.document([{"name": s.name, "about": s.about} for s in found])
    else:
        show.table(("starter", "about"), [(s.name, s.about) for s in found], empty="There are none.")


def starter(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `policy starters`.", autocompletion=starter_names)],
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """A policy to begin with. With --output its JSON Schema is put beside it, so that editors check while one writes."""
    from gateway.cli.starters import SCHEMA_FILE, schema_text
    from gateway.cli.starters import starter as one_of

    found = one_of(name)
    if output is not None:
        if output.exists():
            raise InvalidInput(f"{output} exists already: name another file, or remove it")
        _write(output, found.text)
        _write(output.with_name(SCHEMA_FILE), schema_text())
        show.say(
            f"{output} is yours to change; `gateway policy check {output} --account NAME` says which teams and mailboxes of it "
            "the account lacks."
        )
    elif as_json:
        show.document({"name": found.name, "about": found.about, "text": found.text})
    else:
        show.verbatim(found.text)


def schema(output: Output = None) -> None:
    """The JSON Schema of policies, for editors: the first line of a policy may name it (see any starter)."""
    from gateway.cli.starters import schema_text

    if output is None:
        show.verbatim(schema_text())
    else:
        _write(output, schema_text())


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from None


def add_to(app: typer.Typer) -> None:
    app.command()(starters)
    app.command()(starter)
    app.command()(schema)
