"""How many bytes a replica is behind was measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("moved_seconds", sa.BigInteger(), nullable=True))
    op.add_column("replicas", sa.Column("behind_bytes", sa.BigInteger(), nullable=True))
    op.add_column("replicas", sa.Column("behind_at", UtcDateTime, nullable=True))


def downgrade() -> None:
    for column in ("behind_at", "behind_bytes", "moved_seconds"):
        op.drop_column("replicas", column)
