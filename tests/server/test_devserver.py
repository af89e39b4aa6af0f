"""The embedded server: its state outlives it, it leaves nothing behind, and it says clearly why it cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio import activity, workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import Priority, SearchAttributeKey
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shareflow import names
from shareflow.errors import ServerUnavailable, StateDirectoryError
from shareflow.server.devserver import DevServer, DevServerSettings
from shareflow.server.readiness import ensure_search_attributes
from shareflow.server.statefile import set_unfinished_aside
from shareflow.server.tail import LogPump

PARENT = """
import asyncio, sys
from pathlib import Path
from typing import Any
from shareflow.server.devserver import DevServer, DevServerSettings
async def main():
    server = DevServer(DevServerSettings(binary=Path(sys.argv[1]), database=Path(sys.argv[2])))
    await server.start()
    print(server.pid, server.port, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@activity.defn
async def add_one(number: int) -> int:
    """The shortest activity."""
    return number + 1


@workflow.defn
class Patient:
    """Waits for an update, or a week."""

    def __init__(self) -> None:
        self.word = ""

    @workflow.run
    async def run(self) -> str:
        """Wait."""
        try:
            await workflow.wait_condition(lambda: bool(self.word), timeout=timedelta(days=7))
        except TimeoutError:
            return "a week is over"
        return self.word

    @workflow.update
    async def say(self, word: str) -> str:
        """End the wait."""
        self.word = word
        return word.upper()


@pytest.fixture
async def server(temporal_binary: Path, tmp_path: Path) -> AsyncIterator[DevServer]:
    """A server with its state in a file, not started yet."""
    settings = DevServerSettings(
        binary=temporal_binary, database=tmp_path / "state" / "temporal.db", log_file=tmp_path / "log" / "temporal.log"
    )
    server = DevServer(settings)
    yield server
    await server.stop(grace=0.0)


async def test_fresh_server_knows_all_search_attributes(server: DevServer) -> None:
    """Operations can be started at once: no start fails for want of an attribute."""
    await server.start()
    client = await Client.connect(server.address)
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    kinds = {key.name: int(key.indexed_value_type) for key in names.SEARCH_ATTRIBUTES}
    assert dict(known.custom_attributes).items() >= kinds.items()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_server_started_again_goes_on_with_its_workflows(server: DevServer, end: str) -> None:
    """Neither an orderly end nor SIGKILL loses an operation; address and attributes stay."""
    await server.start()
    address = server.address
    client = await Client.connect(address)
    await client.start_workflow(Patient.run, id="patient", task_queue="nobody")
    if end == "stop":
        await server.stop()
    else:
        server.kill()
    assert not server.alive
    await server.start()
    assert server.address == address
    described = await (await Client.connect(address)).get_workflow_handle("patient").describe()
    assert described.status is WorkflowExecutionStatus.RUNNING


async def test_standalone_activity_and_update_work_without_further_settings(server: DevServer) -> None:
    """Reads are activities on their own and commands are updates; both are on by default."""
    await server.start()
    client = await Client.connect(server.address)
    async with Worker(
        client, task_queue="q", activities=[add_one], workflows=[Patient], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        limit = timedelta(seconds=10)
        assert await client.execute_activity(add_one, 1, id="read", task_queue="q", start_to_close_timeout=limit) == 2
        handle = await client.start_workflow(Patient.run, id="patient", task_queue="q")
        assert await handle.execute_update(Patient.say, "done") == "DONE"
        assert await handle.result() == "done"


async def test_queue_gives_out_what_evacuations_wait_for_after_all_else(server: DevServer) -> None:
    """A step that is asked for later, by others, is not behind those of an evacuation that wait for the same place."""
    await server.start()
    client = await Client.connect(server.address)
    taken: list[int] = []

    @activity.defn
    async def take(number: int) -> None:
        taken.append(number)

    evacuation, others = Priority(priority_key=names.EVACUATIONS_PRIORITY), Priority.default
    started = [
        await client.start_activity(
            take,
            number,
            id=f"take-{number}",
            task_queue="q",
            start_to_close_timeout=timedelta(seconds=10),
            priority=evacuation if number else others,
        )
        for number in (*range(1, 25), 0)
    ]
    async with Worker(client, task_queue="q", activities=[take], max_concurrent_activities=1):
        for handle in started:
            await handle.result()
    assert sorted(taken) == list(range(25))
    assert taken.index(0) < 12, taken  # each part of a queue orders what it has, and some are on their way already


async def test_week_passes_in_a_moment_where_time_skipping_is_asked_for(temporal_binary: Path) -> None:
    """Tests of retentions need not wait for them; only the workflow that is asked for jumps."""
    async with DevServer(DevServerSettings(binary=temporal_binary, time_skipping=True)) as server:
        skipper = TimeSkipper(await Client.connect(server.address), config=TimeSkippingConfig(enabled=False))
        runner = UnsandboxedWorkflowRunner()
        async with Worker(skipper.client, task_queue="q", workflows=[Patient], workflow_runner=runner):
            skipped, other = [
                await skipper.client.start_workflow(Patient.run, id=name, task_queue="q") for name in ("one", "two")
            ]
            await skipper.fast_forward(skipped, timedelta(days=8))
            assert await skipped.result() == "a week is over"
            assert (await other.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_time_cannot_be_skipped_unless_asked_for(server: DevServer) -> None:
    """Only the servers of tests carry the switch."""
    await server.start()
    skipper = TimeSkipper(await Client.connect(server.address), config=TimeSkippingConfig(enabled=False))
    with pytest.raises(RPCError, match=r"[Tt]ime.?[Ss]kipping"):
        await skipper.client.start_workflow(Patient.run, id="one", task_queue="q")


async def test_attribute_that_is_missing_is_added_once(server: DevServer) -> None:
    """A state file of an older version, or a server of somebody else's, gets what it lacks."""
    await server.start()
    client = await Client.connect(server.address)
    wanted: list[SearchAttributeKey[Any]] = [*names.SEARCH_ATTRIBUTES, SearchAttributeKey.for_int("Newcomer")]
    assert await ensure_search_attributes(client, wanted) == ["Newcomer"]
    assert await ensure_search_attributes(client, wanted) == []


async def test_starting_twice_keeps_the_running_server(server: DevServer) -> None:
    """Start is idempotent."""
    await server.start()
    pid = server.pid
    await server.start()
    assert server.pid == pid


async def test_stopped_server_leaves_no_process_and_no_listener(server: DevServer) -> None:
    """After stop the group is empty, the port is free, and a second stop does nothing."""
    await server.start()
    pid, port = server.pid, server.port
    assert pid is not None
    await server.stop()
    await server.stop()
    assert not psutil.pid_exists(pid)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_server_dies_with_a_parent_that_was_killed(temporal_binary: Path, tmp_path: Path) -> None:
    """Kill -9 of the parent leaves no server, and the next one starts on the same state at once."""
    database = tmp_path / "temporal.db"
    first, pid = _parent_with_server(temporal_binary, database)
    first.send_signal(signal.SIGKILL)
    first.wait()
    _wait_for(lambda: not _runs(pid))
    second, _ = _parent_with_server(temporal_binary, database)
    second.kill()
    second.wait()


async def test_end_of_the_server_is_noticed(server: DevServer) -> None:
    """Whoever waits hears the signal that ended it."""
    await server.start()
    waiting = asyncio.create_task(server.wait())
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.wait_for(waiting, 5) == -signal.SIGKILL
    assert not server.alive


async def test_busy_port_is_named_with_the_next_step(temporal_binary: Path) -> None:
    """One clear line instead of a server that ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=f"port {port} of the Temporal server is in use") as caught:
            await DevServer(DevServerSettings(binary=temporal_binary, port=port)).start()
        assert "--port" in caught.value.hint
        with pytest.raises(ServerUnavailable, match=f"port {port} of the web UI is in use") as caught:
            await DevServer(DevServerSettings(binary=temporal_binary, ui_port=port)).start()
        assert "--ui-port" in caught.value.hint


@pytest.mark.parametrize("port", [-1, 65536])
async def test_impossible_port_is_refused(temporal_binary: Path, port: int) -> None:
    """A number that is no port is named as such."""
    with pytest.raises(ServerUnavailable, match=f"{port} is not a port"):
        await DevServer(DevServerSettings(binary=temporal_binary, port=port)).start()


async def test_address_of_another_machine_is_refused(temporal_binary: Path) -> None:
    """The system's reason reaches the user."""
    with pytest.raises(ServerUnavailable, match=r"cannot listen on 192\.0\.2\.1"):
        await DevServer(DevServerSettings(binary=temporal_binary, ip="192.0.2.1", port=7233)).start()


async def test_free_port_lost_to_another_process_is_replaced(
    temporal_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the choice of a free port and its use, somebody else may take it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr("shareflow.server.devserver.require_free", lambda *_: None)
        server = DevServer(DevServerSettings(binary=temporal_binary))
        server.port = taken
        async with server:
            assert server.port != taken
            assert server.alive


async def test_database_in_use_is_refused_and_its_server_goes_on(server: DevServer) -> None:
    """Two servers never share one file."""
    await server.start()
    other = DevServer(DevServerSettings(binary=server.settings.binary, database=server.settings.database))
    with pytest.raises(StateDirectoryError, match=r"temporal\.db is in use by another Temporal server"):
        await other.start()
    assert server.alive
    assert not other.alive


async def test_state_that_cannot_be_written_is_named(temporal_binary: Path, tmp_path: Path) -> None:
    """A directory that cannot be made is one clear line."""
    (tmp_path / "file").touch()
    settings = DevServerSettings(binary=temporal_binary, database=tmp_path / "file" / "temporal.db")
    with pytest.raises(StateDirectoryError, match=r"the state in .*file cannot be written"):
        await DevServer(settings).start()


async def test_file_that_is_no_database_is_kept_and_named(temporal_binary: Path, tmp_path: Path) -> None:
    """Somebody's file is never replaced."""
    database = tmp_path / "temporal.db"
    database.write_text("my notes, which are longer than the header of a database would be: " * 20)
    with pytest.raises(StateDirectoryError, match="is not a database that a Temporal server can use"):
        await DevServer(DevServerSettings(binary=temporal_binary, database=database)).start()
    assert database.read_text().startswith("my notes")


async def test_first_start_killed_while_it_made_its_tables_does_not_block_the_next(server: DevServer) -> None:
    """A file with some of the tables, in which nothing was ever kept, is set aside and made anew."""
    database = server.settings.database
    assert database is not None
    database.parent.mkdir()
    with sqlite3.connect(database) as half:
        half.execute("CREATE TABLE namespaces (id INTEGER)")
    half.close()
    await server.start()
    assert [path.name for path in database.parent.glob("*.unfinished-*")] != []


@pytest.mark.parametrize("delay", [0.01, 0.03, 0.06, 0.1, 0.15])
async def test_first_start_cancelled_at_any_moment_leaves_no_process_and_can_be_repeated(
    server: DevServer, delay: float
) -> None:
    """Whatever the first start had made when it ended, the second one serves."""
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(delay)
    over = starting.done()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert server.alive is over
    server.kill()
    await server.start()
    assert server.alive


async def test_state_in_which_a_server_has_served_is_never_set_aside(server: DevServer) -> None:
    """Only files without a namespace are made anew."""
    await server.start()
    server.kill()
    assert server.settings.database is not None
    assert set_unfinished_aside(server.settings.database) is None


async def test_binary_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The server's own reason reaches the user."""
    binary = tmp_path / "temporal"
    binary.write_text("#!/bin/sh\necho 'schema version 99 is too new'\nexit 3\n")
    binary.chmod(0o755)
    with pytest.raises(ServerUnavailable, match=r"ended with code 3 while it started: schema version 99 is too new"):
        await DevServer(DevServerSettings(binary=binary)).start()


async def test_server_that_never_serves_is_given_up_and_ended(tmp_path: Path) -> None:
    """A start has a limit, and nothing is left when it is reached."""
    binary = tmp_path / "temporal"
    binary.write_text("#!/bin/sh\nexec sleep 600\n")
    binary.chmod(0o755)
    server = DevServer(DevServerSettings(binary=binary, start_timeout=0.5))
    with pytest.raises(ServerUnavailable, match=r"does not serve after 0\.5 s"):
        await server.start()
    assert not server.alive


def test_log_is_bounded_and_keeps_the_newest_lines(tmp_path: Path) -> None:
    """A server that complains for weeks does not fill the disk."""
    log = tmp_path / "logs" / "server.log"
    reader, writer = os.pipe()
    pump = LogPump(os.fdopen(reader, "rb"), log, limit=1000)
    pump.start()
    with os.fdopen(writer, "wb") as out:
        out.writelines(b"line %d\n" % number for number in range(1000))
    pump.join(timeout=10)
    files = sorted(path.name for path in log.parent.iterdir())
    assert files == ["server.log", "server.log.1"]
    assert sum(path.stat().st_size for path in log.parent.iterdir()) < 2100
    assert pump.last_lines[-1] == "line 999"
    assert log.read_text().endswith("line 999\n")


def _parent_with_server(binary: Path, database: Path) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(binary), str(database)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        return parent, int(parent.stdout.readline().split()[0])


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], bool], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)
