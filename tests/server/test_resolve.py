"""Finding and building the server binary. A stand-in for Go makes builds short; one test uses the real one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from shareflow.errors import ServerUnavailable
from shareflow.server import pins, provision
from shareflow.server.resolve import MODULE_DIR, cache_dir, cached_binaries, find_temporal

GOOD = f"temporal version {pins.BUILT_CLI_VERSION} (Server {pins.SERVER_VERSION}, UI 2.50.1)"
OLD = "temporal version 1.7.0 (Server 1.31.0, UI 2.49.1)"
FIND = """
import sys
from shareflow.server.resolve import find_temporal
print("found", find_temporal(report=lambda line: print("said", line, flush=True), may_download=False), flush=True)
"""


class Machine:
    """A machine of its own: PATH, cache and toolchain are the test's."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.builds = root / "builds"
        self.environ = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "XDG_CACHE_HOME": str(root / "cache"),
            "HOME": str(root),
            "PYTHONPATH": str(MODULE_DIR.parents[1]),
        }
        self.said: list[str] = []

    def put(self, name: str, script: str) -> Path:
        """A program on this machine's PATH."""
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    def put_go(self, version: str = GOOD, *, seconds: float = 0.0) -> None:
        """A toolchain whose build takes some seconds and makes a program that calls itself ``version``."""
        self.put(
            "go",
            f"echo build >> {self.builds}\n"
            'while [ "$1" != -o ]; do shift; done\n'
            'printf "half" > "$2"\n'
            f"sleep {seconds}\n"
            f'printf \'#!/bin/sh\\necho "{version}"\\n\' > "$2"; chmod +x "$2"',
        )

    @property
    def cached(self) -> Path:
        """Where this machine keeps the build from source."""
        return cached_binaries(self.environ)[0]

    def find(self) -> Path:
        """Find the binary as this machine would, without internet."""
        return find_temporal(report=self.said.append, environ=self.environ, may_download=False)

    def find_elsewhere(self) -> subprocess.Popen[str]:
        """The same in another process."""
        return subprocess.Popen(
            [sys.executable, "-c", FIND], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has nothing."""
    return Machine(tmp_path)


def test_named_binary_that_is_not_there_is_an_error_that_names_it(machine: Machine) -> None:
    """A wish that cannot be kept is not silently replaced by another binary."""
    machine.put_go()
    machine.environ["TEMPORAL_CLI"] = "/nowhere/temporal"
    with pytest.raises(ServerUnavailable, match="TEMPORAL_CLI: /nowhere/temporal does not start") as caught:
        machine.find()
    assert caught.value.hint == "correct or unset TEMPORAL_CLI"
    assert not machine.builds.exists()


def test_named_binary_with_an_old_server_is_an_error_that_says_what_is_needed(machine: Machine) -> None:
    """The version of the server inside decides, not that of the command."""
    machine.environ["TEMPORAL_CLI"] = str(machine.put("old", f"echo '{OLD}'"))
    with pytest.raises(ServerUnavailable, match=r"has server 1\.31\.0, and 1\.32 or newer is needed"):
        machine.find()


def test_binary_on_path_that_is_new_enough_is_taken(machine: Machine) -> None:
    """An installed CLI saves the build."""
    machine.put_go()
    program = machine.put("temporal", f"echo '{GOOD}'")
    assert machine.find() == program
    assert not machine.builds.exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [(f"echo '{OLD}'", "has server 1.31.0"), ("echo hello", "does not name a Temporal server: 'hello'")],
)
def test_binary_on_path_that_is_no_good_is_skipped_with_the_reason(machine: Machine, script: str, reason: str) -> None:
    """The user hears why the command that they have is not used, and gets one that works."""
    machine.put("temporal", script)
    machine.put_go()
    assert machine.find() == machine.cached
    assert any("Skipping" in line and reason in line for line in machine.said), machine.said


def test_second_search_takes_the_cache_and_builds_nothing(machine: Machine) -> None:
    """The build happens once."""
    machine.put_go()
    first = machine.find()
    machine.said.clear()
    assert machine.find() == first == machine.cached
    assert machine.builds.read_text() == "build\n"
    assert machine.said == []


def test_build_leaves_the_binary_and_nothing_else(machine: Machine) -> None:
    """Temporary names do not pile up in the cache."""
    machine.put_go()
    built = machine.find()
    assert os.access(built, os.X_OK)
    assert [path.name for path in built.parent.iterdir()] == ["temporal"]


def test_build_that_made_another_version_is_refused_and_not_kept(machine: Machine) -> None:
    """What was built is asked for its version before it may be used."""
    machine.put_go(OLD)
    with pytest.raises(ServerUnavailable, match=r"what was made is CLI 1\.7\.0 with server 1\.31\.0"):
        machine.find()
    assert not machine.cached.exists()


def test_build_that_fails_shows_the_end_of_its_output(machine: Machine) -> None:
    """The reason of the toolchain reaches the user."""
    machine.put("go", "echo 'go: no route to the module proxy' >&2; exit 1")
    with pytest.raises(ServerUnavailable, match="building failed: go: no route to the module proxy"):
        machine.find()


def test_machine_without_anything_is_told_all_that_was_tried_and_what_to_install(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last failure is a list of the ways, and the hint names what would open one."""
    monkeypatch.setattr(provision, "find_go", lambda _: None)
    with pytest.raises(ServerUnavailable) as caught:
        machine.find()
    for way in ("TEMPORAL_CLI is not set", "no `temporal` on PATH", "none in the cache", "no Go toolchain"):
        assert way in caught.value.message
    assert f"install Go {pins.GO_VERSION}" in caught.value.hint
    assert "TEMPORAL_ADDRESS" in caught.value.hint


def test_cache_that_cannot_be_written_is_named(machine: Machine, tmp_path: Path) -> None:
    """A broken home directory gives one clear line instead of a traceback."""
    (tmp_path / "file").touch()
    machine.environ["XDG_CACHE_HOME"] = str(tmp_path / "file")
    machine.put_go()
    with pytest.raises(ServerUnavailable, match=r"the cache .*file/shareflow/temporal cannot be written"):
        machine.find()


def test_relative_cache_variable_is_ignored() -> None:
    """The XDG rules say so; else the cache would move with the working directory."""
    assert cache_dir({"XDG_CACHE_HOME": "here"}) == Path.home() / ".cache" / "shareflow" / "temporal"


def test_two_processes_at_once_build_once_and_the_second_says_that_it_waits(machine: Machine) -> None:
    """Processes that start together do not break each other and share one build."""
    machine.put_go(seconds=1.0)
    both = [machine.find_elsewhere(), machine.find_elsewhere()]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(f"found {machine.cached}" in output for output in outputs)
    assert machine.builds.read_text() == "build\n"
    assert sum("Another process is getting the Temporal server" in output for output in outputs) == 1


def test_killed_in_the_middle_of_a_build_leaves_nothing_half_and_the_next_one_succeeds(machine: Machine) -> None:
    """SIGKILL while the toolchain writes: no binary under the final name, no toolchain left, no litter afterwards."""
    machine.put_go(seconds=30.0)
    process = machine.find_elsewhere()
    _wait_for(lambda: any(machine.cached.parent.glob("tmp-*/temporal")))
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert not machine.cached.exists()
    _wait_for(lambda: not any(child.name() == "go" for child in _living(started)))
    machine.put_go()
    assert machine.find() == machine.cached
    assert [path.name for path in machine.cached.parent.iterdir()] == ["temporal"]
    for left in _living(started):
        left.kill()


def test_interrupted_build_ends_the_toolchain_with_all_it_started(machine: Machine) -> None:
    """Ctrl-C leaves no compiler running."""
    machine.put_go(seconds=30.0)
    process = machine.find_elsewhere()
    _wait_for(lambda: any(machine.cached.parent.glob("tmp-*/temporal")))
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode != 0
    _wait_for(lambda: not _living(started))
    assert list(machine.cached.parent.iterdir()) == []


def test_constants_and_module_pin_the_same_versions() -> None:
    """The versions that are looked for are those that the module builds."""
    module = (MODULE_DIR / "go.mod").read_text(encoding="utf-8")
    assert f"\ngo {pins.GO_VERSION}\n" in module
    assert f"\tgithub.com/temporalio/cli v{pins.BUILT_CLI_VERSION} " in module
    assert f"\tgo.temporal.io/server v{pins.SERVER_VERSION} " in module
    assert f"tool {pins.COMMAND_PACKAGE}\n" in module
    assert tuple(map(int, pins.SERVER_VERSION.split(".")))[:2] >= pins.MINIMUM_SERVER


@pytest.mark.slow
@pytest.mark.timeout(1900)
def test_real_toolchain_builds_the_pinned_server(tmp_path: Path) -> None:
    """The module, its checksums and the flags give the binary that the constants name."""
    if provision.find_go(os.environ) is None:
        pytest.skip(f"needs Go {pins.GO_VERSION} or newer")
    target = tmp_path / "temporal"
    provision.build(target, MODULE_DIR, os.environ, print)
    version = provision.ask_version(target)
    assert (version.cli, version.server_text) == (pins.BUILT_CLI_VERSION, pins.SERVER_VERSION)


def _living(processes: list[psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def _wait_for(condition: Callable[[], bool], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)
