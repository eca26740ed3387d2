"""What a version would take away: shown before somebody agrees to it, and said again when it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import show

if TYPE_CHECKING:
    from gateway.commands.losses import Losses, NotAgreed


def losses_json(losses: Losses) -> dict[str, Any]:
    """`replay` is null where no past mail fares worse."""
    from gateway.commands.replay import json_of

    return {"dropped_rules": list(losses.rules), "replay": json_of(losses.replay) if losses.replay else None}


def not_agreed(error: NotAgreed, account: str, *, as_json: bool, **besides: Any) -> typer.Exit:
    """Show all that would be lost, and say that nothing was published: to programs with the members of a success, `besides`
    among them.
    """
    if as_json:
        refused = {"account": account, "version": None, "probation": None}
        show.document(refused | besides | losses_json(error.losses))
    else:
        _show_mail(error.losses)
    show.complain(str(error))
    return typer.Exit(1)


def say_losses(losses: Losses, what: str = "this document") -> None:
    """What --yes agreed to. Nothing where nothing is lost."""
    if losses:
        _show_mail(losses)
        show.say(f"Agreed to with --yes: {losses.told(what)}.")


def _show_mail(losses: Losses) -> None:
    """The past mail that would fare worse."""
    from gateway.cli.replay_page import replay_lines

    found = losses_json(losses)["replay"]
    if found:
        show.page(replay_lines(found | {"groups": [g for g in found["groups"] if g["worse"]]}))
