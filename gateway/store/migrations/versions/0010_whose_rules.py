"""Whose manager published a version, and which version a scheduled one was held against; the release before reads neither"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOTE = "rules of team "
"""Up to here the note alone told which versions managers published."""


def upgrade() -> None:
    op.add_column("policy_version", sa.Column("team", sa.String(), nullable=True))
    op.add_column("policy_candidate", sa.Column("since_version", sa.Integer(), nullable=True))
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_column("policy_candidate", "since_version")
    op.drop_column("policy_version", "team")


def _fill(connection: sa.Connection) -> None:
    """Empty for whole documents: NULL is what the release before goes on to write while processes of both run.

    LIKE finds other spellings too on SQLite, so the note is looked at once more. No team's name has a colon.
    """
    connection.execute(sa.text("UPDATE policy_version SET team = ''"))
    noted = sa.text("SELECT account_id, version, note FROM policy_version WHERE note LIKE :like")
    fill = sa.text("UPDATE policy_version SET team = :team WHERE account_id = :account AND version = :version")
    for account, version, note in connection.execute(noted, {"like": f"{_NOTE}%"}).all():
        if note.startswith(_NOTE):
            team = note.removeprefix(_NOTE).partition(": ")[0]
            connection.execute(fill, {"team": team, "account": account, "version": version})
