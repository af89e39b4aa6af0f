"""What all tests share: the embedded server with time skipping, one world on fake backends, a real PostgreSQL."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from inventory import audit
from shareflow import faults
from shareflow.server.devserver import DevServer, DevServerSettings
from shareflow.server.resolve import find_temporal
from tests.support.quick import quick_directory
from tests.support.world import World, running_world

pytest_plugins = ["tests.plugins.clean_exit"]

# A shell without job control starts what runs in the background deaf to Ctrl-C, and every child inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a failure is one of the change; `make test-all` looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("searching", print_blob=True)
settings.load_profile(os.environ.get("SHAREFLOW_HYPOTHESIS", "repeatable"))


# One server lives through the whole session and outgrows the heap that it is held to elsewhere.
os.environ.setdefault("GOMEMLIMIT", "1GiB")
os.environ.setdefault("GOGC", "200")


def pytest_collection_finish() -> None:
    """Ten thousand collected tests stay to the end: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def temporal_binary() -> Path:
    """The Temporal command, found or built once."""
    return find_temporal(report=print)


@pytest.fixture(scope="session")
async def server(temporal_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    """One dev server for the session, with time skipping."""
    log = tmp_path_factory.mktemp("server") / "log"
    with quick_directory() as directory:
        settings = DevServerSettings(
            binary=temporal_binary, database=directory / "temporal.db", log_file=log, time_skipping=True
        )
        async with DevServer(settings) as running:
            yield running


@pytest.fixture(scope="session")
async def world(server: DevServer) -> AsyncIterator[World]:
    """One world on fake backends for the session; every test uses a project of its own."""
    with quick_directory() as directory:
        async with running_world(server.address, directory) as running:
            yield running
            with running.database.read() as connection:
                assert audit.broken_chains(connection) == []


@pytest.fixture
def disarmed() -> Iterator[None]:
    """Nothing is armed before and after the test."""
    faults.disarm()
    yield
    faults.disarm()
