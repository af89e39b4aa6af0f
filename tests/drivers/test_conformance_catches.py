"""The conformance suite fails on deliberately wrong drivers, and its command says what is wrong with its arguments."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

import drivers.conformance.suite
from drivers.conformance import DriverUnderTest
from drivers.conformance.__main__ import main
from drivers.contract import BackendConfig, PoolConfig
from drivers.fake import FakeClient, FakeDriver, fake_array, forget_array
from tests.drivers import wrong_qos, wrong_transfers
from tests.drivers.wrong_drivers import wrong_drivers

SUITE = Path(drivers.conformance.suite.__file__)
ROOT = SUITE.parents[2]
POOLS = (PoolConfig("p1", {"capacity": "1 GiB"}, {"media": "ssd"}), PoolConfig("p2"))
QUIET = (
    "-c", "/dev/null", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:timeout",
    "-p", "no:xdist", "-p", "no:faulthandler", "-p", "no:logging", "-p", "no:unraisableexception",
)  # fmt: skip


class Recorder:
    """A pytest plugin inside this process: gives the suite its driver and keeps the outcome of every test."""

    def __init__(self, target: DriverUnderTest) -> None:
        self._target = target
        self.failed: dict[str, str] = {}
        self.passed: set[str] = set()

    @pytest.fixture
    def driver_under_test(self) -> DriverUnderTest:
        return self._target

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            self.failed.setdefault(name, report.longreprtext)
        elif report.when == "call" and report.passed:
            self.passed.add(name)


def run_suite(driver: Any, client: Any, options: dict[str, object], tmp_path: Path, *select: str) -> Recorder:
    """Run the named tests of the suite on a driver class in this process."""
    state_dir, deployment = tmp_path / "deep" / "state", f"wrong-{uuid.uuid4()}"
    state_dir.mkdir(parents=True)
    target = DriverUnderTest(
        driver, BackendConfig("w", deployment, POOLS, state_dir, options), job_timeout=2.0, client=client
    )
    recorder = Recorder(target)
    pytest.main([*QUIET, f"--rootdir={tmp_path}", str(SUITE), "-k", " or ".join(select)], [recorder])
    forget_array(fake_array(deployment, "w"))
    return recorder


def test_wrong_drivers_of_every_module_are_tried() -> None:
    """They are found as subclasses, wherever they are written."""
    assert {wrong_qos.AddsLimits, wrong_transfers.TakesAnyBase} <= set(wrong_drivers())


@pytest.mark.parametrize("driver", wrong_drivers(), ids=lambda driver: driver.__name__)
def test_wrong_driver_fails_the_tests_of_the_promise_it_breaks(driver: Any, tmp_path: Path) -> None:
    """A driver that breaks a promise does not pass."""
    run = run_suite(driver, driver.client, driver.options, tmp_path, *driver.caught_by)
    missed = [name for name in driver.caught_by if name not in run.failed]
    assert not missed, f"passed on {driver.__name__}: {missed}"


def test_right_driver_passes_every_test_that_catches_a_wrong_one(tmp_path: Path) -> None:
    """The tests above fail because of the faults, not by themselves."""
    names = {name for driver in wrong_drivers() for name in driver.caught_by}
    run = run_suite(FakeDriver, FakeClient, {"clone_seconds": 0.05, "revert_seconds": 0.05}, tmp_path, *sorted(names))
    assert run.failed == {}
    assert names <= run.passed


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the documented command."""
    return subprocess.run(
        [sys.executable, "-m", "drivers.conformance", *arguments], cwd=cwd, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def exit_status(*arguments: str) -> int:
    """Run the command in this process."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(str(end.code))


@pytest.fixture
def options_file(tmp_path: Path) -> Path:
    """A complete options file for the fake driver."""
    file = tmp_path / "options.yaml"
    file.write_text(
        f"name: cmd\noptions: {{store: disk, path: {tmp_path}/array}}\nshare_size: 8 MiB\njob_timeout: 30\n"
        "pools:\n- name: p1\n  options: {capacity: 1 GiB}\n  attributes: {media: ssd, zones: [a, b]}\n"
        "client: drivers.fake:FakeClient\n"
    )
    return file


def test_documented_command_passes_a_right_driver(options_file: Path) -> None:
    """One command, exit status 0, nothing skipped for a driver that can do everything."""
    done = command("--driver", "drivers.fake:FakeDriver", "--options", str(options_file), "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_documented_command_fails_a_wrong_driver_and_shows_the_values(options_file: Path) -> None:
    """Exit status 1, with the assert's values in the output."""
    done = command(
        "--driver", "tests.drivers.wrong_drivers:LosesTags", "--options", str(options_file), "-k", "TestObserve"
    )  # fmt: skip
    assert done.returncode == 1
    assert "test_tags_follow_the_last_change" in done.stdout
    assert "AssertionError: assert (''" in done.stdout


@pytest.mark.parametrize(
    ("driver", "text", "said"),
    [
        ("drivers.fake", "pools: [{name: p}]", "write package.module:Name"),
        ("drivers.nowhere:Driver", "pools: [{name: p}]", "cannot be loaded"),
        ("drivers.fake:FakeClient", "pools: [{name: p}]", "is not a subclass"),
        ("drivers.fake:FakeDriver", "pools: []", "'pools' must be a list"),
        ("drivers.fake:FakeDriver", "pols: [{name: p}]", "unknown key 'pols'"),
        ("drivers.fake:FakeDriver", "pools: [{name: p, size: 3}]", "unknown key 'size'"),
        ("drivers.fake:FakeDriver", "pools: [{name: ''}]", "'name' must be text"),
        ("drivers.fake:FakeDriver", "pools: [{name: p}]\nshare_size: 1 GB", "did you mean GiB"),
        ("drivers.fake:FakeDriver", "pools: [{name: p}]\njob_timeout: -1", "'job_timeout' must be"),
        ("drivers.fake:FakeDriver", "pools: [{name: p}]\nclient: x", "does not name a client"),
        ("drivers.fake:FakeDriver", "a: b: c", "is not YAML"),
    ],
)
def test_wrong_use_of_the_command_is_explained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], driver: str, text: str, said: str
) -> None:
    """Wrong arguments end the run at once with the value that was wrong."""
    file = tmp_path / "options.yaml"
    file.write_text(text)
    assert exit_status("--driver", driver, "--options", str(file), "-q") not in {0, 1}
    shown = capfd.readouterr()
    assert said in shown.out + shown.err


def test_missing_options_file_is_explained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The file that is missing is named."""
    assert exit_status("--driver", "drivers.fake:FakeDriver", "--options", str(tmp_path / "none.yaml")) == 2
    assert "none.yaml" in capfd.readouterr().err
