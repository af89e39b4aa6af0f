"""A replica between two rounds: whether a round could have anything to do but bring new content."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from activities.recipes.replicate import mode_between, way_to
from activities.recipes.replicating import seconds_between
from inventory import replicas, resources, watched_replicas
from inventory.database import now
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.replica_steps import WatchInput
from shareflow.contracts.replication import ReplicaState


@dataclass(frozen=True, slots=True)
class AtRest:
    """A replica that nobody has, and that had all content after its last round. Equal when nobody has had it since.

    Attributes:
        source: the active instance.
        memory: what the last round left; of it, ``taken`` is the sync point whose content the replica has.
        found: the row.
    """

    source: ObjectPlace
    destination: ObjectPlace
    memory: MigrationMemory
    found: RowMapping = field(compare=False)


def at_rest(connection: Connection, step: WatchInput) -> AtRest | None:
    """The replica, when a round could have nothing to do but new content; None when it may have."""
    found = watched_replicas.row(connection, step.replica)
    if found is None or found["interval"] != step.interval:  # after a retype a round takes up what counts now
        return None
    memory, source = replicas.memory_of(found), resources.place_of(found, "active_")
    here = {"backend": found["backend"], "name": found["pool"], "attributes": found["attributes"]}
    there = {"backend": source.backend, "name": source.pool, "attributes": found["active_attributes"]}
    follows = way_to(found, here, there) == "driver" and mode_between(found, here) in {"", memory.mode}
    whole = _is_whole(found, memory, step.operation) and memory.size == source.size and not found["lacks_snapshots"]
    return AtRest(source, resources.place_of(found), memory, found) if follows and whole else None


def _is_whole(found: RowMapping, memory: MigrationMemory, sync: str) -> bool:
    """Nobody has the replica, and its last round was a good one that has left nothing to be done."""
    untroubled = not (found["claimed_by"] or found["stale"] or found["error"] or memory.passing)
    taken = bool(memory.taken) and {*memory.sync_points, *memory.common} == {memory.taken}
    return untroubled and taken and found["sync_operation"] == sync and found["size"] == memory.size


def note_idle(connection: Connection, seen: AtRest, as_of: datetime) -> bool:
    """The replica has what was there then; False when something else was noted since it was read.

    Another look may have noted a later time: that stays.
    """
    before = seen.found["synced_at"]
    if before is not None and before >= as_of:
        return True
    passed, state = seconds_between(before, as_of), ReplicaState.IN_SYNC.value
    return watched_replicas.note(connection, seen.found, as_of=as_of, tried_at=now(), seconds=passed, state=state)
