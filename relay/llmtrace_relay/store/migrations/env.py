"""What Alembic runs: the migrations, on the connection and in the transaction of whoever asked for them."""

from __future__ import annotations

from alembic import context

from llmtrace_relay.store.sql.migrating import VERSIONS
from llmtrace_relay.store.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSIONS,
)
with context.begin_transaction():
    context.run_migrations()
