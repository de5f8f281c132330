"""Runs the migrations on the connection the store hands over, within its transaction."""

from alembic import context

from marketwatch.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
