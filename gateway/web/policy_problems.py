"""What is wrong with a policy, or would go wrong under it, as problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.commands.publish import FaresWorse
from gateway.commands.replay import json_of
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.policy.problems import MOST_SHOWN, PolicyError
from gateway.web.openapi import withheld
from gateway.web.problems import Problem

EXAMPLES = 20

NOT_ADMIN = withheld("The key's scope is not `admin`.")
NOT_A_POLICY = withheld("It is no good policy for this account; `problems` names each mistake with its place.")
TOO_LARGE = withheld("The body is too large.")
WORSE = withheld(
    "Past mail that was ticketed would not be any more (`replay` shows which; publish with `yes` if that is meant), or "
    "another version was published meanwhile."
)


@contextmanager
def telling() -> Iterator[None]:
    """Refusals of the commands become problems. Raises Problem."""
    try:
        yield
    except UnknownThing:
        raise
    except FaresWorse as error:
        detail = str(error).replace("publish with --yes", "publish with `yes`")
        raise Problem(409, detail, more={"replay": json_of(error.found, EXAMPLES)}) from None
    except PolicyError as error:
        problems = [
            {"line": p.line, "column": p.column, "path": p.path, "message": p.message}
            for p in error.problems[:MOST_SHOWN]
        ]
        raise Problem(422, str(error), more={"problems": problems}) from None
    except InvalidInput as error:
        raise Problem(409, str(error)) from None
