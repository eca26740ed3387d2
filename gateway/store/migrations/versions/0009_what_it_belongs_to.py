"""The domain that the accounts lie below, and the mark of the blobs' folder: columns that the release before does not read"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("domain", "blob_mark"):
        text = sqlmodel.sql.sqltypes.AutoString()
        op.add_column("change", sa.Column(name, text, nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    op.drop_column("change", "blob_mark")
    op.drop_column("change", "domain")
