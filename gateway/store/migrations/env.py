"""Alembic's entry: runs on the connection we hand in."""

from alembic import context
from sqlmodel import SQLModel

import gateway.store.tables  # noqa: F401  fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
