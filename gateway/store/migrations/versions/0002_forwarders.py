"""Forwarders, the challenges that teach them, and Google's confirmations: tables that the release before does not read"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import gateway.store.tables.columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, gateway.store.tables.columns.UtcDateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "forwarder",
        _text("account_id"),
        _text("id"),
        _text("mailbox_id"),
        _text("challenge_id"),
        _moment("learnt_at"),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("drifts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    op.create_index("forwarder_by_mailbox", "forwarder", ["account_id", "mailbox_id"])
    op.create_table(
        "challenge",
        _text("account_id"),
        _text("id"),
        _text("mailbox_id"),
        _text("mailbox"),
        _text("token"),
        _text("word"),
        _text("author"),
        _text("reverse_path"),
        _text("subject"),
        _text("message_id"),
        _text("body_digest"),
        _text("outbox_id"),
        _text("state"),
        _moment("sent_at"),
        _moment("expires_at"),
        _moment("settled_at", nullable=True),
        sa.Column("lesson", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index("challenge_by_mailbox", "challenge", ["account_id", "mailbox_id", "id"])
    op.create_table(
        "forwarding_confirmation",
        _text("account_id"),
        _text("id"),
        _text("mailbox_id"),
        _text("asked_by"),
        _text("code"),
        _text("link"),
        _moment("received_at"),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    op.create_index("forwarding_confirmation_by_mailbox", "forwarding_confirmation", ["account_id", "mailbox_id", "id"])
