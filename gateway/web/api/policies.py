"""`/policies`: published versions, which never change; how one is checked, tried and published."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel

from gateway.commands.publish import Published, check, publish, rollback
from gateway.commands.schedule import BadMoment, moment_of, schedule
from gateway.commands.team_rules import publish_team_rules
from gateway.policy.remarks import remarks
from gateway.store import candidates, listing, pages, policies
from gateway.store.events import moment
from gateway.web import policy_shapes, shapes
from gateway.web.access import Admin, Member, Paged, Parts, Publisher, Served, account_router
from gateway.web.bodies import Body, taking
from gateway.web.long_work import MOST_MESSAGES
from gateway.web.openapi import withheld
from gateway.web.orders import PolicyText, PolicyToPublish, VersionToRestore
from gateway.web.policy_problems import (
    LOST,
    NOT_A_POLICY,
    NOT_A_POLICY_OR_TEAM,
    NOT_ADMIN,
    RULES_LOST,
    TOO_LARGE,
    in_fields,
    losses_json,
    telling,
)
from gateway.web.problems import Mistake, Problem, bad_request
from gateway.web.security import Caller

router = account_router("policies")

Version = Annotated[int, Path(ge=0, le=2**31 - 1, description="0 is the empty policy every account begins with.")]
_NOT_YOURS = withheld("The key's scope is not `admin`, nor is it a key of the team whose rules these are.")


@router.get("/policies", response_model=shapes.Page[policy_shapes.PolicySummary])
async def list_policies(caller: Member, parts: Served, wanted: Paged) -> Response:
    """Published versions, newest first, without their text."""
    page = shapes.Page[policy_shapes.PolicySummary]
    return await parts.answer(page, pages.policies, parts.store, caller.account_id, wanted)


@router.post(
    "/policies",
    status_code=201,
    response_model=policy_shapes.Published,
    responses={403: _NOT_YOURS, 409: LOST, 413: TOO_LARGE, 422: NOT_A_POLICY_OR_TEAM},
    openapi_extra=taking(PolicyToPublish),
)
async def post_policy(
    caller: Publisher, parts: Served, order: Annotated[PolicyToPublish, Depends(Body(PolicyToPublish))]
) -> Response:
    """Check a policy, try it on the mail of the last 7 days (the newest 10,000 messages), and make it the live one; or, with
    `at`, have that done when its time has come.
    """
    if caller.team is not None and order.team != caller.team:
        raise Problem(
            403, f"this key publishes the rules of the team {caller.team!r} and nothing else: name it as `team`"
        )
    with telling():
        if order.at is not None:
            return await _scheduled(caller, parts, order, order.at)
        done = await parts.long_work(_published, caller, parts, order)
    return _answer(_shape(done), 201)


def _shape(done: Published) -> policy_shapes.Published:
    return policy_shapes.Published(version=done.version, scheduled=None, due_at=None, **losses_json(done.losses))


def _published(caller: Caller, parts: Parts, order: PolicyToPublish) -> Published:
    store, account, by = parts.store, caller.account_id, caller.by
    if order.team is None:
        return publish(store, account, order.text, note=order.note, author=by, agreed=order.yes, most=MOST_MESSAGES)
    return publish_team_rules(
        store, account, order.team, order.text, note=order.note, author=by, agreed=order.yes, most=MOST_MESSAGES
    )


async def _scheduled(caller: Caller, parts: Parts, order: PolicyToPublish, at: str) -> Response:
    account = await parts.pool(listing.account, parts.store, caller.account_id)
    try:
        due_at = moment_of(at, account["timezone"])
    except BadMoment as error:
        raise bad_request([Mistake(where="body: at", what=error.what, cure=in_fields(error.cure))]) from None
    done = await parts.long_work(
        schedule, parts.store, caller.account_id, order.text, due_at,
        note=order.note, author=caller.by, agreed=order.yes, most=MOST_MESSAGES,
    )  # fmt: skip
    shape = policy_shapes.Published(
        version=None, scheduled=done.id, due_at=str(moment(due_at)), **losses_json(done.losses)
    )
    return _answer(shape, 201)


@router.post(
    "/policies/check",
    response_model=policy_shapes.Checked,
    responses={413: TOO_LARGE, 422: NOT_A_POLICY},
    openapi_extra=taking(PolicyText),
)
async def post_policy_check(
    caller: Member, parts: Served, order: Annotated[PolicyText, Depends(Body(PolicyText))]
) -> Response:
    """Whether it is a good policy for this account. Nothing is published."""

    def found() -> policy_shapes.Checked:
        document = check(parts.store, caller.account_id, order.text)
        rules = len(document.rules) + sum(len(team.rules) for team in document.teams.values())
        return policy_shapes.Checked(ok=True, rules=rules, remarks=list(remarks(document)))

    with telling():
        return _answer(await parts.pool(found))


@router.post(
    "/policies/rollback",
    status_code=201,
    response_model=policy_shapes.Published,
    responses={403: NOT_ADMIN, 409: RULES_LOST, 413: TOO_LARGE, 422: NOT_A_POLICY},
    openapi_extra=taking(VersionToRestore),
)
async def post_policy_rollback(
    caller: Admin, parts: Served, order: Annotated[VersionToRestore, Depends(Body(VersionToRestore))]
) -> Response:
    """Publish an old version's text anew, at once: it is not tried on past mail first. 404 for a version that never was."""
    with telling():
        done = await parts.pool(
            rollback, parts.store, caller.account_id, order.version, author=caller.by, agreed=order.yes
        )
    return _answer(_shape(done), 201)


