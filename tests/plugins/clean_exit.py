"""How a test run begins and ends: tests whose tools are missing are skipped loudly, and the process ends at once.

Loaded by ``tests/conftest.py``.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from shareflow import doctor
from shareflow.process import leave

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

SESSION = pytest.StashKey[pytest.Session]()
SUMMARY = "summary"
"""Property of a test whose value is printed at the end of the run, also when another process ran the test."""
_SETTLE = 0.5


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked ``needs(name, ...)`` where the doctor does not find one of them."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            found = doctor.finding(name)
            if not found.ok:
                pytest.skip(f"needs {name}: {found.detail}; to have it: {found.install}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember the session, whose exit status is only known at the end."""
    session.config.stash[SESSION] = session


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say what this run did not prove, so that a green run on a poor machine is not taken for a whole one."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for line in (str(value) for name, value in report.user_properties if name == SUMMARY):
            terminalreporter.line(line)
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(_reason(report) for report in skipped)
    if reasons:
        terminalreporter.section(f"NOT PROVED HERE: {len(skipped)} tests were skipped", sep="!", red=True, bold=True)
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5d} x {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process before the interpreter shuts down.

    Threads of the Temporal SDK outlive the interpreter and can crash it after a green run; see
    :func:`shareflow.process.leave`. A worker of a distributed run still has to speak with its master, so it only gives
    those threads the time to settle.
    """
    session = config.stash.get(SESSION, None)
    if session is None:
        return
    if hasattr(config, "workerinput"):
        time.sleep(_SETTLE)
        return
    leave(int(session.exitstatus))


def _reason(report: pytest.TestReport) -> str:
    where = report.longrepr
    text = str(where[2]) if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ")
