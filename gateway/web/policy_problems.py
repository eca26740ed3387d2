"""What is wrong with a policy, or would go wrong under it, as problem documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.commands.losses import Losses, NotAgreed
from gateway.commands.replay import json_of
from gateway.commands.team_rules import NoSuchTeam
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.policy.problems import MOST_SHOWN, PolicyError
from gateway.store.candidates import ShadowRuns
from gateway.web.openapi import withheld
from gateway.web.problems import Mistake, Problem

EXAMPLES = 20
_OPTION = re.compile(r"(?<![\w'\"-])--(yes|at|team|note|since|recipient|sender|client-ip|helo)(?![\w-])")

NOT_ADMIN = withheld("The key's scope is not `admin`.")
NOT_A_POLICY = withheld("It is no good policy for this account; `problems` names each mistake with its place.")
NOT_A_POLICY_OR_TEAM = withheld(
    "It is no good policy for this account (`problems` names each mistake with its place), or there is no such `team` "
    "(`errors`)."
)
TOO_LARGE = withheld("The body is too large.")
LOST = withheld(
    "Past mail that was ticketed would not be any more (`replay` shows which), or rules that teams' managers published would "
    "be lost (`dropped_rules`), or both: publish with `yes` if all of that is meant. Or another version was published meanwhile."
)
RULES_LOST = withheld(
    "Rules that teams' managers published would be lost (`dropped_rules`): `yes` if that is meant. Or that version is live "
    "already."
)
RUNS = withheld("A candidate runs already: DELETE it first.")


@contextmanager
def telling() -> Iterator[None]:
    """Refusals of the commands become problems. Raises Problem."""
    try:
        yield
    except UnknownThing:
        raise
    except NotAgreed as error:
        raise Problem(409, in_fields(str(error)), more=losses_json(error.losses)) from None
    except ShadowRuns as error:
        raise Problem(409, f"{error.which}; one runs at a time: DELETE it first") from None
    except NoSuchTeam as error:
        mistake = Mistake(where="body: team", what=error.what, cure=error.cure)
        raise Problem(422, in_fields(str(error)), [mistake]) from None
    except PolicyError as error:
        problems = [
            {"line": p.line, "column": p.column, "path": p.path, "message": p.message}
            for p in error.problems[:MOST_SHOWN]
        ]
        raise Problem(422, str(error), more={"problems": problems}) from None
    except InvalidInput as error:
        raise Problem(409, in_fields(str(error))) from None


def losses_json(losses: Losses) -> dict[str, Any]:
    """All that a version takes away, for the problem and for who agreed to it."""
    return {
        "dropped_rules": list(losses.rules),
        "replay": json_of(losses.replay, EXAMPLES) if losses.replay else None,
    }


def in_fields(text: str) -> str:
    """A refusal in the words of who asks by HTTP: the commands speak of their options, whose names the fields of bodies bear."""
    return _OPTION.sub(lambda found: f"`{found.group(1).replace('-', '_')}`", text)
