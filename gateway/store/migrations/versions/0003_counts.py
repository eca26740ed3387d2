"""What a commit counts is kept, and the lines of a trace that are written together are one row"""

import sqlalchemy as sa
from alembic import op

import gateway.store.tables.columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    hour = sa.Column("acknowledged_hour", gateway.store.tables.columns.UtcDateTime(timezone=True), nullable=True)
    op.add_column("account", hour)
    op.add_column("account", sa.Column("acknowledged", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("event", sa.Column("earlier", sa.JSON(none_as_null=True), nullable=True))
    assigned = sa.text("assigned_at IS NOT NULL")
    op.create_index(
        "ticket_by_day",
        "ticket",
        ["account_id", "assigned_at"],
        sqlite_where=assigned,
        postgresql_where=assigned,
    )


def downgrade() -> None:
    op.drop_index("ticket_by_day", "ticket")
    op.drop_column("event", "earlier")
    op.drop_column("account", "acknowledged")
    op.drop_column("account", "acknowledged_hour")
