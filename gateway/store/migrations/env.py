"""Alembic's entry: runs on the connection that the store hands over, inside the store's own transaction."""

from alembic import context

from gateway.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
