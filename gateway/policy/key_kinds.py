"""What the keys of a policy take, for telling what was meant where the YAML is broken and nothing of the document is known."""

from __future__ import annotations

TAKE_A_MAPPING = frozenset({
    "accept", "allow", "assign", "attachment", "attachments", "contact", "header", "if", "mailboxes", "otherwise", "set", "spam",
    "teams", "ticket", "time", "virus",
})  # fmt: skip
TAKE_A_LIST = frozenset({
    "all", "any", "audio", "author_from", "block", "deny", "forward", "image", "none", "notify", "notify_only", "rules", "tag",
    "then", "video",
})  # fmt: skip
TAKE_A_WORD = frozenset({
    "acknowledge", "bytes_over", "closed_for", "encrypted", "forged", "import_cc", "indeterminate", "infected", "kind",
    "last_agent_first", "macros", "max_bytes", "max_files", "max_inline_bytes", "max_inline_files", "messages", "priority",
    "reassign", "refuse_forwarded", "scanner_down", "score_over", "senders", "state", "stop", "strategy", "take", "tell_refused",
    "unscannable", "unverified", "violation",
})  # fmt: skip
"""One word, a number or true and false: what stands behind it in the same line is another key."""
