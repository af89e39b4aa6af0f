"""The pytest plugin behind ``python -m drivers.conformance``: reads the options file and gives the suite its driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.conformance import ASSERTING_MODULES
from drivers.conformance.under_test import DriverUnderTest, load_driver, load_options

pytest.register_assert_rewrite(*ASSERTING_MODULES)  # again: the package may have been imported before pytest ran


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line; :mod:`drivers.conformance.__main__` fills them."""
    group = parser.getgroup("driver conformance")
    group.addoption("--conformance-driver", metavar="MODULE:CLASS", help="driver class to test")
    group.addoption("--conformance-options", metavar="FILE", type=Path, help="YAML file that describes the backend")


@pytest.fixture(scope="session")
def conformance_state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state directory for the whole run, as a worker has one."""
    return tmp_path_factory.mktemp("conformance") / "state"


@pytest.fixture
def driver_under_test(request: pytest.FixtureRequest, conformance_state_dir: Path) -> Iterator[DriverUnderTest]:
    """The driver that the command line names."""
    conformance_state_dir.mkdir(exist_ok=True)
    file = request.config.getoption("--conformance-options") or Path("no-options-file")
    try:
        driver = load_driver(request.config.getoption("--conformance-driver") or "")
        target = load_options(driver, file, conformance_state_dir)
    except (ValueError, OSError) as error:
        pytest.exit(f"conformance: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    yield target
    target.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested because the driver does not declare it."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            reasons[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}", yellow=True)
