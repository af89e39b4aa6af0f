"""What an evacuation asks for each share."""

from __future__ import annotations

from shareflow.contracts.evacuation import EvacuateBackendInput, EvacuatePoolInput
from shareflow.contracts.evacuation_steps import LeavingShare
from shareflow.contracts.migration import DestinationOptions, MigrateShareInput
from shareflow.contracts.replication import MigrateReplicaInput

LEAST_RATE = 1024
"""Bytes per second that a copy can be limited to at least."""


def migration_of(
    request: EvacuatePoolInput | EvacuateBackendInput, share: LeavingShare, bandwidth: int | None = None
) -> MigrateShareInput:
    """The migration of one share, in its own project; snapshots go along where there are any."""
    values = {name: getattr(request, name) for name in DestinationOptions.model_fields}
    values |= {
        "project": share.project,
        "share": share.id,
        "preserve_snapshots": request.preserve_snapshots or share.snapshots > 0,
        "bandwidth": bandwidth,
        "dry_run": False,
        "from_backend": request.backend,
        "from_pool": request.pool if isinstance(request, EvacuatePoolInput) else None,
    }
    return MigrateShareInput(**values)


def move_of(
    request: EvacuatePoolInput | EvacuateBackendInput, replica: LeavingShare, bandwidth: int | None = None
) -> MigrateReplicaInput:
    """The migration of one replica, in the project of its share; what is said of cutovers means nothing for it."""
    return MigrateReplicaInput(
        project=replica.project,
        by=request.by,
        reason=request.reason,
        on_busy=request.on_busy,
        share=replica.share,
        replica=replica.id,
        to_pool=request.to_pool,
        to_backend=request.to_backend,
        to_zone=request.to_zone,
        same_domain=request.same_domain,
        bandwidth=bandwidth,
        from_backend=request.backend,
        from_pool=request.pool if isinstance(request, EvacuatePoolInput) else None,
    )


def part_of(bandwidth: int | None, running: int) -> int | None:
    """What one of the copies that run may use of the limit of all."""
    return None if bandwidth is None else max(bandwidth // max(running, 1), LEAST_RATE)
