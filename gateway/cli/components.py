"""`components`: the plug-ins found."""

from __future__ import annotations

from dataclasses import asdict

from gateway.cli import show
from gateway.cli.options import AsJson


def components(as_json: AsJson = False) -> None:
    """The plug-ins found, by kind: checks, scanners, conditions, actions, strategies, notifications and jobs."""
    from gateway.commands.components import components as find
    from gateway.commands.components import plugins_as
    from gateway.core.errors import InvalidInput
    from gateway.jobs import tasks
    from gateway.jobs.job import all_jobs
    from gateway.registry import BadPlugin

    try:
        all_jobs()
        found = [*find(), *plugins_as("job", tasks, "JOB")]
    except BadPlugin as error:
        raise InvalidInput(str(error)) from None
    if as_json:
        show.document([asdict(c) for c in found])
        return
    show.table(("kind", "name", "about"), [(c.kind, c.name, c.about) for c in found], empty="Nothing is found.")
