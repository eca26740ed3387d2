"""`notify_only`: tell these, instead of those who are usually told."""

from __future__ import annotations

from gateway.policy.actions._notice import NoticeAction

ACTION = NoticeAction("notify_only", only=True)
