"""`/policies/test`, `/replay`, `/shadow`: a policy tried before it is live."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Response

from gateway.commands import shadow
from gateway.commands.judge import Judgement, author_of, judge_stored, judge_with, ready
from gateway.commands.judgement import json_of as judged
from gateway.commands.publish import check
from gateway.commands.receive import normalised
from gateway.commands.replay import json_of as replayed
from gateway.commands.replay import replay
from gateway.commands.shadow import Shadow
from gateway.core.clock import now
from gateway.core.errors import TooComplex
from gateway.policy.engine import Policy
from gateway.store.events import moment
from gateway.store.facts import UnreadableFacts
from gateway.store.history import count_of_history
from gateway.store.policies import live_version, policy_text
from gateway.web import policy_shapes
from gateway.web.access import Admin, Member, Parts, Served, account_router
from gateway.web.bodies import MESSAGE_BYTES, Body, taking
from gateway.web.long_work import MOST_MESSAGES
from gateway.web.openapi import withheld
from gateway.web.orders import PolicyToReplay, PolicyToShadow, PolicyToTest, ShadowToPublish
from gateway.web.policy_problems import EXAMPLES, LOST, NOT_A_POLICY, NOT_ADMIN, RUNS, TOO_LARGE, losses_json, telling
from gateway.web.problems import Mistake, Problem, bad_request
from gateway.web.security import Caller

router = account_router("policies")

_AGO = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_JSON = "application/json"


# --- one message ---


@router.post(
    "/policies/test",
    response_model=policy_shapes.Judged,
    responses={
        409: withheld("The message was kept unread, or its facts are of a later release."),
        413: TOO_LARGE,
        422: NOT_A_POLICY,
    },
    openapi_extra=taking(PolicyToTest),
)
async def post_policy_test(
    caller: Member, parts: Served, order: Annotated[PolicyToTest, Depends(Body(PolicyToTest, MESSAGE_BYTES))]
) -> Response:
    """What a policy makes of one message: each rule, each condition with the value it saw, and the effects that would follow.
    Nothing is sent or stored.
    """
    with telling():
        if order.message:
            found = await parts.pool(_of_stored, parts, caller, order)
        else:
            found = await _of_raw(parts, caller, order, order.raw or b"")
    return Response(await parts.pool(_written, found), media_type=_JSON)


def _written(found: Judgement) -> str:
    return policy_shapes.Judged.model_validate(judged(found), from_attributes=True).model_dump_json()


def _text(parts: Parts, caller: Caller, order: PolicyToTest) -> tuple[str, int]:
    """With its version, 0 for one that is none. Raises PolicyError, UnknownThing."""
    if order.text is not None:
        check(parts.store, caller.account_id, order.text)
        return order.text, 0
    version = live_version(parts.store, caller.account_id) if order.version is None else order.version
    return policy_text(parts.store, caller.account_id, version), version


def _of_stored(parts: Parts, caller: Caller, order: PolicyToTest) -> Judgement:
    """Raises Problem, and what `telling` tells."""
    text, version = _text(parts, caller, order)
    try:
        return judge_stored(parts.store, parts.blobs, caller.account_id, str(order.message), text, version)
    except UnreadableFacts as error:
        raise Problem(409, str(error)) from None


async def _of_raw(parts: Parts, caller: Caller, order: PolicyToTest, raw: bytes) -> Judgement:
    """Policy and message are read in a thread: both may be large. Raises Problem, and what `telling` tells."""
    if parts.line is None:
        raise Problem(503, "this process takes no mail; on the server: gateway policy test")

    def prepared() -> tuple[Policy, str]:
        text, version = _text(parts, caller, order)
        sender = author_of(normalised(raw)) if order.sender is None else order.sender
        return ready(text, version), sender

    try:
        policy, sender = await parts.pool(prepared)
        entry = await parts.pool(parts.line.directory.account, caller.account)
        if entry is None:
            raise Problem(503, "the account is not there any more")
        return await judge_with(
            parts.line, entry, policy, raw,
            sender=sender, recipient=order.recipient, client_ip=order.client_ip, helo=order.helo,
        )  # fmt: skip
    except TooComplex as error:
        raise bad_request([Mistake(where="body: raw", what=str(error), cure="such mail is kept unread")]) from None


# --- past mail ---


@router.post(
    "/policies/replay",
    response_model=policy_shapes.Replay,
    responses={413: TOO_LARGE, 422: NOT_A_POLICY},
    openapi_extra=taking(PolicyToReplay),
)
async def post_policy_replay(
    caller: Member, parts: Served, order: Annotated[PolicyToReplay, Depends(Body(PolicyToReplay))]
) -> Response:
    """What a policy would have done otherwise with past mail, by the facts of the day it came. At most 10,000 messages."""
    since = _since("30d" if order.since is None else order.since)

    def found() -> policy_shapes.Replay:
        check(parts.store, caller.account_id, order.text)
        count = count_of_history(parts.store, caller.account_id, since)
        if count > MOST_MESSAGES:
            what = f"{count} messages came since then"
            raise bad_request(
                [Mistake(where="body: since", what=what, cure=f"name a later one: at most {MOST_MESSAGES}")]
            )
        return policy_shapes.Replay.model_validate(
            replayed(replay(parts.store, caller.account_id, order.text, since), EXAMPLES)
        )

    with telling():
        shape = await parts.long_work(found)
    return Response(shape.model_dump_json(), media_type=_JSON)


def _since(text: str) -> datetime:
    """Raises Problem."""
    try:
        if ago := _AGO.fullmatch(text):
            return now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        cure = "write for example 12h, 30d, or a time of RFC 3339"
        raise bad_request([Mistake(where="body: since", what=f"{text!r} is no time", cure=cure)]) from None


# --- the shadow ---


@router.get("/policies/shadow", response_model=policy_shapes.ShadowState)
async def get_policy_shadow(caller: Member, parts: Served) -> Response:
    """The candidate that runs beside the live policy, and what it would have done otherwise with the mail since its start."""
    return await _state(caller, parts)


@router.put(
    "/policies/shadow",
    response_model=policy_shapes.ShadowState,
    responses={403: NOT_ADMIN, 409: RUNS, 413: TOO_LARGE, 422: NOT_A_POLICY},
    openapi_extra=taking(PolicyToShadow),
)
async def put_policy_shadow(
    caller: Admin, parts: Served, order: Annotated[PolicyToShadow, Depends(Body(PolicyToShadow))]
) -> Response:
    """Let a policy be asked about every message beside the live one, without effect. One runs at a time."""
    with telling():
        await parts.pool(shadow.start, parts.store, caller.account_id, order.text, note=order.note, author=caller.by)
    return await _state(caller, parts)


@router.delete("/policies/shadow", response_model=policy_shapes.ShadowState, responses={403: NOT_ADMIN})
async def delete_policy_shadow(caller: Admin, parts: Served) -> Response:
    """End the candidate's run; 404 where none runs."""
    await parts.pool(shadow.stop, parts.store, caller.account_id, by=caller.by)
    return await _state(caller, parts)


