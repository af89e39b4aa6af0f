"""The contract, kept with records: every verb is intent, effect, record, and heals what a killed call left."""

from __future__ import annotations

import dataclasses
import threading
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from drivers import crash
from drivers.contract import (
    AccessMode,
    BackendConfig,
    Call,
    Driver,
    Job,
    JobState,
    Listing,
    ObjectKind,
    ObjectRef,
    ObjectState,
    PoolConfig,
    PoolReport,
    ShareObject,
    SupportsClone,
    SupportsHostAccess,
    SupportsRevert,
    SupportsSnapshots,
)
from drivers.errors import Conflict, OverUsed, Rejected, Unknown
from drivers.recorded import builds, deletes, reverts
from drivers.recorded.guards import answers, check_fence, check_kind, check_owner, check_size
from drivers.recorded.objects import clear_orphans, complete, existing, mode_of, save, settle, state_of, stranger
from drivers.recorded.options import Options
from drivers.recorded.pool import Pool, memory_file
from drivers.recorded.volumes import Volumes
from drivers.sidecar import Record, digest
from drivers.writers import open_for_writing, try_to_write
from shareflow.contracts.units import format_size

_POOL_OPTIONS = frozenset({"path", "initialize"})


class RecordedDriver(Driver, SupportsSnapshots, SupportsClone, SupportsRevert, SupportsHostAccess):
    """A driver for mounted file systems. Subclasses name their options and make the :class:`Volumes` of a pool.

    Every pool has the options ``path`` (a directory; relative ones are below the worker's state directory) and
    ``initialize`` (whether an empty directory may become a new pool, true unless given).

    Raises:
        Rejected: an option is unknown, missing or wrong, or two pools have the same path.
    """

    pool_options: ClassVar[Iterable[str]] = ()
    backend_options: ClassVar[Iterable[str]] = ()

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._stop = threading.Event()
        self._sweeping = threading.Lock()
        self._sweepers: dict[str, threading.Thread] = {}
        options = Options(f"backend {config.name!r}", config.options, self.backend_options)
        self._configure(options)
        self._pools: dict[str, Pool] = {}
        for pool in config.pools:
            self._add_pool(pool)

    def _add_pool(self, pool: PoolConfig) -> None:
        place = f"pool {pool.name!r} of backend {self.config.name!r}"
        options = Options(place, pool.options, {*_POOL_OPTIONS, *self.pool_options})
        root = options.path("path", self.config.state_dir)
        if not pool.name or pool.name in self._pools:
            raise Rejected(f"{place}: the name is empty or taken", hint="give every pool a name of its own")
        if root in {known.root for known in self._pools.values()}:
            raise Rejected(f"{place}: path {str(root)!r} is also that of another pool")
        self._pools[pool.name] = Pool(
            pool.name, root, driver=self.name, volumes=self._volumes(root, options),
            memory=memory_file(self.config.state_dir, self.config.name, pool.name),
            initialize=options.flag("initialize", default=True), attributes=pool.attributes,
        )  # fmt: skip

    def _configure(self, options: Options) -> None:
        """Read the backend's own options, before any pool is made. Raises Rejected."""

    @abstractmethod
    def _volumes(self, root: Path, options: Options) -> Volumes:
        """The volumes of a pool; no slow work. Raises Rejected."""

    # -- reading

    @answers
    def pools(self) -> Sequence[PoolReport]:
        """See :meth:`drivers.contract.Driver.pools`."""
        reports = []
        for pool in self._pools.values():
            pool.check()
            total, free = pool.volumes.figures()
            offered = {"quota_enforced": self.capabilities().quota_enforced, **pool.attributes}
            reports.append(PoolReport(pool.name, total, free, offered))
        return reports

    @answers
    def used_bytes(self, ref: ObjectRef) -> int:
        """See :meth:`drivers.contract.Driver.used_bytes`."""
        pool = self._pool(ref.pool)
        return pool.volumes.used(complete(pool, ref, ObjectKind.SHARE)[1] / "data")

    @answers
    def observe(self, ref: ObjectRef) -> ObjectState | None:
        """See :meth:`drivers.contract.Driver.observe`."""
        return self._observe(self._pool(ref.pool), ref.name)

    @staticmethod
    def _observe(pool: Pool, name: str) -> ObjectState | None:
        record = pool.sidecar.load(name)
        return stranger(pool, name) if record is None else state_of(pool, record)

    @answers
    def list_objects(self, pool: str) -> Listing:
        """See :meth:`drivers.contract.Driver.list_objects`. Also begins to empty the trash that a killed call left."""
        found = self._pool(pool)
        states: dict[str, ObjectState] = {}
        whole = True
        for name in sorted({*found.sidecar.names(), *found.places.strangers()}):
            try:
                state = self._observe(found, name)
            except Unknown:
                whole = False
                continue
            if state is not None:
                states[name] = state
        found.sidecar.prune()
        clear_orphans(found)
        if found.trash.entries():
            self._sweep(found)
        return Listing(tuple(states.values()), whole)

    @answers
    def data_path(self, ref: ObjectRef) -> Path:
        """See :meth:`drivers.contract.SupportsHostAccess.data_path`.

        Works in every access mode; it is the path under which clients come that a mode takes away.
        """
        pool = self._pool(ref.pool)
        record, home = complete(pool, ref)
        if record.kind is ObjectKind.SNAPSHOT:
            return home / "data"
        if not pool.places.links_to(home):
            with pool.changing(ref.name):
                pool.places.link(complete(pool, ref)[1])
        return pool.places.stable(ref.name)

    def export_path(self, ref: ObjectRef) -> Path:
        """The path under which clients reach a share in modes ``rw`` and ``ro``; the one in its ShareObject."""
        return self._pools[ref.pool].places.export(ref.name)

    @answers
    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        """See :meth:`drivers.contract.Driver.find_writers`. Without root only processes of the own user are seen."""
        pool = self._pool(ref.pool)
        _, home = complete(pool, ref, ObjectKind.SHARE)
        return [*try_to_write(pool.places.export(ref.name)), *open_for_writing(home / "data")]

    # -- shares

    @answers
    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """See :meth:`drivers.contract.Driver.create_share`."""
        pool = self._pool(ref.pool)
        with builds.creating(pool, ref.name):
            record = builds.wanted(pool, ref.name, ObjectKind.SHARE, call)
            if record is None:
                check_size(pool, size)
            else:
                builds.check_same(record, size=size)
                builds.check_not_filling(pool, record)
            builds.create(pool, record or Record.intent(ref.name, ObjectKind.SHARE, size, "", call), call)
        return self._share(pool, ref, size)

    @answers
    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """See :meth:`drivers.contract.Driver.resize_share`."""
        pool = self._pool(ref.pool)
        with pool.changing(ref.name):
            record, home = existing(pool, ref, ObjectKind.SHARE, call)
            check_size(pool, size, room=size > record.size)
            volume = home / "data"
            if size < record.size:
                self._check_fits(pool, volume, ref, size)
            intent = record.seen(call) if size == record.size else record.changed(call)
            save(pool, record, intent)
            crash.window("resize.intent")
            pool.volumes.bound(volume, size)
            if size < record.size and pool.volumes.enforces:
                try:
                    self._check_fits(pool, volume, ref, size)
                except OverUsed:  # clients wrote between the check and the limit
                    pool.volumes.bound(volume, record.size)
                    raise
            crash.window("resize.limited")
            save(pool, intent, dataclasses.replace(intent, size=size))
        return self._share(pool, ref, size)

    @answers
    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        """See :meth:`drivers.contract.Driver.set_access_mode`. Files that clients have open stay open."""
        if mode not in self.capabilities().access_modes:
            offered = ", ".join(self.capabilities().access_modes)
            raise Rejected(f"driver {self.name!r} cannot enforce access mode {mode!r}", hint=f"it has {offered}")
        pool = self._pool(ref.pool)
        with pool.changing(ref.name):
            record, home = existing(pool, ref, ObjectKind.SHARE, call)
            if mode_of(pool, record, home) is mode and record.mode is mode:
                save(pool, record, record.seen(call))
                self._relink(pool, home)
                return
            intent = record.changed(call, mode=mode)
            save(pool, record, intent)
            crash.window("mode.intent")
            if mode is not AccessMode.NONE:
                pool.volumes.freeze(home / "data", frozen=mode is AccessMode.RO)
            crash.window("mode.frozen")
            place = home
            if mode is AccessMode.NONE and not pool.places.is_withheld(home):
                place = pool.places.withhold(home)
            elif mode is not AccessMode.NONE and pool.places.is_withheld(home):
                place = pool.places.release(home)
            pool.volumes.seal(pool.places.shares, pool.places.withheld)
            crash.window("mode.moved")
            self._relink(pool, place)

    @staticmethod
    def _relink(pool: Pool, home: Path) -> None:
        if not pool.places.links_to(home):
            pool.places.link(home)

    @answers
    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        """See :meth:`drivers.contract.Driver.delete_share`. While the job runs, its space is being freed."""
        return self._delete(ref, ObjectKind.SHARE, call)

    # -- snapshots

    @answers
    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """See :meth:`drivers.contract.SupportsSnapshots.create_snapshot`."""
        pool = self._same_pool(share, snapshot)
        with builds.creating(pool, snapshot.name, share.name):
            record = builds.wanted(pool, snapshot.name, ObjectKind.SNAPSHOT, call)
            if record is not None:
                builds.check_same(record, source=share.name)
                if record.complete:
                    return builds.adopt(pool, record, call)
            origin, home = complete(pool, share, ObjectKind.SHARE)
            record = record or Record.intent(snapshot.name, ObjectKind.SNAPSHOT, origin.size, share.name, call)
            return builds.fill(pool, record, home, call, bounded=None)

    @answers
    def delete_snapshot(self, snapshot: ObjectRef, call: Call) -> Job:
        """See :meth:`drivers.contract.SupportsSnapshots.delete_snapshot`."""
        return self._delete(snapshot, ObjectKind.SNAPSHOT, call)

    @answers
    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        """See :meth:`drivers.contract.SupportsClone.clone_snapshot`."""
        pool = self._same_pool(snapshot, share)
        with builds.creating(pool, share.name, snapshot.name):
            record = builds.wanted(pool, share.name, ObjectKind.SHARE, call)
            if record is not None:
                builds.check_same(record, size=size, source=snapshot.name)
                if record.complete:
                    return builds.adopt(pool, record, call)
            else:
                check_size(pool, size)
            origin, home = complete(pool, snapshot, ObjectKind.SNAPSHOT)
            if size < origin.size:
                raise Rejected(
                    f"{format_size(size)} is less than the {format_size(origin.size)} of snapshot {snapshot.name}",
                    hint=f"give at least {origin.size} bytes",
                )
            record = record or Record.intent(share.name, ObjectKind.SHARE, size, snapshot.name, call)
            return builds.fill(pool, record, home, call, bounded=size)

    @answers
    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """See :meth:`drivers.contract.SupportsRevert.revert_share`."""
        pool = self._same_pool(share, snapshot)
        with pool.changing(share.name, shared=snapshot.name):
            record, home = existing(pool, share, ObjectKind.SHARE, call)
            if digest(call) in record.done:
                save(pool, record, record.seen(call))
                return Job.done()
            origin, source = complete(pool, snapshot, ObjectKind.SNAPSHOT)
            job = reverts.revert(pool, record, home, origin, source, call)
        if pool.trash.entries(share.name):
            self._sweep(pool)
        return job

    # -- jobs

    @answers
    def cancel_job(self, call: Call) -> Job:
        """See :meth:`drivers.contract.Driver.cancel_job`. A delete is done from its first call on."""
        key = digest(call)
        for name in self._pools:
            pool = self._pool(name)
            found = pool.sidecar.find_job(key)
            if found is not None:
                with pool.changing(found):
                    return self._cancel(pool, found, key)
            if pool.sidecar.buried_by(key):
                return Job.done()
        return Job(JobState.CANCELLED, message="no such job")

    def _cancel(self, pool: Pool, name: str, key: str) -> Job:
        record = pool.sidecar.load(name)
        if record is not None:
            record = settle(pool, record)
            if key in record.done:
                return Job.done()
            if record.job == key:
                builds.stop(pool, record)
                if record.revert == key:
                    save(pool, record, dataclasses.replace(record, job="", revert=""))
                    pool.places.clear_staging(name)
                    self._sweep(pool)
        return Job(JobState.CANCELLED, message="cancelled on request")

    def close(self) -> None:
        """See :meth:`drivers.contract.Driver.close`."""
        self._stop.set()
        with self._sweeping:
            sweepers = list(self._sweepers.values())
        for thread in sweepers:
            thread.join(5)

    # -- helpers

    def _pool(self, name: str) -> Pool:
        """The pool, checked to be there. Raises Rejected, Unknown."""
        pool = self._pools.get(name)
        if pool is None:
            raise Rejected(
                f"backend {self.config.name!r} has no pool {name!r}", hint=f"its pools are {', '.join(self._pools)}"
            )
        pool.check()
        return pool

    def _same_pool(self, first: ObjectRef, second: ObjectRef) -> Pool:
        if first.pool != second.pool:
            raise Rejected(
                f"{first.name} is in pool {first.pool!r} and {second.name} in {second.pool!r}",
                hint="a share and its snapshots live in one pool; copy between pools",
            )
        return self._pool(first.pool)

    def _share(self, pool: Pool, ref: ObjectRef, size: int) -> ShareObject:
        return ShareObject(ref, size, (str(pool.places.export(ref.name)),))

    @staticmethod
    def _check_fits(pool: Pool, volume: Path, ref: ObjectRef, size: int) -> None:
        used = pool.volumes.used(volume)
        if used > size:
            raise OverUsed(
                f"{ref.name} has {used} bytes in use, more than {size}", used=used, hint="delete data, or ask for more"
            )

    def _delete(self, ref: ObjectRef, kind: ObjectKind, call: Call) -> Job:
        pool = self._pool(ref.pool)
        with pool.changing(ref.name):
            record, tombstone = pool.sidecar.load(ref.name), pool.sidecar.tombstone(ref.name)
            if record is not None:
                check_fence(ref.name, call, record, tombstone)
                check_kind(record, kind)
                check_owner(record, call)
            elif (found := stranger(pool, ref.name)) is not None and found.kind is not kind:
                raise Conflict(f"{ref.name} is a {found.kind}, not a {kind}")
            job = deletes.delete(pool, ref.name, record, tombstone, call)
        if job.state is JobState.RUNNING:
            self._sweep(pool)
        return job

    def _sweep(self, pool: Pool) -> None:
        """Empty the trash of a pool in the background, one thread per pool."""
        with self._sweeping:
            running = self._sweepers.get(pool.name)
            if self._stop.is_set() or (running is not None and running.is_alive()):
                return
            thread = threading.Thread(
                target=pool.trash.sweep, args=(self._stop,), name=f"trash-{len(self._sweepers)}", daemon=True
            )
            self._sweepers[pool.name] = thread
            thread.start()
