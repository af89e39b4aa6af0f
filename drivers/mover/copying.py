"""One copy: count, copy, compare, make durable."""

from __future__ import annotations

import os
from contextlib import nullcontext

from drivers.mover import metadata
from drivers.mover.builtin import TreeCopier
from drivers.mover.compare import TreeComparison
from drivers.mover.control import CopyFailed
from drivers.mover.durable import SteadySync, sync_file_system
from drivers.mover.jobdir import JobDir
from drivers.mover.live import LiveCopier
from drivers.mover.memory import Memory, forget_memory, memory_place, sweep
from drivers.mover.process import JobProcess
from drivers.mover.rsync import RsyncPass, RsyncUnusable, find_rsync
from drivers.mover.scan import Census, prepare_in_place, take_census

PASSES = 3
"""How often a copy is made to agree with a source that changes, before the job fails."""

_SHOWN_DIFFERENCES = 5
_SMALL_FILES = 2000
_SMALL_BYTES = 64 << 20


class CopyProcess(JobProcess):
    """The steps of one copy, and the status after each."""

    def __init__(self, home: JobDir, lock: int) -> None:
        self._shared: set[tuple[int, int]] = set()
        super().__init__(home, lock)

    def work(self, source: int, target: int) -> None:
        """Copy. Raises as :meth:`JobProcess.work`."""
        memory = self._memory(target)
        if memory is None:
            self._copy(source, target)
            return
        try:
            self._follow(source, target, memory)
        finally:
            memory.close()

    def _memory(self, target: int) -> Memory | None:
        """The memory of the target: of repeated passes, and of the copies that come between these."""
        jobs_dir, options = self.home.path.parent, self.request.options
        place = memory_place(jobs_dir, self.request.target)
        if options.engine == "rsync":
            forget_memory(place)  # it would not know what rsync does to the target
            return None
        if not options.repeated and not place.exists():
            return None
        sweep(jobs_dir)
        return Memory(place, self.request.target, target)

    def _follow(self, source: int, target: int, memory: Memory) -> None:
        """Bring over what changed since the last pass; with ``verify`` until nothing differs."""
        progress = self.control.progress
        progress.bytes_total, progress.files_total = memory.bytes, memory.names
        if not memory.names or os.geteuid() != 0:
            census = take_census(source, target, self.control.tick, reflink=False)
            progress.bytes_total, progress.files_total = census.bytes, census.files
            if losses := census.losses():
                self.notes.append(losses)
        with SteadySync(target) if progress.bytes_total > _SMALL_BYTES else nullcontext():
            copier = self._follow_passes(source, target, memory)
        self.enter("writing to disk")
        sync_file_system(target)
        memory.finish(copier.names, copier.bytes)

    def _follow_passes(self, source: int, target: int, memory: Memory) -> LiveCopier:
        trouble, options = "", self.request.options
        for number in range(PASSES):
            self.enter("copying" if number == 0 else f"copying, pass {number + 1}: {trouble}")
            copier = LiveCopier(
                source,
                target,
                self.control,
                memory,
                delete_extra=options.delete_extra,
                reflink=options.reflink,
            )
            copier.run()
            self._shared = copier.shared
            self.control.progress.bytes_total, self.control.progress.files_total = copier.bytes, copier.names
            self.control.progress.finish()
            if not options.verify:
                if copier.changed:
                    self.notes.append(f"{copier.changed:,} names changed while they were copied")
                return copier
            self.enter("verifying")
            trouble = self._differences(source, target)
            if not trouble:
                return copier
            memory.clear()
        raise CopyFailed(f"after {PASSES} passes the copy still differs from the source, is it in use? {trouble}")

    def _copy(self, source: int, target: int) -> None:
        census = take_census(source, target, self.control.tick, reflink=self.request.options.reflink)
        progress = self.control.progress
        progress.bytes_total, progress.files_total = census.bytes, census.files
        if losses := census.losses():
            self.notes.append(losses)
        engine = self._engine(census)
        with SteadySync(target) if census.bytes > _SMALL_BYTES else nullcontext():
            self._passes(engine, source, target, census)
        self.enter("writing to disk")
        sync_file_system(target)

    def _engine(self, census: Census) -> str:
        """The path of rsync, or empty for the built-in copier."""
        asked, program = self.request.options.engine, find_rsync()
        if asked == "rsync":
            if program is None:
                raise CopyFailed("rsync is not installed; install the package rsync, or use engine auto")
            if census.losses():
                raise CopyFailed(f"rsync does not tell what it leaves out ({census.losses()}); use engine builtin")
            return program
        small = census.files <= _SMALL_FILES and census.bytes <= _SMALL_BYTES
        if asked == "builtin" or program is None or small or census.shares or os.geteuid() != 0:
            return ""
        return program

    def _passes(self, engine: str, source: int, target: int, census: Census) -> None:
        options = self.request.options
        trouble = ""
        for number in range(PASSES):
            self.enter("copying" if number == 0 else f"copying, pass {number + 1}: {trouble}")
            checksum = number > 0 or self.suspect
            try:
                changed = self._pass(engine, source, target, census, checksum=checksum)
            except CopyFailed as error:
                if not error.retry:
                    raise
                trouble = str(error)
                # What rsync stumbled over the built-in copier names, or finds that it is gone by now.
                engine = engine if options.verify else ""
                continue
            self.control.progress.finish()
            if not options.verify:
                if changed:
                    self.notes.append("the source changed during the copy")
                return
            self.enter("verifying")
            trouble = self._differences(source, target)
            if not trouble:
                return
        raise CopyFailed(f"after {PASSES} passes the copy still differs from the source, is it in use? {trouble}")

    def _pass(self, engine: str, source: int, target: int, census: Census, *, checksum: bool) -> bool:
        options = self.request.options
        if engine:
            prepare_in_place(source, target, self.control.tick)
            rsync = RsyncPass(
                engine,
                str(self.request.source),
                str(self.request.target),
                self.control,
                locks=(self.lock,),
                delete_extra=options.delete_extra,
                count_present=lambda: take_census(source, target, self.control.tick, reflink=False).present,
            )
            self.control.progress.bytes_done = max(self.control.progress.bytes_done, census.present)
            try:
                return rsync.run(census.present, checksum=checksum)
            except RsyncUnusable as error:
                if options.engine == "rsync":
                    raise CopyFailed(f"this rsync cannot do it: {error}") from error
        copier = TreeCopier(
            source,
            target,
            self.control,
            delete_extra=options.delete_extra,
            reflink=options.reflink,
            checksum=checksum,
        )
        copier.run()
        self._shared = copier.shared
        return copier.changed > 0

    def _differences(self, source: int, target: int) -> str:
        comparison = TreeComparison(
            source,
            target,
            extras_allowed=not self.request.options.delete_extra,
            privilege=metadata.Privilege(),
            shared=self._shared,
            tick=self.control.tick,
        )
        return "; ".join(comparison.differences(_SHOWN_DIFFERENCES))
