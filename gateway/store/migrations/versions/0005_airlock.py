"""Whom an account tells of what waits in quarantine, and how long that waits: columns the release before does not read"""

import sqlalchemy as sa
from alembic import op

import gateway.store.tables.columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = gateway.store.tables.columns.UtcDateTime(timezone=True)
    op.add_column("account", sa.Column("admins", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("account", sa.Column("quarantine_days", sa.Integer(), nullable=False, server_default="30"))
    op.add_column("account", sa.Column("digest_at", moment, nullable=True))


def downgrade() -> None:
    for name in ("digest_at", "quarantine_days", "admins"):
        op.drop_column("account", name)
