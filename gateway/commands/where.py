"""Where is the mail of somebody: one plain sentence for every time it came."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.commands.typed import typed_address
from gateway.store.engine import Store
from gateway.store.whereabouts import mail_of, newest_mail, unreturned

Json = dict[str, Any]

_CONFIRMED = {
    "delivered": "confirmed",
    "pending": "confirmation on its way",
    "withheld": "confirmation withheld (listen-only)",
    "cancelled": "confirmation cancelled",
}


def where(store: Store, sender: str, *, account: str | None, since: datetime | None) -> list[Json]:
    """Every transaction of a sender, oldest first, each with its `sentence`. Raises InvalidInput for no address."""
    found = mail_of(store, typed_address(sender), account=account, since=since)
    lost = {x["trace"] for x in unreturned(store, found)}
    return [entry | {"sentence": _sentence(entry, returned=entry["trace"] not in lost)} for entry in found]


def nothing_came(store: Store, sender: str, account: str | None) -> str:
    """The sentence for a sender nothing came from: whether anything came at all tells whose fault it is."""
    newest = newest_mail(store, account)
    to = f" for {account}" if account else ""
    if newest is None:
        return f"nothing from {sender} reached us; no mail{to} ever did"
    through = f" (through {newest['forwarder']})" if newest["forwarder"] else ""
    return f"nothing from {sender} reached us; the last mail{to} came {_time(newest['at'])}{through}"


def _time(rfc3339: str) -> str:
    return f"{datetime.fromisoformat(rfc3339):%Y-%m-%d %H:%M}Z"


def _sentence(entry: Json, *, returned: bool) -> str:
    subject = f' "{entry["subject"]}"' if entry["subject"] else ""
    who = entry["author"] or entry["reverse_path"] or "<>"
    return f"{who}{subject} {_time(entry['at'])} → {_fate(entry, returned=returned)}"


def _fate(entry: Json, *, returned: bool) -> str:
    if entry["duplicate"]:
        return f"a retry of what we had already: {_kept(entry)}"
    if entry["outcome"] == "deferred":
        back = "it came back later" if returned else "it has not come back yet"
        return f"deferred: {entry['reason']} (trace {entry['trace']}); {back}"
    if entry["outcome"] == "refused":
        return f"refused: {entry['reason']} (trace {entry['trace']})"
    return _kept(entry)


def _kept(entry: Json) -> str:
    if entry["disposition"] == "ticketed":
        return f"ticket {entry['ticket']}{_state(entry)}, {_assigned(entry)}, {_confirmed(entry)}"
    if entry["disposition"] == "erased":
        return f"deleted from quarantine (trace {entry['trace']})"
    return f"{entry['disposition']}: {entry['reason']} (message {entry['message']})"


def _state(entry: Json) -> str:
    return "" if entry["ticket_state"] == "open" else f" ({entry['ticket_state']})"


def _assigned(entry: Json) -> str:
    name = entry["assignee_name"] or entry["assignee"]
    return f"assigned to {name}" if name else "assigned to nobody"


def _confirmed(entry: Json) -> str:
    state, why = entry["confirmation"], entry["not_confirmed"]
    if state == "failed":
        return f"confirmation failed: {why}"
    return _CONFIRMED.get(state) or (f"not confirmed: {why}" if why else "not confirmed")
