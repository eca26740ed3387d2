"""The page of `policy replay`: as long as somebody reads."""

from __future__ import annotations

from typing import Any

from gateway.cli.replay_page import EXAMPLES, GROUPS, replay_lines


def group(n: int, count: int) -> dict[str, Any]:
    shown = {"message": "m", "trace": "T", "received_at": "2026-05-04T09:30:00Z", "author": "c@x.test", "subject": "s"}
    return {
        "count": count,
        "worse": False,
        "differences": [{"what": "tag", "before": "", "after": f"tag{n}"}],
        "messages": [shown] * count,
    }


def page(groups: list[dict[str, Any]]) -> str:
    changed = sum(g["count"] for g in groups)
    found = {"compared": changed, "unread": 0, "changed": changed, "worse": 0, "groups": groups}
    return "\n".join("".join(w.text for w in line.body) for line in replay_lines(found))


def test_groups_beyond_what_is_read_are_counted() -> None:
    shown = page([group(n, 2) for n in range(GROUPS + 7)])
    assert f"tag{GROUPS - 1}" in shown
    assert f"tag{GROUPS}" not in shown
    assert "and 7 more groups, of 14 messages; --json has all" in shown


def test_a_page_that_ends_says_nothing_of_more() -> None:
    assert "more" not in page([group(n, EXAMPLES) for n in range(GROUPS)])