@router.post(
    "/policies/shadow/publish",
    status_code=201,
    response_model=policy_shapes.Published,
    responses={403: NOT_ADMIN, 409: LOST, 413: TOO_LARGE, 422: NOT_A_POLICY},
    openapi_extra=taking(ShadowToPublish),
)
async def post_policy_shadow_publish(
    caller: Admin, parts: Served, order: Annotated[ShadowToPublish, Depends(Body(ShadowToPublish))]
) -> Response:
    """Make the candidate the live policy, tried on past mail as any other, and end its run; 404 where none runs."""
    with telling():
        done = await parts.long_work(
            shadow.make_live, parts.store, caller.account_id,
            note=order.note, author=caller.by, agreed=order.yes, most=MOST_MESSAGES,
        )  # fmt: skip
    shape = policy_shapes.Published(version=done.version, scheduled=None, due_at=None, **losses_json(done.losses))
    return Response(shape.model_dump_json(), 201, media_type=_JSON)


async def _state(caller: Caller, parts: Parts) -> Response:
    with telling():
        found = await parts.long_work(shadow.watch, parts.store, caller.account_id, most=MOST_MESSAGES)
    return Response(_shape(found).model_dump_json(), media_type=_JSON)


def _shape(found: Shadow | None) -> policy_shapes.ShadowState:
    if found is None:
        return policy_shapes.ShadowState(
            running=False, id=None, since=None, author=None, note=None, text=None, looked_at_since=None, replay=None
        )
    one = found.candidate
    return policy_shapes.ShadowState(
        running=True,
        id=one.id,
        since=moment(one.created_at),
        author=one.author,
        note=one.note,
        text=one.text,
        looked_at_since=moment(found.since),
        replay=policy_shapes.Replay.model_validate(replayed(found.found, EXAMPLES)),
    )
