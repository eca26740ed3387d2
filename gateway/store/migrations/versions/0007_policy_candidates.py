"""Policies that are not live: tried beside the live one, or published later. Tables and columns the release before does not read"""

import sqlalchemy as sa
from alembic import op

import gateway.store.tables.columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = gateway.store.tables.columns.UtcDateTime(timezone=True)
    op.create_table(
        "policy_candidate",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    op.create_index("policy_candidate_by_due", "policy_candidate", ["due_at"])
    op.add_column("account", sa.Column("shadow_id", sa.String(), nullable=True))
    op.add_column("policy_version", sa.Column("probation", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("policy_version", sa.Column("told_at", moment, nullable=True))
    op.add_column("membership", sa.Column("manages", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("api_key", sa.Column("team_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_key", "team_id")
    op.drop_column("membership", "manages")
    op.drop_column("policy_version", "told_at")
    op.drop_column("policy_version", "probation")
    op.drop_column("account", "shadow_id")
    op.drop_index("policy_candidate_by_due", "policy_candidate")
    op.drop_table("policy_candidate")
