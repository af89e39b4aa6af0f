"""What this machine can do, and what to install for the rest. Looks only; changes nothing."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from temporalio.envconfig import ClientConfigProfile

from shareflow.contracts.units import format_size
from shareflow.server import pins, provision
from shareflow.server.resolve import CLI_VARIABLE, cached_binaries

MINIMUM_PYTHON = (3, 11)
MINIMUM_SQLITE = (3, 37, 0)
MINIMUM_FREE = 2 * 1024**3
_CONNECT_LIMIT = 1.0
_TOOL_LIMIT = 5.0
_VERSION = re.compile(r"v?\d+(?:\.\d+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: stable name, for scripts.
        ok: it is there and good enough.
        detail: what was found, with versions and paths, or what is missing.
        needed_for: what does not work without it.
        install: the command or step that brings it; empty when it is there.
        optional: nothing of the product itself is lost without it.
    """

    name: str
    ok: bool
    detail: str
    needed_for: str
    install: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of the system: the commands that must be there, and the Debian package that brings them."""

    name: str
    commands: tuple[str, ...]
    package: str
    needed_for: str
    optional: bool = False

    def missing(self) -> list[str]:
        """The commands that are not there."""
        return [command for command in self.commands if find_command(command) is None]

    def examine(self) -> Finding:
        """Whether all commands are there."""
        missing = self.missing()
        if missing:
            detail = f"not found: {', '.join(missing)}"
            return Finding(self.name, False, detail, self.needed_for, install_command(self.package), self.optional)
        found = find_command(self.commands[0])
        return Finding(self.name, True, f"{found}{_version_of(found)}", self.needed_for, "", self.optional)


TOOLS: tuple[Tool, ...] = (
    Tool("rsync", ("rsync",), "rsync", "fast copies between pools (a built-in copier takes its place)"),
    Tool("acl-tools", ("getfacl", "setfacl"), "acl", "the tests of copies with access control lists"),
    Tool("attr-tools", ("getfattr", "setfattr"), "attr", "the tests of copies with extended attributes"),
    Tool("btrfs-progs", ("btrfs", "mkfs.btrfs"), "btrfs-progs", "the btrfs driver"),
    Tool("postgresql", ("initdb", "postgres", "pg_ctl"), "postgresql", "the tests against a PostgreSQL inventory"),
    Tool("chromium", ("chromium",), "chromium", "the tests that look at the web UI in a browser", optional=True),
)
"""Programs that Shareflow or its tests use beyond Python packages and the Temporal server."""


def examine(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Look at everything. Takes well under two seconds and changes nothing. Raises nothing.

    Args:
        environ: the environment to look at, by default this process's.
    """
    environ = os.environ if environ is None else environ
    tools = [tool.examine() for tool in TOOLS]
    return [
        _python(),
        _server(environ),
        _sqlite(),
        Finding("driver-directory", True, "works on any file system, without root", "the embedded default backend"),
        _btrfs_driver(),
        *tools,
        _disk(),
    ]


def finding(name: str) -> Finding:
    """The finding of that name. Raises KeyError when there is none."""
    for tool in TOOLS:
        if tool.name == name:
            return tool.examine()
    return {found.name: found for found in examine()}[name]


def find_command(command: str) -> str | None:
    """The path of a command: on PATH, where root's tools are, or where Debian keeps those of PostgreSQL."""
    found = shutil.which(command) or shutil.which(command, path="/usr/local/sbin:/usr/sbin:/sbin")
    if found:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_postgres_version, reverse=True)
    return next((str(path / command) for path in versions if os.access(path / command, os.X_OK)), None)


def install_command(*packages: str) -> str:
    """The command that installs Debian packages, or a plain sentence on other systems."""
    if shutil.which("apt-get"):
        prefix = "" if _root() else "sudo "
        return f"{prefix}apt-get install --no-install-recommends {' '.join(packages)}"
    return f"install {', '.join(packages)} with this system's package manager"


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, MINIMUM_PYTHON))
    ok = sys.version_info >= MINIMUM_PYTHON
    return Finding(
        "python", ok, f"{version}, {sys.executable}", "everything", "" if ok else f"Python {wanted} or newer"
    )


