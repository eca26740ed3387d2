"""Words that other programs, and plain sense, have for what the language calls otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_NO_DISCARD = (
    "no mail is discarded here: `ignore` keeps it without a ticket, `quarantine` until somebody looks, "
    "{reject: text} refuses it"
)
_SET = "fields of the ticket are set by `set`: {set: {priority: high}}"
_TEAM = "{route: TEAM} gives the ticket to a team, {assign: {team: TEAM}} to one of its agents"
_OTHER_FILES = "there is no list for other files: all of them are taken, but those that `attachments.deny` names"
_MERGE = "merge keys (<<) are not taken: write the keys out"
_OFF = "to switch a rule off, put # before each of its lines"

_OTHER_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "condition": {
        "sender": ("from", "author", "email", "address", "customer"),
        "mailbox": ("to", "inbox"),
        "addressed": ("cc", "bcc"),
        "all": ("and", "if"),
        "any": ("or",),
        "none": ("not", "nor", "unless", "except"),
        "body": ("text", "content", "message"),
        "subject": ("title",),
        "attachment": ("file", "files", "filename"),
        "bytes_over": ("size", "larger"),
        "contact": ("company", "tag", "tags", "user"),
        "kind": ("type",),
        "spam": ("score",),
        "time": ("date", "hour", "hours", "day", "days"),
        "verified": ("dkim", "spf", "dmarc"),
    },
    "action": {
        "route": ("move", "send_to", "forward_to_team"),
        "assign": ("agent", "user", "assignee", "assign_to"),
        "notify": ("email", "mail", "send", "alert"),
        "acknowledge": ("reply", "autoreply", "auto_reply", "respond", "confirm"),
        "tag": ("label", "category", "add_tag"),
        "note": ("comment",),
        "push": ("webhook", "http"),
        "quarantine": ("hold", "spam", "junk"),
    },
    "rule": {
        "if": ("when", "where", "match", "condition", "conditions", "filter"),
        "then": ("do", "action", "actions"),
        "name": ("title", "id", "rule", "description"),
        "stop": ("break", "final", "last"),
    },
    "document": {
        "rules": ("filters", "routing"),
        "block": ("blocklist", "blacklist", "blocked", "deny"),
        "virus": ("antivirus", "scan"),
    },
    "matcher": {
        "exact": ("equals", "is", "eq"),
        "wildcard": ("glob", "like", "starts_with", "startswith", "ends_with", "endswith", "prefix", "suffix", "domain"),
        "contains": ("includes", "has", "keyword", "keywords", "word", "words"),
        "regex": ("regexp", "pattern", "matches"),
    },
    "assign": {
        "agent": ("to", "user", "email"),
        "team": ("group", "queue"),
        "strategy": ("method", "by", "distribution"),
    },
    "set": {"state": ("status",), "priority": ("prio", "severity")},
}  # fmt: skip
_SAID: Mapping[str, Mapping[str, str]] = {
    "condition": {"domain": 'a whole domain is {sender: {wildcard: "*@DOMAIN"}}'},
    "action": {
        **dict.fromkeys(("delete", "discard", "drop", "trash", "remove"), _NO_DISCARD),
        **dict.fromkeys(("priority", "state", "status", "language", "fields"), _SET),
        **dict.fromkeys(("team", "queue", "group"), _TEAM),
        "stop": "`stop` stands beside `then`, not in it",
    },
    "rule": {
        **dict.fromkeys(("else", "otherwise"), "there is no else: write another rule below, and `stop: true` in this one"),
        **dict.fromkeys(("enabled", "active", "disabled"), _OFF),
        "<<": _MERGE,
    },
    "media": dict.fromkeys(("document", "documents", "text", "office", "other", "archive", "archives", "pdf"), _OTHER_FILES),
    "matcher": {"not": "what must not hold stands under `none`: none: [{subject: {contains: x}}]"},
}  # fmt: skip


def other_word(key: str, known: Collection[str], kind: str) -> str:
    """What to say of a word that is not the language's but is often meant: empty when nothing is known of it.

    `kind` is what stands here: condition, action, rule, document, matcher, assign, set or media.
    """
    word = key.lower().replace("-", "_")
    said = _SAID.get(kind, {}).get(word)
    if said:
        return said
    meant = next((ours for ours, theirs in _OTHER_WORDS.get(kind, {}).items() if word in theirs), "")
    if meant in known:
        return f"did you mean `{meant}`?"
    return _MERGE if key == "<<" else ""
