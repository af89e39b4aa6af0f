"""What a caller sees when the server or the worker is not there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import shareflow
from shareflow.contracts.steps import OperationStatus
from shareflow.server.devserver import DevServer, DevServerSettings
from tests.support.world import running_world


@pytest.fixture
async def own_server(temporal_binary: Path, tmp_path: Path) -> AsyncIterator[DevServer]:
    """A server that a test may kill."""
    async with DevServer(DevServerSettings(binary=temporal_binary, database=tmp_path / "temporal.db")) as running:
        yield running


async def test_wait_for_a_result_survives_the_death_of_server_and_worker(own_server: DevServer, tmp_path: Path) -> None:
    """``kill -9`` of the server and a missing worker delay a result; they do not lose it."""
    async with shareflow.connect(own_server.address) as shares:
        operation = await shares.create("home", 4096)
        waiting = asyncio.create_task(operation.result())
        await asyncio.sleep(0.2)
        own_server.kill()
        await asyncio.sleep(0.5)
        await own_server.start()
        async with running_world(own_server.address, tmp_path / "world"):
            assert (await asyncio.wait_for(waiting, 60)).size == 4096


async def test_absent_worker_is_a_clear_error_and_never_an_endless_wait(own_server: DevServer) -> None:
    """Without a worker reads fail in about 10 s with the next step, and watching says what is missing."""
    async with shareflow.connect(own_server.address) as shares:
        operation = await shares.create("home", 1)
        started = time.monotonic()
        statuses = operation.progress()
        read, first = await asyncio.gather(shares.get("home"), anext(statuses), return_exceptions=True)
        await statuses.aclose()
    assert isinstance(read, shareflow.BackendUnavailable)
    assert "no worker answers on queue shareflow" in str(read)
    assert "shareflow up" in read.hint
    assert isinstance(first, OperationStatus)
    assert (first.phase, first.waiting_for) == ("waiting", "no worker answers on queue shareflow")
    assert time.monotonic() - started < 20


async def test_absent_server_is_a_clear_error_within_ten_seconds(own_server: DevServer) -> None:
    """A dead server gives SF400 with its address, at connecting and later."""
    async with shareflow.connect(own_server.address, patience=0) as shares:
        operation = await shares.create("home", 1)
        own_server.kill()
        started = time.monotonic()
        answers = await asyncio.gather(
            shares.get("home"), shares.create("home", 1), operation.status(), operation.result(), operation.cancel(),
            operation.restore(), return_exceptions=True,
        )  # fmt: skip
        assert [type(answer).__name__ for answer in answers] == ["ServerUnavailable"] * len(answers)
        assert time.monotonic() - started < 20
    started = time.monotonic()
    with pytest.raises(shareflow.ServerUnavailable, match=own_server.address):
        async with shareflow.connect(own_server.address):
            pytest.fail("connected")
    assert time.monotonic() - started < 11


async def test_profile_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken Temporal profile is an error of its own, not a missing server."""
    profile = tmp_path / "temporal.toml"
    profile.write_text("[profile.default\n", encoding="utf-8")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    with pytest.raises(shareflow.ServerUnavailable, match="profile cannot be read"):
        async with shareflow.connect():
            pytest.fail("connected")
