"""`notify`: tell these too."""

from __future__ import annotations

from gateway.policy.actions._notice import NoticeAction

ACTION = NoticeAction("notify", only=False)
