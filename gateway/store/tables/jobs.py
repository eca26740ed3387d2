"""What is done by the clock: when it is due, who is at it, and where it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from gateway.store.tables.columns import moment


class JobRow(SQLModel, table=True):
    """One job of all nodes together. `holder` runs it until `leased_until`; `state` is the job's own, where it goes on after
    a kill; `last_result` a sentence for people.
    """

    __tablename__ = "job"
    name: str = Field(primary_key=True)
    due_at: datetime = moment()
    leased_until: datetime | None = moment(default=None, nullable=True)
    holder: str | None = None
    state: dict[str, Any] = Field(sa_type=JSON)
    last_result: str = ""
