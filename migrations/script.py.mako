"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# False runs the one statement of each direction outside a transaction, as CONCURRENTLY needs.
transactional = True


def upgrade() -> None:
    op.run_sql("""
    """)


def downgrade() -> None:
    op.run_sql("""
    """)
