"""Copies by the mover against plain rsync: a whole tree, and what changed of it since.

The passes are those that a migration makes over a share in use: the first records what it saw, the next ones look only
at what is not as recorded. Measured too is the delta of a copy that has no records of the target.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import Report, Target
from drivers.contract import JobState
from drivers.mover import CopyOptions, Mover

MIB, GIB = 2**20, 2**30
FILES, SIZE = 20_000, 2 * GIB
PER_DIRECTORY = 100
CHANGED = 100
"""One file in so many is changed before each delta."""

PASS = CopyOptions(verify=False, repeated=True)
"""What activities/mover_steps.py asks for while the source is in use."""
COPY = CopyOptions(verify=False)

RATE = Target(0.9, "at least")
DELTA = Target(1.3, "at most")
_PATIENCE = 600.0


def copies(report: Report, directory: Path, *, quick: bool) -> None:
    """Whole copies and deltas, in rounds that begin with the other side each time, both written to disk."""
    files, size, rounds = (4_000, SIZE // 8, (2, 5)) if quick else (FILES, SIZE, (5, 11))
    report.head(f"copies of {size / GIB:g} GiB in {files:,} files against plain rsync (medians of alternating rounds)")
    program = shutil.which("rsync")
    if program is None:
        report.note("skipped: rsync is not installed")
        return
    sides = _Sides(directory / "copies", program)
    sides.make(files, size)
    try:
        _whole(report, sides, rounds[0], size)
        _delta(report, sides, f"delta, 1 in {CHANGED} changed", rounds[1], PASS)
        _delta(report, sides, "the same without records", rounds[1], COPY)
    finally:
        sides.close()


def _whole(report: Report, sides: _Sides, rounds: int, size: int) -> None:
    ours, theirs = _times(sides, rounds, PASS, sides.empty)
    ratio = statistics.median(reference / mine for mine, reference in zip(ours, theirs, strict=True))
    mine, reference = statistics.median(ours), statistics.median(theirs)
    report.add(
        "whole copy", ratio, "x rsync", target=RATE, MiB_a_second=size / MIB / mine, rsync=size / MIB / reference
    )


def _delta(report: Report, sides: _Sides, name: str, rounds: int, options: CopyOptions) -> None:
    ours, theirs = _times(sides, rounds, options, sides.change)
    ratio = statistics.median(mine / reference for mine, reference in zip(ours, theirs, strict=True))
    target = DELTA if options.repeated else None
    report.add(name, ratio, "x rsync", target=target, s=statistics.median(ours), rsync_s=statistics.median(theirs))


def _times(
    sides: _Sides, rounds: int, options: CopyOptions, prepare: Callable[[int], None]
) -> tuple[list[float], list[float]]:
    """Seconds of the mover and of rsync, round by round."""
    ours, theirs = [], []
    for number in range(rounds):
        prepare(number)
        if not options.repeated:
            sides.forget()
        os.sync()
        for side in (0, 1) if number % 2 else (1, 0):
            if side:
                ours.append(sides.by_mover(options))
            else:
                theirs.append(sides.by_rsync())
    return ours, theirs


class _Sides:
    """A source, and a target for each of both."""

    def __init__(self, directory: Path, program: str) -> None:
        directory.mkdir()
        self._source = directory / "source"
        self._targets = directory / "by-mover", directory / "by-rsync"
        self._program = program
        self._jobs = directory / "jobs"
        self._mover = Mover(self._jobs)
        self._random = random.Random(1)

    def close(self) -> None:
        """Stop what runs and remove the trees."""
        self._mover.close()
        shutil.rmtree(self._source.parent)

    def make(self, files: int, size: int) -> None:
        """Files of one size with content of their own."""
        self._files = [self._source / f"d{number // PER_DIRECTORY:04}" / f"f{number:05}.dat" for number in range(files)]
        for path in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(size // files))

    def empty(self, _number: int) -> None:
        """No targets."""
        for target in self._targets:
            shutil.rmtree(target, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """No records of what was in the targets."""
        shutil.rmtree(self._jobs, ignore_errors=True)

    def change(self, number: int) -> None:
        """Some files are changed in place."""
        for path in self._files[number::CHANGED]:
            with path.open("r+b") as file:
                file.seek(self._random.randrange(path.stat().st_size // 2))
                file.write(self._random.randbytes(4096))

    def by_mover(self, options: CopyOptions) -> float:
        """Seconds of one job, its process and the write to disk included."""
        begin = time.monotonic()
        job = self._mover.start("pass", self._source, self._targets[0], options)
        while job.state is JobState.RUNNING and time.monotonic() - begin < _PATIENCE:
            time.sleep(0.002)
            job = self._mover.poll("pass") or job
        seconds = time.monotonic() - begin
        if job.state is not JobState.DONE:
            raise RuntimeError(f"the copy ended {job.state}: {job.message}")
        self._mover.forget("pass")
        return seconds

    def by_rsync(self) -> float:
        """Seconds of plain rsync with all metadata, and of writing its target to disk."""
        command = [self._program, "-aHAXS", "--numeric-ids", "--delete", "--"]
        begin = time.monotonic()
        subprocess.run([*command, f"{self._source}/", f"{self._targets[1]}/"], check=True, timeout=_PATIENCE)
        subprocess.run(["sync", "-f", str(self._targets[1])], check=True, timeout=_PATIENCE)
        return time.monotonic() - begin
