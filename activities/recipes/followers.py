"""What becomes of a share's replicas when another instance is the active one, or the share has another type."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping

from activities.recipes.apart import READABLE
from activities.recipes.replicate import rules_of
from inventory import replicas, resources
from inventory.database import now


def turn_to(connection: Connection, followers: Sequence[RowMapping], mode: str) -> list[str]:
    """Replicas follow another active instance from now on. Gives the sync points that they had beside the old one.

    They base on nothing of those any more: their next rounds find the newest snapshot that both sides have, and look
    at everything where the mover copies. What they have stays what it is, and so do their states. ``mode`` is the way
    in which the new active instance was filled: the mover's snapshots are no backend's.
    """
    points: list[str] = []
    for row in followers:
        memory = replicas.memory_of(row)
        points += memory.sync_points
        changes = {
            "common": [],
            "sync_points": [*memory.sync_points, fresh_point()],
            "named_at": now(),
            "anew": True,
            "unrelated": mode == "host",
            # Window: a round about the old one may be under way, and has used the next number in the names of its
            # steps. What it knows is not kept, and a backend takes a second step of a name for the first one.
            "passes": memory.passes + 1,
        }
        replicas.note(connection, row["id"], memory=memory.model_copy(update=changes).model_dump(mode="json"))
    return points


def fresh_point() -> str:
    """Name of the next sync point. What an older name stands for at a replica is another instance's content."""
    return f"sf-{uuid.uuid4()}"


def take_type(connection: Connection, share_id: str) -> None:
    """Replicas are what the share's type says now; their next rounds give clients the access that goes with it."""
    share = resources.share_row(connection, share_id)
    for row in replicas.of_share(connection, share_id):
        _, rules = rules_of(connection, share)
        replicas.note(connection, row["id"], kind=rules.type, interval=rules.interval, loss=rules.loss)
        if row["kind"] == rules.type:
            continue
        resources.drop_export_paths(connection, row["id"])
        if rules.type == READABLE:
            paths = replicas.memory_of(row).export_paths
            resources.add_export_paths(connection, row["id"], share["protocol"], paths, readonly=True)
