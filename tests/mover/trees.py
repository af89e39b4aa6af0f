"""Trees to copy, and small steps that the tests of the mover share."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.contract import Job, JobState
from drivers.mover import Mover

ENGINES = [
    "builtin",
    pytest.param("rsync", marks=pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")),
]
ODD_NAMES = (b"new\nline", b"not-utf8-\xff\xfe", "ünï-名前".encode(), b" lead and trail ", b"-rf", b"*", b"\\", b"a:b")
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # a version 2 capability: cap_net_raw, effective


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An ACL as the kernel keeps it: version 2, then tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def user_acl(uid: int) -> bytes:
    """Owner rwx, one named user rx, group r, mask rx, others nothing."""
    nobody = 0xFFFFFFFF
    return acl((0x01, 7, nobody), (0x02, 5, uid), (0x04, 4, nobody), (0x10, 5, nobody), (0x20, 0, nobody))


def make_torture_tree(root: Path) -> None:
    """Every kind of object and metadata that a copy can lose; what needs root is there for root only."""
    (root / "plain").write_bytes(b"plain content\n" * 100)
    (root / "empty").touch()
    (root / "deep" / "er" / "est").mkdir(parents=True)
    (root / "deep" / "er" / "est" / "file").write_text("deep")
    (root / "no-mode").write_text("x")
    (root / "no-mode").chmod(0o400)
    os.link(root / "plain", root / "deep" / "hard link")
    (root / "dangling").symlink_to("no/where")
    (root / "to-dir").symlink_to("deep")
    os.link(root / "dangling", root / "deep" / "linked-symlink", follow_symlinks=False)
    os.mkfifo(root / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)  # socket addresses are short
        sock.bind("socket")
        os.chdir(here)
    with (root / "sparse").open("wb") as file:
        file.truncate(32 << 20)
        file.seek(8 << 20)
        file.write(b"island" * 1000)
    for name in ODD_NAMES:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    os.setxattr(root / "plain", "user.color", b"blue\0binary")
    os.setxattr(root / "deep", "user.dir", b"1")
    os.setxattr(root / "deep" / "er", "system.posix_acl_default", user_acl(12345))
    os.setxattr(root / "empty", "system.posix_acl_access", user_acl(23456))
    (root / "suid").write_text("#!/bin/true\n")
    (root / "suid").chmod(0o6755)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    if os.geteuid() == 0:
        _add_privileged_objects(root)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(10**18 + number, 1_234_567_890_000_000_000 + number * 1_000_001), follow_symlinks=False)
    os.utime(root, ns=(1, 999_999_999_999_999_999))


def _add_privileged_objects(root: Path) -> None:
    os.mknod(root / "chardev", stat.S_IFCHR | 0o620, os.makedev(1, 3))
    os.mknod(root / "blockdev", stat.S_IFBLK | 0o600, os.makedev(7, 250))
    os.chown(root / "deep" / "er" / "est", 1234, 5678)
    os.chown(root / "dangling", 4321, 8765, follow_symlinks=False)
    os.chown(root / "suid", 1234, 5678)
    (root / "suid").chmod(0o6755)
    os.setxattr(root / "fifo", "trusted.note", b"on a fifo")
    os.setxattr(root / "to-dir", "trusted.note", b"on a link", follow_symlinks=False)
    (root / "capable").write_text("binary")
    os.setxattr(root / "capable", "security.capability", NET_RAW)


def fill(root: Path, small: int, small_size: int, big_size: int) -> None:
    """Small files in order, then one big one, all with content of their own."""
    root.mkdir(exist_ok=True)
    for number in range(small):
        (root / f"a{number:03}").write_bytes(os.urandom(small_size))
    if big_size:
        (root / "z-big").write_bytes(os.urandom(big_size))


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until the condition holds; fails with what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def wait_final(mover: Mover, job: str, seconds: float = 30.0) -> Job:
    """The job when it has ended."""
    end = time.monotonic() + seconds
    while True:
        found = mover.poll(job)
        assert found is not None
        if found.state is not JobState.RUNNING:
            return found
        if time.monotonic() > end:
            pytest.fail(f"the job still runs after {seconds} s: {found}")
        time.sleep(0.005)


def processes_of(root: Path) -> list[int]:
    """Live processes whose command line names something under ``root``."""
    needle = os.fsencode(root)
    running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted(pid for pid in running if pid != os.getpid() and needle in _command_line(pid))


def child_of(root: Path) -> int:
    """The process of the only job that runs on a tree under ``root``; it may be about to begin."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [pid for pid in processes_of(root) if b"drivers.mover.child" in _command_line(pid)]
        return len(found) == 1  # one that is about to become another program has its parent's name for a moment

    wait_for(is_there, "the child, and no other", 20)
    return found[0]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def inodes(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and change time of everything under ``root``: equal means that nothing was written."""
    states = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*")}
    return {path: (state.st_ino, state.st_ctime_ns) for path, state in states.items()}


def rsync_differences(source: Path, target: Path) -> str:
    """What rsync, as an independent judge, would still change."""
    run = subprocess.run(
        ["rsync", "-aHAXSn", "--numeric-ids", "-c", "--delete", "-i", "--", f"{source}/", f"{target}/"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return run.stdout.decode("utf-8", "replace")