# --- to be published later ---


@router.get("/policies/scheduled", response_model=policy_shapes.ScheduledPolicies)
async def list_scheduled_policies(caller: Member, parts: Served) -> Response:
    """Versions that wait for their time, the next one first; then the last that have had it, with what became of them."""

    def found() -> policy_shapes.ScheduledPolicies:
        every = candidates.scheduled(parts.store, caller.account_id)
        return policy_shapes.ScheduledPolicies(
            items=[
                policy_shapes.Scheduled(
                    id=c.id, due_at=str(moment(c.due_at)), author=c.author, note=c.note,
                    created_at=str(moment(c.created_at)), ended_at=moment(c.ended_at), result=c.result, text=c.text,
                )
                for c in every
            ]
        )  # fmt: skip

    return await parts.answer(policy_shapes.ScheduledPolicies, found)


@router.delete("/policies/scheduled/{candidate_id}", response_model=policy_shapes.Withdrawn, responses={403: NOT_ADMIN})
async def delete_scheduled_policy(
    caller: Admin,
    parts: Served,
    candidate_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Of one that waits for its time.")],
) -> Response:
    """Withdraw a version that waits: it is not published."""
    await parts.pool(candidates.unschedule, parts.store, caller.account_id, candidate_id, by=caller.by)
    return _answer(policy_shapes.Withdrawn(id=candidate_id, withdrawn=True))


# --- one version: behind all paths that begin with a word ---


def _answer(shape: BaseModel, status: int = 200) -> Response:
    return Response(shape.model_dump_json(), status, media_type="application/json")


one = account_router("policies")


@one.get("/policies/{version}", response_model=policy_shapes.Policy)
async def get_policy(caller: Member, parts: Served, version: Version) -> Response:
    """One version with its text."""
    return await parts.answer(policy_shapes.Policy, pages.policy, parts.store, caller.account_id, version)


@one.get("/policies/{version}/diff", response_model=policy_shapes.PolicyDiff)
async def get_policy_diff(
    caller: Member,
    parts: Served,
    version: Version,
    against: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="The version before it in the diff; else the one before.")
    ] = None,
) -> Response:
    """What a version changed of the one before it, or of another."""
    other = max(version - 1, 0) if against is None else against

    def found() -> policy_shapes.PolicyDiff:
        diff = policies.diff(parts.store, caller.account_id, other, version)
        return policy_shapes.PolicyDiff(version=version, against=other, diff=diff)

    return await parts.answer(policy_shapes.PolicyDiff, found)
