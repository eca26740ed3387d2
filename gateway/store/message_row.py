"""The row that keeps a message, with what was found out about it and decided."""

from __future__ import annotations

from typing import Any

from gateway.core.reports import ScanReport, ScanStatus
from gateway.store.facts import dump_decision, dump_facts
from gateway.store.filing import Filing

Row = dict[str, Any]


def awaits_scan(scan: ScanReport) -> bool:
    """Whether a scanner that was away is to be asked again; one that is switched off never comes back by itself."""
    return scan.status is ScanStatus.UNSCANNED and scan.reason != "scanner-off"


def message_row(filing: Filing) -> Row:
    envelope, facts, decision = filing.envelope, filing.facts, filing.decision
    message = facts.message if facts else None
    author = message.author if message else None
    return {
        "account_id": filing.account_id,
        "id": filing.message_id,
        "trace_id": envelope.trace_id,
        "source": envelope.source,
        "direction": "inbound",
        "mailbox_id": facts.place.mailbox.id if facts else None,
        "disposition": filing.kept.value,
        "reason": filing.reason.value,
        "reverse_path": envelope.reverse_path,
        "recipients": list(envelope.recipients),
        "author_name": author.name if author else "",
        "author_address": author.address if author else "",
        "subject": message.subject if message else "",
        "message_id": (message.message_id or "") if message else "",
        "received_at": envelope.received_at,
        "size_bytes": len(envelope.content),
        "sha256": envelope.sha256,
        "content": None if filing.blob else envelope.content,
        "results_header": filing.results_header,
        "facts": dump_facts(facts) if facts else None,
        "decision": dump_decision(decision) if decision else None,
        "policy_version": decision.policy_version if decision else 0,
        "awaits_scan": awaits_scan(facts.scan) if facts else False,
    }
