"""Snapshots that travel between two btrfs pools, against the two tools in a plain pipe; all is on disk at the end."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report, Target
from drivers.btrfs import BtrfsDriver
from drivers.contract import BackendConfig, Call, Job, JobState, ObjectRef, PoolConfig, object_name
from drivers.errors import DriverError
from drivers.tools import run

MIB = 2**20
FILES = 4
PAUSE = 0.002
"""Seconds between two looks at a job."""
RATE = Target(0.9, "at least")
TIME = Target(1.3, "at most")


def transfers(report: Report, directory: Path, *, quick: bool) -> None:
    """A whole snapshot of 2 GiB, then one after 1 % of it changed; medians of pairs of runs, in turn.

    Raises RuntimeError when a transfer fails or file systems cannot be made (this part needs root and btrfs-progs).
    """
    total, rounds = (1024 * MIB, (2, 5)) if quick else (2048 * MIB, (3, 11))
    report.head(f"snapshots between btrfs pools: {total // MIB} MiB in {FILES} files, then 1 % of it changed")
    try:
        with file_system(directory / "there", 4 * total) as there, file_system(directory / "here", 8 * total) as here:
            _measure(report, _Pools(there, here, directory, 2 * total), total, *rounds)
    except DriverError as error:
        raise RuntimeError(f"part transfer cannot run: {error}") from error


@dataclass
class _Pools:
    """A pool on each file system, with a share in each, and a folder for the plain tools."""

    there: Path
    here: Path
    directory: Path
    size: int

    def __post_init__(self) -> None:
        self.sender, self.receiver = self._driver("there", self.there), self._driver("here", self.here)
        self.source, self.share = _name(), _name()
        for driver, ref in ((self.sender, self.source), (self.receiver, self.share)):
            driver.create_share(ref, self.size, _call())

    def _driver(self, name: str, mount: Path) -> BtrfsDriver:
        root, state_dir = mount / "pool", self.directory / f"{name}-state"
        root.mkdir()
        state_dir.mkdir()
        return BtrfsDriver(BackendConfig(name, "bench", (PoolConfig("p", {"path": str(root)}),), state_dir))

    def snapshot(self) -> ObjectRef:
        """A snapshot of the source."""
        ref, call = _name(), _call()
        _finish(lambda: self.sender.create_snapshot(self.source, ref, call))
        return ref

    def receive(self, source: ObjectRef, base: tuple[ObjectRef, ObjectRef] | None) -> tuple[float, ObjectRef, int]:
        """Seconds, name and bytes of one transfer by the driver."""
        ref, call = _name(), _call()
        began = time.perf_counter()
        job = _finish(lambda: self.receiver.receive_snapshot(self.sender, source, ref, self.share, call, base=base))
        return time.perf_counter() - began, ref, job.bytes_moved

    def pipe(self, source: ObjectRef, base: ObjectRef | None) -> tuple[float, Path]:
        """Seconds and folder of one transfer by the plain tools."""
        folder = self.here / f"plain-{uuid.uuid4().hex}"
        folder.mkdir()
        parent = [] if base is None else ["-p", str(self.sender.data_path(base))]
        began = time.perf_counter()
        with subprocess.Popen(
            ["btrfs", "send", "-q", *parent, "--", self.sender.data_path(source)], stdout=subprocess.PIPE
        ) as send:
            received = subprocess.run(["btrfs", "receive", "-q", "--", folder], stdin=send.stdout, check=False)
        run(["btrfs", "filesystem", "sync", "--", folder], timeout=300)
        seconds = time.perf_counter() - began
        if send.returncode or received.returncode:
            raise RuntimeError(f"the plain tools ended with {send.returncode} and {received.returncode}")
        return seconds, folder

    def drop(self, ref: ObjectRef) -> None:
        """Delete a received snapshot."""
        call = _call()
        _finish(lambda: self.receiver.delete_snapshot(ref, call))

    def settle(self) -> None:
        """Wait until the space of what was deleted is free, so that no run pays for the one before."""
        for mount in (self.there, self.here):
            run(["btrfs", "subvolume", "sync", "--", mount], timeout=300)
            run(["btrfs", "filesystem", "sync", "--", mount], timeout=300)

    def empty_caches(self) -> None:
        """Let both ways read from the disk."""
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")


def _measure(report: Report, pools: _Pools, total: int, whole_rounds: int, delta_rounds: int) -> None:
    data = pools.sender.data_path(pools.source)
    for index in range(FILES):
        (data / f"f{index}").write_bytes(os.urandom(total // FILES))
    first = pools.snapshot()
    whole = _pairs(pools, whole_rounds, first, None, None)
    _, copy, _ = pools.receive(first, None)
    _, plain = pools.pipe(first, None)
    for index in range(FILES):
        with (data / f"f{index}").open("r+b") as stream:
            stream.seek(total // FILES // 3)
            stream.write(os.urandom(total // FILES // 100))
    delta = _pairs(pools, delta_rounds, pools.snapshot(), first, copy)
    run(["btrfs", "subvolume", "delete", "--", plain / "data"], timeout=60)
    _add(report, "whole: rate / plain pipe", whole, RATE, [theirs / ours for ours, theirs in whole.pairs()])
    _add(report, "1 % changed: time / plain pipe", delta, TIME, [ours / theirs for ours, theirs in delta.pairs()])


@dataclass
class _Times:
    """Seconds of both ways, pair by pair, and the bytes of one transfer."""

    ours: list[float]
    theirs: list[float]
    moved: int

    def pairs(self) -> Iterator[tuple[float, float]]:
        """Both times of each pair of runs."""
        return zip(self.ours, self.theirs, strict=True)


def _pairs(pools: _Pools, rounds: int, source: ObjectRef, base: ObjectRef | None, copy: ObjectRef | None) -> _Times:
    times = _Times([], [], 0)
    for number in range(rounds):
        for ours in (True, False) if number % 2 else (False, True):
            pools.settle()
            if base is None:  # what changed a moment ago is in memory
                pools.empty_caches()
            if ours:
                pair = None if base is None or copy is None else (base, copy)
                seconds, ref, times.moved = pools.receive(source, pair)
                times.ours.append(seconds)
                pools.drop(ref)
            else:
                seconds, folder = pools.pipe(source, base)
                times.theirs.append(seconds)
                run(["btrfs", "subvolume", "delete", "--", folder / "data"], timeout=60)
    return times


def _add(report: Report, name: str, times: _Times, target: Target, ratios: list[float]) -> None:
    report.add(
        name, statistics.median(ratios), "", target=target, seconds=statistics.median(times.ours),
        plain_seconds=statistics.median(times.theirs), MiB_moved=times.moved / MIB, slowest=max(times.ours),
        plain_slowest=max(times.theirs),
    )  # fmt: skip


@contextlib.contextmanager
def file_system(folder: Path, size: int) -> Iterator[Path]:
    """A btrfs of so many bytes on a loop device; unmounted and gone at the end. Raises DriverError."""
    mount, image = folder / "mount", folder / "image"
    mount.mkdir(parents=True)
    with image.open("wb") as stream:
        stream.truncate(size)
    with contextlib.ExitStack() as undo:
        undo.callback(image.unlink)
        loop = run(["losetup", "--find", "--show", "--direct-io=on", "--", image], timeout=30).stdout.strip()
        undo.callback(run, ["losetup", "--detach", loop], timeout=30)
        run(["mkfs.btrfs", "-q", "--", loop], timeout=60)
        run(["mount", "-t", "btrfs", "-o", "noatime,commit=5", "--", loop, mount], timeout=30)
        undo.callback(run, ["umount", "--", mount], timeout=60)
        yield mount


def _finish(start: Callable[[], Job]) -> Job:
    while (job := start()).state is JobState.RUNNING:
        time.sleep(PAUSE)
    if job.state is not JobState.DONE:
        raise RuntimeError(f"a job ended as {job.state}: {job.message}")
    return job


def _name() -> ObjectRef:
    return ObjectRef("p", object_name(uuid.uuid4()))


def _call() -> Call:
    return Call("bench", f"op-{uuid.uuid4()}", "step", 1)