def _server(environ: Mapping[str, str]) -> Finding:
    name, needed = "temporal-server", "everything that changes a share"
    address = _configured_address(environ)
    if address:
        ok = _answers(address)
        detail = f"{address} is configured and {'answers' if ok else 'does not answer'}"
        return Finding(name, ok, detail, needed, "" if ok else "start that server, or unset TEMPORAL_ADDRESS")
    given = environ.get(CLI_VARIABLE, "") or shutil.which("temporal", path=environ.get("PATH", os.defpath)) or ""
    unusable = ""
    if given:
        try:
            version = provision.ask_version(Path(given))
        except provision.NotProvided as reason:
            unusable = f"{reason}; "
        else:
            if version.server[:2] >= pins.MINIMUM_SERVER:
                return Finding(name, True, f"{given}: CLI {version.cli}, server {version.server_text}", needed)
            unusable = f"{given} has server {version.server_text}, which is too old; "
        if environ.get(CLI_VARIABLE):
            return Finding(name, False, unusable.removesuffix("; "), needed, f"correct or unset {CLI_VARIABLE}")
    for binary in cached_binaries(environ):
        if os.access(binary, os.X_OK):
            return Finding(name, True, f"{unusable}in the cache: {binary}", needed)
    return _server_to_get(name, needed, unusable, provision.find_go(environ))


def _server_to_get(name: str, needed: str, unusable: str, go: Path | None) -> Finding:
    if go is not None:
        detail = f"{unusable}none yet; the first start downloads it or builds it with {go} (3 to 5 minutes)"
        return Finding(name, True, detail, needed)
    hint = f"internet access at the first start, or Go {pins.GO_VERSION} or newer, or a `temporal` command on PATH"
    return Finding(name, False, f"{unusable}none here, and no Go toolchain to build one", needed, hint)


def _configured_address(environ: Mapping[str, str]) -> str:
    """The server that variables or a profile name, as every Temporal client reads them."""
    try:
        profile = ClientConfigProfile.load(override_env_vars=dict(environ))
    except (RuntimeError, ValueError, OSError):
        return environ.get("TEMPORAL_ADDRESS", "")
    return profile.address or ""


def _answers(address: str) -> bool:
    host, _, port = address.removeprefix("http://").removeprefix("https://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_LIMIT):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _sqlite() -> Finding:
    wanted = ".".join(map(str, MINIMUM_SQLITE))
    ok = sqlite3.sqlite_version_info >= MINIMUM_SQLITE
    hint = "" if ok else f"a Python that is built with SQLite {wanted} or newer"
    return Finding("sqlite", ok, f"SQLite {sqlite3.sqlite_version}", "the embedded inventory", hint)


def _btrfs_driver() -> Finding:
    name, needed = "driver-btrfs", "real enforced quotas, instant snapshots and clones"
    lacks = []
    if not _root():
        lacks.append(("it needs root", "run as root"))
    if not _kernel_has_btrfs():
        lacks.append(("the kernel has no btrfs", "a kernel with btrfs"))
    if not Path("/dev/loop-control").exists():
        lacks.append(("there is no /dev/loop-control for loop files", "load the kernel module `loop`"))
    missing = [tool for tool in TOOLS if tool.name == "btrfs-progs" and tool.missing()]
    lacks += [(f"{tool.package} is missing", install_command(tool.package)) for tool in missing]
    if not lacks:
        return Finding(name, True, "root, kernel support, tools and loop devices are there", needed)
    return Finding(name, False, "; ".join(lack for lack, _ in lacks), needed, "; ".join(step for _, step in lacks))


def _kernel_has_btrfs() -> bool:
    """Built in, loaded, or there as a module that mounting would load."""
    try:
        listed = Path("/proc/filesystems").read_text(encoding="ascii", errors="replace").split()
        if "btrfs" in listed:
            return True
        modules = Path("/lib/modules") / os.uname().release
        known = (modules / "modules.dep").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "/btrfs.ko" in known


def _disk() -> Finding:
    where = Path(tempfile.gettempdir())
    free = shutil.disk_usage(where).free
    ok = free >= MINIMUM_FREE
    hint = "" if ok else f"free some space, or set TMPDIR to a disk with {format_size(MINIMUM_FREE)}"
    return Finding("disk", ok, f"{format_size(free)} free in {where}", "state files, tests and the first build", hint)


def _version_of(program: str | None) -> str:
    """A comma and what ``--version`` says first, or nothing."""
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TOOL_LIMIT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout)
    return f", {found[0].removeprefix('v')}" if found else ""


def _postgres_version(bin_dir: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in bin_dir.parent.name.split(".") if part.isdigit())


def _root() -> bool:
    return os.geteuid() == 0
