"""What is done by the clock, and which messages wait to be scanned: a table and a column the release before does not read"""

import sqlalchemy as sa
from alembic import op

import gateway.store.tables.columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = gateway.store.tables.columns.UtcDateTime(timezone=True)
    op.create_table(
        "job",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("leased_until", moment, nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("last_result", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("message", sa.Column("awaits_scan", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_index(
        "message_by_awaited_scan",
        "message",
        ["account_id", "id"],
        sqlite_where=sa.text("awaits_scan = 1"),
        postgresql_where=sa.text("awaits_scan"),
    )
    # what came in while the scanner was down was never scanned later by the releases before: no reader waits for this
    op.execute(
        "UPDATE message SET awaits_scan = true WHERE facts LIKE '%\"scan\":{\"status\":\"unscanned\"%' "
        "AND facts NOT LIKE '%\"scan\":{\"status\":\"unscanned\",\"reason\":\"scanner-off\"%'"
    )


def downgrade() -> None:
    op.drop_index("message_by_awaited_scan", "message")
    op.drop_column("message", "awaits_scan")
    op.drop_table("job")
