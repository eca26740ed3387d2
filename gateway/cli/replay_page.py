"""What `policy replay` shows, and `publish` where mail would fare worse: decisions that change, in groups, with examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.cli.show import Line, Words, blank, field, heading, moment

Json = dict[str, Any]
EXAMPLES = 3
GROUPS = 20
"""So many groups are a page that somebody reads to its end."""


def replay_lines(told: Json, *, examples: int = EXAMPLES) -> Iterator[Line]:
    """One group after the other, those whose mail fares worse first, `GROUPS` at most; `told` is `commands.replay.json_of`'s."""
    yield heading(_sum_of(told))
    for group in told["groups"][:GROUPS]:
        yield blank()
        yield field(f"{group['count']} ×", Words("fares worse", "red") if group["worse"] else Words("otherwise"))
        for difference in group["differences"]:
            before, after = difference["before"] or "(nothing)", difference["after"] or "(nothing)"
            yield field("", Words(difference["what"], "cyan"), f": {before} → ", Words(after, "bold"))
        for message in group["messages"][:examples]:
            when = moment(message["received_at"])
            yield field("", Words(f"{when}  {message['trace']}  {message['author']}  {message['subject']}", "dim"))
        if len(group["messages"]) > examples:
            yield field("", Words(f"and {len(group['messages']) - examples} more; --json has all", "dim"))
    rest = told["groups"][GROUPS:]
    if rest:
        yield blank()
        count = sum(group["count"] for group in rest)
        yield field("", Words(f"and {len(rest)} more groups, of {count} messages; --json has all", "dim"))


def _sum_of(told: Json) -> str:
    unread = f"; {told['unread']} were kept unread and cannot be compared" if told["unread"] else ""
    if not told["changed"]:
        return f"Nothing would change: {told['compared']} past messages are decided as they were{unread}"
    worse = f", {told['worse']} of them would get no ticket any more" if told["worse"] else ""
    return f"{told['changed']} of {told['compared']} past messages would be decided otherwise{worse}{unread}"
