"""How a mailbox's forwarding is shown: its forwarders, what the last check saw, what Google asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.cli import show

_GOOD, _BAD = show.Words("ok  ", "green"), show.Words("!   ", "bold yellow")
_WIDTH = 4
_FORMS = {
    "unchanged": "leaves the reverse-path as it is",
    "srs0": "rewrites the reverse-path (SRS)",
    "srs1": "rewrites a rewritten reverse-path (SRS1)",
    "gmail-caf": "rewrites the reverse-path as Gmail does (+caf_)",
    "microsoft-srs": "rewrites the reverse-path as Microsoft does (SRS)",
    "verp": "rewrites the reverse-path as a mailing list does (VERP)",
    "replaced": "puts an address of its own into the reverse-path",
    "null": "empties the reverse-path",
}
_KEEPS = {
    "keeps_author": "author",
    "keeps_subject": "subject",
    "keeps_message_id": "Message-ID",
    "keeps_body": "text and files",
}

Json = Mapping[str, Any]


def lines(forwarding: Json) -> Iterator[show.Line]:
    """All of it, for `mailbox show`."""
    for forwarder in forwarding["forwarders"]:
        yield show.field("forwarder", *_forwarder(forwarder))
        yield show.field("", _manner(forwarder))
        yield show.field("", show.Words(f"id {forwarder['id']}", "dim"))
        for drift in forwarder["drifts"]:
            yield show.field("", show.Words("changed since: ", "yellow"), _drift(drift))
    if not forwarding["forwarders"]:
        yield show.field(
            "forwarder", "none learnt yet; run ", show.Words(f"gateway mailbox check {forwarding['mailbox']}", "cyan")
        )
    if check := forwarding["check"]:
        yield show.field("last check", show.state(check["state"]), f", sent {show.moment(check['sent_at'])}")
        yield from remarks(check["remarks"], indent=16)
    for asked in forwarding["confirmations"]:
        yield show.field("Google asks", *_confirmation(asked))


def _forwarder(forwarder: Json) -> tuple[show.Words | str, ...]:
    where = ", ".join(forwarder["networks"])
    provider = (
        f" ({forwarder['provider']}: shared, so the reverse-path counts as well)" if forwarder["provider"] else ""
    )
    return show.Words(forwarder["name"], "bold"), f" at {where}{provider}, learnt {show.moment(forwarder['learnt_at'])}"


def _manner(forwarder: Json) -> str:
    changed = [words for key, words in _KEEPS.items() if not forwarder[key]]
    tail = f"; changes {', '.join(changed)}" if changed else "; changes nothing else"
    return str(_FORMS.get(forwarder["form"], forwarder["form"])) + tail


def _drift(drift: Json) -> str:
    return (
        f"{drift['what']}: {drift['before'] or 'nothing'} -> {drift['after'] or 'nothing'}, {show.moment(drift['at'])}"
    )


def _confirmation(asked: Json) -> tuple[show.Words | str, ...]:
    """The link is shown for a person to open, in a browser that is signed in there; nobody here opens it."""
    code = (" code ", show.Words(asked["code"], "bold"), ",") if asked["code"] else ()
    who = f"may mail of {asked['asked_by'] or 'a user'} be forwarded here?"
    link = show.Words(f" {asked['link']}", "cyan") if asked["link"] else ""
    return (who, *code, f" asked {show.moment(asked['received_at'])}", link)


def remarks(found: Sequence[Json], indent: int = 2) -> Iterator[show.Line]:
    """Each with its cure below."""
    for remark in found:
        mark = _GOOD if remark["is_good"] else _BAD
        yield show.Line((mark,), (show.Words(remark["text"]),), indent=indent, width=_WIDTH)
        if remark["cure"]:
            yield show.Line((), (show.Words(f"-> {remark['cure']}", "cyan"),), indent=indent + _WIDTH)


def findings(found: Sequence[Json]) -> Iterator[show.Line]:
    """What DNS says."""
    for one in found:
        mark = _GOOD if one["status"] == "ok" else _BAD
        yield show.Line((mark,), (show.Words(f"{one['check']}: {one['detail']}"),), indent=2, width=_WIDTH)


def verdict(forwarding: Json) -> show.Line:
    """The first line of a check's result."""
    check, mailbox = forwarding["check"], forwarding["mailbox"]
    if check["learnt"]:
        name = check["forwarder"]["name"]
        bad = any(not r["is_good"] for r in check["remarks"])
        tail = ", but what it does to the mail should be mended" if bad else ""
        return show.heading(f"Mail to {mailbox} comes here, through {name}{tail}.")
    if check["forwarder"]:
        return show.heading(f"The challenge to {mailbox} came back, but its forwarder is not trusted.")
    if check["state"] == "bounced":
        return show.heading(f"The challenge to {mailbox} could not be delivered.")
    return show.heading(f"The challenge to {mailbox} has not come back.")
