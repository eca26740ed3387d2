"""`attachment`: the files of messages; those that are held wait for an admin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.desk import at_account
from gateway.cli.message import MessageId
from gateway.cli.options import AccountName, AsJson, whoami
from gateway.core.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Attachments: the files of messages, and those that are held back.")

MOST = 2**31 - 1

Number = Annotated[int, typer.Argument(metavar="N", min=1, max=MOST, help="The file's number in its message.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    message_id: Annotated[str | None, typer.Argument(metavar="[MESSAGE]", help="Only files of this message.")] = None,
    account: AccountName = None,
    held: Annotated[bool, typer.Option("--held", help="Only files that wait for an admin's release.")] = False,
    as_json: AsJson = False,
) -> None:
    """The files of an account's newest messages, or of one message: what each is, and what became of it."""
    from gateway.store.holdings import files

    with at_account(ctx, account) as desk:
        found = files(desk.store, desk.account_id, message_id, held=held)
    if as_json:
        show.document(found)
        return
    rows = [
        (
            f["message"], f["n"], f["name"], f["detected_type"] or f["declared_type"], show.size(f["size_bytes"]),
            show.state(f["disposition"]), f["reason"] or _let_go(f), f["ticket"], f["subject"],
        )
        for f in found
    ]  # fmt: skip
    columns = ("message", "n", "name", "type", "size", "became", "reason", "ticket", "subject")
    show.table(columns, rows, empty="No file is held." if held else "There are no files.")


def _let_go(file: dict[str, Any]) -> str:
    return f"released by {file['released']['by']}" if file["released"] else ""


@app.command()
def release(
    ctx: typer.Context, message_id: MessageId, n: Number, account: AccountName = None, as_json: AsJson = False
) -> None:
    """Let a held file go: it is kept from now on, and its message's trace says who let it go."""
    from gateway.store.holdings import files
    from gateway.store.releasing import release_file

    by = whoami()
    with at_account(ctx, account) as desk:
        release_file(desk.store, desk.account_id, message_id, n, by=by)
        file = next(f for f in files(desk.store, desk.account_id, message_id) if f["n"] == n)
    if as_json:
        show.document(file)
    else:
        show.say(f"File {n} ({file['name'] or 'no name'}) is released; it was held: {file['released']['reason']}.")


@app.command()
def save(
    ctx: typer.Context,
    message_id: MessageId,
    n: Number,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not be there yet.")],
    account: AccountName = None,
    as_json: AsJson = False,
) -> None:
    """Write a kept file to disk. One that is held or stripped, or of an infected message, is not given out."""
    from gateway.store.files import Withheld, attached_file

    with at_account(ctx, account) as desk:
        try:
            found = attached_file(desk.store, desk.blobs(), desk.account_id, message_id, n)
        except Withheld as error:
            raise InvalidInput(f"file {n} of message {message_id} is not given out: {error}") from None
    try:
        with file.open("xb") as out:
            out.write(found.content)
    except FileExistsError:
        raise InvalidInput(f"{file} is there already; name another file") from None
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    if as_json:
        show.document({"message": message_id, "n": n, "file": str(file), "size_bytes": len(found.content)})
    else:
        show.say(f"{file}: {show.size(len(found.content))}.")
