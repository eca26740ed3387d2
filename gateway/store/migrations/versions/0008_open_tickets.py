"""The open tickets of an address are found, and when a ticket was closed is known; the release before reads neither"""

import sqlalchemy as sa
from alembic import op

import gateway.store.tables.columns

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    closed = sa.Column("closed_at", gateway.store.tables.columns.UtcDateTime(timezone=True), nullable=True)
    op.add_column("ticket", closed)
    op.create_index("participant_by_address", "participant", ["account_id", "address_key", "ticket_id"])


def downgrade() -> None:
    op.drop_index("participant_by_address", "participant")
    op.drop_column("ticket", "closed_at")
