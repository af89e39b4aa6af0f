"""Name the system packages that the tests use and this machine lacks; as root on Debian, install them.

Services are never started. Ends with 0 whatever is missing: what needs it is skipped loudly by the tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from shareflow.doctor import TOOLS, Tool, install_command
from shareflow.process import leave

POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTER_CONFIG = Path("/etc/postgresql-common/createcluster.conf")
_APT_LIMIT = 900


def missing_tools() -> list[Tool]:
    """The tools that the tests need and that are not here."""
    return [tool for tool in TOOLS if not tool.optional and tool.missing()]


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """While packages are installed: no service is started, and no PostgreSQL cluster is made for one."""
    made = []
    for path, text, mode in (
        (POLICY, "#!/bin/sh\nexit 101\n", 0o755),
        (CLUSTER_CONFIG, "create_main_cluster = false\n", 0o644),
    ):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
            path.chmod(mode)
            made.append(path)
    try:
        yield
    finally:
        if POLICY in made:
            POLICY.unlink()


def apt(*arguments: str) -> bool:
    """Run apt-get without questions; whether it succeeded. Its errors go to the terminal."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    options = ["-qq", "-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
    try:
        done = subprocess.run(
            ["apt-get", *options, *arguments],
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=_APT_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def install(tools: list[Tool]) -> None:
    """Install the packages of these tools."""
    packages = sorted({tool.package for tool in tools})
    print(f"packages: installing {' '.join(packages)} (apt-get; up to a few minutes) ...", flush=True)
    with no_services():
        apt("update")
        # One package that cannot be had must not keep the others away.
        if not apt("install", "--no-install-recommends", *packages):
            for package in packages:
                apt("install", "--no-install-recommends", package)


def main() -> int:
    """Install or name what is missing."""
    tools = missing_tools()
    if tools and os.geteuid() == 0 and shutil.which("apt-get"):
        install(tools)
        tools = missing_tools()
    for tool in tools:
        lacks = ", ".join(tool.missing())
        print(f"packages: {lacks} not found; SKIPPED without it: {tool.needed_for}", file=sys.stderr)
    if tools:
        packages = sorted({tool.package for tool in tools})
        print(f"packages: to install what is missing: {install_command(*packages)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    leave(main())
