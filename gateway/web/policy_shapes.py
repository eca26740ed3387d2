"""What the API says of policies and of what they would do."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.web.shapes import Moment, one_of


class PolicySummary(BaseModel):
    version: int
    live: bool
    author: str
    note: str
    rolled_back_from: int | None
    probation: Annotated[bool, Field(description="Past mail fared worse under it, and that was agreed to.")]
    created_at: Annotated[
        Moment | None, Field(description="Null for version 0, the empty policy of every new account.")
    ]


class Policy(PolicySummary):
    text: Annotated[str, Field(description="The YAML document, as it was published.")]


class PolicyDiff(BaseModel):
    version: int
    against: int
    diff: Annotated[str, Field(description="From `against` to `version`, a unified diff; empty where nothing differs.")]


class Checked(BaseModel):
    ok: bool
    rules: Annotated[int, Field(description="How many rules it has, those of teams among them.")]
    remarks: Annotated[
        list[str], Field(description="What in it will do nothing, a sentence each; it is good all the same.")
    ]


class Scheduled(BaseModel):
    id: str
    due_at: Moment
    author: str
    note: str
    created_at: Moment
    ended_at: Annotated[Moment | None, Field(description="Null for one that waits for its time.")]
    result: Annotated[str, Field(description="How it ended, in a sentence.")]
    text: str


class ScheduledPolicies(BaseModel):
    items: list[Scheduled]


class Withdrawn(BaseModel):
    id: str
    withdrawn: bool


class PolicyDifference(BaseModel):
    what: Annotated[str, Field(description="A thing that is decided: `message`, `team`, `tag`, `file 2`, ...")]
    before: str
    after: str


class ReplayedMessage(BaseModel):
    message: str
    trace: str
    received_at: Moment
    author: str
    subject: str


class ReplayGroup(BaseModel):
    count: int
    worse: Annotated[bool, Field(description="They were ticketed, and would not be any more.")]
    differences: list[PolicyDifference]
    messages: Annotated[list[ReplayedMessage], Field(description="The newest of them, at most 20.")]


class Replay(BaseModel):
    compared: int
    unread: Annotated[int, Field(description="Kept without being read; nothing can be said of them.")]
    changed: int
    worse: int
    groups: Annotated[list[ReplayGroup], Field(description="Messages that differ alike; what fares worse first.")]


class Published(BaseModel):
    version: Annotated[
        int | None, Field(description="The new version, live now; null for one that waits for its time.")
    ]
    scheduled: Annotated[str | None, Field(description="The id to withdraw it by, of one that waits for its time.")]
    due_at: Moment | None
    dropped_rules: Annotated[
        list[str], Field(description="With `yes` agreed to: rules that teams' managers published, and that are lost.")
    ]
    replay: Annotated[
        Replay | None, Field(description="With `yes` agreed to: past mail, where some of it fares worse.")
    ]


class ShadowState(BaseModel):
    running: bool
    id: str | None
    since: Moment | None
    author: str | None
    note: str | None
    text: str | None
    looked_at_since: Annotated[
        Moment | None, Field(description="Later than `since` where more mail came than is looked at.")
    ]
    replay: Annotated[Replay | None, Field(description="The mail since then under the candidate.")]


class SeenCondition(BaseModel):
    condition: str
    expected: str
    saw: str
    holds: bool


class JudgedRule(BaseModel):
    rule: str
    result: Annotated[str, one_of("matched", "not matched", "not seen", "not reached")]
    conditions: list[SeenCondition]
    effects: list[str]
    already_decided: Annotated[list[list[str]], Field(description="What it wanted to set, and who had decided it.")]
    withheld: Annotated[list[list[str]], Field(description="What it asked for, and why that is not done.")]
    stops: bool


class Judged(BaseModel):
    """As `gateway policy test --json` has it."""

    model_config = ConfigDict(extra="allow")

    disposition: Annotated[str, one_of("accept", "ignore", "quarantine", "reject", "defer")]
    reason: str
    text: str
    kind: str
    ticket: str
    mailbox: str
    recipients_of_no_mailbox: Annotated[
        list[str], Field(description="Of `recipient`, what is no address of the account: by SMTP it would be refused.")
    ]
    subject: str
    effects: list[dict[str, Any]]
    rules: Annotated[list[JudgedRule], Field(description="As each would judge it if nothing before them had.")]
    acknowledgement: str
