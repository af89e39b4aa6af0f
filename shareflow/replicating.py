"""Starting what is done with replicas: make, update, promote (one or all of a backend), move, or delete them."""

from __future__ import annotations

from shareflow import names
from shareflow.commands import build
from shareflow.contracts.failover import FailbackBackendInput, FailoverBackendInput, FailoverResult
from shareflow.contracts.migration import Verify
from shareflow.contracts.operations import OnBusy
from shareflow.contracts.replication import (
    CreateReplicaInput,
    DeleteReplicaInput,
    MigrateReplicaInput,
    MigrateReplicaResult,
    PromoteReplicaInput,
    PromoteReplicaResult,
    ReplicaResult,
    ResyncReplicaInput,
    Stale,
)
from shareflow.operation import Operation
from shareflow.relocating import Relocations


class Replicas(Relocations):
    """Copies of a share elsewhere that are kept in step. ``replicas`` of :meth:`get` and :meth:`list` shows them.

    A replica is named by the id of its instance, as ``"backend/pool"``, or by the name of its pool.
    """

    async def create_replica(
        self,
        share: str,
        *,
        zone: str | None = None,
        backend: str | None = None,
        pool: str | None = None,
        same_domain: bool = False,
        bandwidth: str | int | None = None,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ReplicaResult]:
        """Make a replica and keep it in step from then on, as the ``replicas`` rule of the share's type says.

        The share is writable all the time. The result is there once the replica has had all content.

        - ``zone``, ``backend``, ``pool``: pin its place; otherwise the best pool apart from all copies is taken.
        - ``same_domain``: allow a failure domain that has a copy of the share already; never the same pool.
        - ``bandwidth``: limit of its copies in bytes per second, or text such as ``"50 MiB/s"``.
        """
        request = build(
            CreateReplicaInput, **self._common(on_busy, reason),
            share=share, zone=zone, backend=backend, pool=pool, same_domain=same_domain, bandwidth=bandwidth,
        )  # fmt: skip
        return await self._start(names.CREATE_REPLICA, request, f"make a replica of share {request.share}", request_id)

    async def resync_replica(
        self,
        share: str,
        replica: str,
        *,
        full: bool = False,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ReplicaResult]:
        """Bring a replica up to date now, instead of at its next round; a stale copy that was kept is a replica again.

        ``full`` looks at everything again instead of relying on what was copied before.
        """
        request = build(ResyncReplicaInput, **self._common(on_busy, reason), share=share, replica=replica, full=full)
        summary = f"resync replica {replica} of share {request.share}"
        return await self._start(names.RESYNC_REPLICA, request, summary, request_id)

    async def promote_replica(
        self,
        share: str,
        replica: str | None = None,
        *,
        lost: bool = False,
        accept_loss: bool = False,
        stale: str = Stale.KEEP,
        verify: str = Verify.SAMPLED,
        ignore_open_files: bool = False,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[PromoteReplicaResult]:
        """Make a replica the active instance; without ``replica`` the one with the newest content.

        Unless it is ``lost`` the old active instance is fenced and gives its last changes first, so that nothing is
        lost; it is a replica after that. A promotion that fails leaves it serving.

        - ``lost``: the active instance is declared lost, for which a ``reason`` is needed: it is neither fenced nor
          asked, and its copy is fenced as soon as it is reached again. What was not copied before is lost.
        - ``accept_loss``: with ``lost``: that is agreed to; without it the refusal says how much it would be.
          ``loss_seconds`` of the result is the age of what was promoted.
        - ``stale``: with ``lost``: what becomes of the old copy then: ``keep`` it, or ``resync`` it to a replica.
        - ``verify``: what is compared before the switch: ``sampled`` or ``full``.
        - ``ignore_open_files``: promote although a process on the backend's host has files open for writing.
        """
        request = build(
            PromoteReplicaInput, **self._common(on_busy, reason),
            share=share, replica=replica, lost=lost, accept_loss=accept_loss, stale=stale, verify=verify,
            ignore_open_files=ignore_open_files,
        )  # fmt: skip
        which = f"replica {replica}" if replica else "the newest replica"
        summary = f"promote {which} of share {request.share}{', the active one is lost' if lost else ''}"
        return await self._start(names.PROMOTE_REPLICA, request, summary, request_id)

    async def migrate_replica(
        self,
        share: str,
        replica: str,
        *,
        to_pool: str | None = None,
        to_backend: str | None = None,
        to_zone: str | None = None,
        same_domain: bool = False,
        bandwidth: str | int | None = None,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[MigrateReplicaResult]:
        """Move a replica to another pool: another one is filled there, and this one goes when that is in step.

        - ``to_pool``, ``to_backend``, ``to_zone``: pin its place; otherwise the best pool apart from all other copies
          is taken.
        - ``same_domain``: allow a failure domain that has another copy of the share; never the same pool.
        - ``bandwidth``: limit of the copy in bytes per second, or text such as ``"50 MiB/s"``.
        """
        request = build(
            MigrateReplicaInput, **self._common(on_busy, reason),
            share=share, replica=replica, to_pool=to_pool, to_backend=to_backend, to_zone=to_zone,
            same_domain=same_domain, bandwidth=bandwidth,
        )  # fmt: skip
        summary = f"migrate replica {replica} of share {request.share}"
        return await self._start(names.MIGRATE_REPLICA, request, summary, request_id)

    async def delete_replica(
        self,
        share: str,
        replica: str,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ReplicaResult]:
        """Delete one replica for good; the share and its other copies stay."""
        request = build(DeleteReplicaInput, **self._common(on_busy, reason), share=share, replica=replica)
        summary = f"delete replica {replica} of share {request.share}"
        return await self._start(names.DELETE_REPLICA, request, summary, request_id)

    async def failover(
        self,
        backend: str,
        *,
        lost: bool = False,
        accept_loss: bool = False,
        accept_tolerated: bool = False,
        stale: str = Stale.KEEP,
        verify: str = Verify.SAMPLED,
        ignore_open_files: bool = False,
        concurrency: int = 16,
        dry_run: bool = False,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[FailoverResult]:
        """Promote a replica elsewhere of every share, of all projects, that is active on a backend.

        Each is a promotion of its own, ``<operation>/<share id>`` in its own project: those of types with
        ``priority: 1`` first, so many at once as ``concurrency`` says, 1 to 64. Without ``lost`` they are planned
        and lose nothing.

        - ``lost``: the backend is declared lost, for which a ``reason`` is needed: nothing is asked of it.
        - ``accept_loss``, ``accept_tolerated``: with ``lost``: every loss is agreed to, or only one that the type of
          the share tolerates; without either the refusal says how much it would be.
        - ``stale``, ``verify``, ``ignore_open_files``: of every promotion, as in :meth:`promote_replica`.
        - ``dry_run``: only ``plan``: what would be promoted, and what each share would lose.

        ``outcome`` of the result is ``promoted``, or ``incomplete`` with the shares that stay in
        ``report.not_promoted``, each with its reason and next step; started again, it goes on with those.
        """
        request = build(
            FailoverBackendInput, **self._common(on_busy, reason),
            backend=backend, lost=lost, accept_loss=accept_loss, accept_tolerated=accept_tolerated, stale=stale,
            verify=verify, ignore_open_files=ignore_open_files, concurrency=concurrency, dry_run=dry_run,
        )  # fmt: skip
        summary = f"{'plan to fail' if dry_run else 'fail'} backend {request.backend} over"
        return await self._start(names.FAILOVER_BACKEND, request, summary, request_id)

    async def failback(
        self,
        backend: str,
        *,
        verify: str = Verify.SAMPLED,
        ignore_open_files: bool = False,
        concurrency: int = 16,
        dry_run: bool = False,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[FailoverResult]:
        """Promote back to a backend every share that failovers have moved off it; nothing is lost.

        A share whose stale copy there was not resynced stays where it is, and ``report.not_promoted`` names it.
        The options are those of :meth:`failover`.
        """
        request = build(
            FailbackBackendInput, **self._common(on_busy, reason),
            backend=backend, verify=verify, ignore_open_files=ignore_open_files, concurrency=concurrency,
            dry_run=dry_run,
        )  # fmt: skip
        summary = f"{'plan to fail' if dry_run else 'fail'} back to backend {request.backend}"
        return await self._start(names.FAILBACK_BACKEND, request, summary, request_id)
