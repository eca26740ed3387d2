"""What is wrong with a policy, or would go wrong under it, as problem documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.commands.publish import FaresWorse
from gateway.commands.replay import json_of
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.policy.problems import MOST_SHOWN, PolicyError
from gateway.web.openapi import withheld
from gateway.web.problems import Problem

EXAMPLES = 20
_OPTION = re.compile(r"(?<![\w'\"-])--(yes|at|team|note|since|recipient|sender|client-ip|helo)(?![\w-])")

NOT_ADMIN = withheld("The key's scope is not `admin`.")
NOT_A_POLICY = withheld("It is no good policy for this account; `problems` names each mistake with its place.")
TOO_LARGE = withheld("The body is too large.")
WORSE = withheld(
    "Past mail that was ticketed would not be any more (`replay` shows which; publish with `yes` if that is meant), rules "
    "that teams' managers published would be lost (the same), or another version was published meanwhile."
)


@contextmanager
def telling() -> Iterator[None]:
    """Refusals of the commands become problems. Raises Problem."""
    try:
        yield
    except UnknownThing:
        raise
    except FaresWorse as error:
        raise Problem(409, in_fields(str(error)), more={"replay": json_of(error.found, EXAMPLES)}) from None
    except PolicyError as error:
        problems = [
            {"line": p.line, "column": p.column, "path": p.path, "message": p.message}
            for p in error.problems[:MOST_SHOWN]
        ]
        raise Problem(422, str(error), more={"problems": problems}) from None
    except InvalidInput as error:
        raise Problem(409, in_fields(str(error))) from None


def in_fields(text: str) -> str:
    """A refusal in the words of who asks by HTTP: the commands speak of their options, whose names the fields of bodies bear."""
    return _OPTION.sub(lambda found: f"`{found.group(1).replace('-', '_')}`", text)
