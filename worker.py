"""The worker: wires profile, client, database, specs and drivers into Temporal workers. No logic of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from sqlalchemy import RowMapping
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError
from temporalio.worker import Interceptor, PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.backend_steps import BackendSteps
from activities.backends import open_backend
from activities.drift import BackendCompare, SpecsDrift
from activities.inventory_steps import InventorySteps
from activities.mover_steps import MoverSteps
from activities.precedence import Precedence
from activities.reads import Reads
from activities.reconcile import BackendReconciler, ClaimsReconciler
from activities.replica_watch import ReplicaWatch
from activities.settings import Services
from activities.specs import apply_at_start
from drivers.contract import Driver
from dsl.problems import SpecProblems
from dsl.spec_set import SpecSet, load_specs
from inventory.database import Database, deployment_id, migrate
from shareflow import faults, names
from shareflow.contracts.steps import Limits
from shareflow.converter import data_converter
from shareflow.errors import ServerUnavailable, ShareflowError
from shareflow.interceptor import ApplicationFailures, OneInput
from shareflow.keptcode import keep_code
from shareflow.process import keep_what_is_loaded, leave
from shareflow.sandbox import ContextFreeSandbox, needs_contexts
from shareflow.schedules import ensure_schedules
from shareflow.server.readiness import ensure_search_attributes
from workflows.migrate_replica import MigrateReplica
from workflows.migrate_share import MigrateShare
from workflows.registry import WORKFLOWS

DIED = 1
"""Exit code of a process one of whose workers has died; starting it again mends it."""
CONFIGURATION_ERROR = 3
PASSED_THROUGH = ("shareflow", "workflows.steplog", "workflows.conduct")
GRACE = timedelta(seconds=20)
Died = Callable[[BaseException], Awaitable[None]]
EVACUATIONS_AT_ONCE = 2
"""So many migrations of evacuations take a step at once, however many are under way: others have the rest."""

WATCHED_AT_ONCE = 5000
"""Replicas on one backend that are watched; each takes no more than a sleeping task. Others get rounds."""


@dataclass(frozen=True)
class Settings:
    """What a worker process needs.

    Attributes:
        address, namespace: the Temporal server; None takes them from the environment or profile.
        database: URL of the inventory.
        specs: files and directories of one spec set.
        state_dir: this worker's own records (running copies); relative paths in specs start here.
        backends: serve only these; empty serves all of the specs.
        limits: time limits that new operations get.
    """

    database: str
    state_dir: Path
    specs: Sequence[Path]
    address: str | None = None
    namespace: str | None = None
    backends: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    workflow_cache: int = 200


async def connect(address: str | None, namespace: str | None) -> Client:
    """A client from the profile, with flags before variables before the file. Raises ServerUnavailable."""
    config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    config["target_host"] = address or config.get("target_host") or "127.0.0.1:7233"
    if namespace:
        config["namespace"] = namespace
    try:
        return await Client.connect(**config, data_converter=data_converter)
    except (RuntimeError, RPCError) as error:
        raise ServerUnavailable(
            f"no Temporal server answers at {config['target_host']}", hint="start one with: shareflow up"
        ) from error


def sandbox() -> SandboxedWorkflowRunner:
    """The workflow sandbox: on, with our light modules passed through, and code as it was when the worker started."""
    keep_code("workflows")
    runner = SandboxedWorkflowRunner if needs_contexts(data_converter) else ContextFreeSandbox
    return runner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def _taken(applied: RowMapping) -> str:
    """One line about whose specs count."""
    by = f" by {applied['applied_by']}" if applied["applied_by"] else ""
    return (
        f"specs: revision {applied['revision']}, applied{by} in operation {applied['operation']}, counts; "
        "of this worker's own files only what opens its drivers"
    )


def _end(error: BaseException) -> NoReturn:
    """End the process at once: one that lives on with a dead worker leaves a queue unserved, and nobody restarts it.

    What runs is cut off as by ``kill -9``, and taken up by the next process.
    """
    traceback.print_exception(error)
    reason = error.__cause__ or error
    text = f"error: the worker has died; start it again: {type(reason).__name__}: {reason}"
    print(text, file=sys.stderr)  # noqa: T201  (a command line)
    leave(DIED)


async def _died(error: BaseException) -> None:
    _end(error)


class Process:
    """Everything that one worker process runs.

    When one of its workers dies, ``died`` is told; the process ends then unless that says otherwise.
    """

    def __init__(self, settings: Settings, client: Client, died: Died = _died) -> None:
        self.settings = settings
        self.client = client
        self._died = died
        self.specs = load_specs(settings.specs)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self.database = Database(settings.database)
        migrate(self.database)
        self.services = Services(
            database=self.database,
            drivers=self._open(self.specs),
            state_dir=settings.state_dir,
            client=client,
            limits=settings.limits,
        )
        self.applied = apply_at_start(self.database, self.specs, self.services.drivers)
        if self.applied is not None:
            print(_taken(self.applied), flush=True)  # noqa: T201  (a command line)
        self._precedence = Precedence()
        self._close: list[Callable[[], None]] = [driver.close for driver in self.services.drivers.values()]

    def _open(self, specs: SpecSet) -> dict[str, Driver]:
        with self.database.read() as connection:
            deployment = deployment_id(connection)
        return {name: open_backend(spec, deployment, self.settings.state_dir) for name, spec in specs.backends.items()}

    def _served(self) -> list[str]:
        return sorted(self.settings.backends or self.specs.backends)

    @contextlib.asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """All workers take work while the block runs; at its end they stop side by side."""
        workers = self._workers()
        running = [asyncio.create_task(self._run(worker)) for worker in workers]
        try:
            yield
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            await asyncio.gather(*running)

    async def _run(self, worker: Worker) -> None:
        try:
            await worker.run()
        except BaseException as error:
            await self._died(error)
            raise

    def _workers(self) -> list[Worker]:
        """One worker for workflows, inventory and reads, a small one for evacuations; three small ones per backend."""
        threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="inventory")
        inventory, reads = InventorySteps(self.services), Reads(self.services)
        activities = [
            *inventory.activities(),
            *reads.activities(),
            *ClaimsReconciler(self.services, inventory).activities(),
            *SpecsDrift(self.services).activities(),
        ]
        return [
            self._workflow_worker(
                names.QUEUE,
                WORKFLOWS,
                activities,
                threads,
                self._precedence.of_others(),
                max_concurrent_activities=16,
            ),
            self._workflow_worker(
                names.EVACUATIONS_QUEUE,
                [MigrateShare, MigrateReplica],
                inventory.activities(),
                threads,
                self._precedence.of_evacuations(),
                no_remote_activities=True,
                max_concurrent_workflow_tasks=EVACUATIONS_AT_ONCE,
                workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(EVACUATIONS_AT_ONCE),
            ),
            *(worker for name in self._served() for worker in self._backend_workers(name)),
        ]

    def _workflow_worker(
        self,
        queue: str,
        workflows: Sequence[type],
        activities: Sequence[Callable[..., Any]],
        threads: ThreadPoolExecutor,
        order: Interceptor,
        **options: Any,
    ) -> Worker:
        return Worker(
            self.client,
            task_queue=queue,
            workflows=workflows,
            activities=activities,
            activity_executor=threads,
            workflow_runner=sandbox(),
            workflow_failure_exception_types=[ValidationError],
            interceptors=[OneInput(), ApplicationFailures(), order],
            max_cached_workflows=self.settings.workflow_cache,
            max_concurrent_local_activities=16,
            graceful_shutdown_timeout=GRACE,
            on_fatal_error=self._died,
            **options,
        )

    def _backend_workers(self, backend: str) -> list[Worker]:
        spec, driver = self.specs.backends[backend], self.services.drivers[backend]
        slots = spec.slots
        steps = BackendSteps(self.services, backend, driver, slots)
        reconciler, drift = BackendReconciler(self.services, spec, driver), BackendCompare(self.services, spec, driver)
        mover = MoverSteps(self.services, backend, slots=2)
        watch = ReplicaWatch(self.services, backend, driver, slots)
        self._close += [steps.close, mover.close, reconciler.close, drift.close, watch.close]
        # A cutover, and a command to a copy, do not wait for the copies that fill the mover's own queue.
        activities = [*steps.activities(), *mover.activities(), *reconciler.activities(), *drift.activities()]
        return [
            self._activity_worker(names.backend_queue(backend), activities, slots),
            self._activity_worker(names.mover_queue(backend), mover.activities(), slots=2),
            self._activity_worker(names.watch_queue(backend), watch.activities(), slots=WATCHED_AT_ONCE),
        ]

    def _activity_worker(self, queue: str, activities: Sequence[Callable[..., Any]], slots: int) -> Worker:
        return Worker(
            self.client,
            task_queue=queue,
            activities=activities,
            max_concurrent_activities=slots,
            interceptors=[ApplicationFailures(), self._precedence.of_others()],
            activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
            max_heartbeat_throttle_interval=timedelta(seconds=5),
            default_heartbeat_throttle_interval=timedelta(seconds=5),
            graceful_shutdown_timeout=GRACE,
            on_fatal_error=self._died,
        )

    def close(self) -> None:
        """Let go of drivers, copies and the database."""
        for close in reversed(self._close):
            close()
        self.database.close()


async def serve(settings: Settings, *, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Run until ``stop``; ``ready`` is called once everything polls. A worker that dies ends the process.

    Raises:
        ShareflowError: configuration that cannot work: server, database schema, specs.
    """
    client = await connect(settings.address, settings.namespace)
    process = await asyncio.to_thread(Process, settings, client)
    try:
        async with process.polling():
            await ensure_search_attributes(client)
            await ensure_schedules(client, sorted(process.specs.backends))
            keep_what_is_loaded()
            ready()
            await stop.wait()
    finally:
        process.close()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run a Shareflow worker.")
    parser.add_argument("--address", help="Temporal server (default: profile, TEMPORAL_ADDRESS, 127.0.0.1:7233)")
    parser.add_argument("--namespace", help="Temporal namespace")
    parser.add_argument("--database", required=True, help="inventory: sqlite:///FILE or postgresql+psycopg://...")
    parser.add_argument("--state-dir", required=True, type=Path, help="directory for this worker's own records")
    parser.add_argument("--specs", required=True, type=Path, action="append", help="spec file or directory; repeatable")
    parser.add_argument("--backend", action="append", default=[], help="serve only this backend; repeatable")
    parser.add_argument("--ready-file", type=Path, help="made when the worker polls")
    parser.add_argument("--limits", default="{}", help="time limits as JSON, for example '{\"heartbeat\": 3}'")
    return parser.parse_args(argv)


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    settings = Settings(
        database=options.database,
        state_dir=options.state_dir,
        specs=options.specs,
        address=options.address,
        namespace=options.namespace,
        backends=options.backend,
        limits=Limits.model_validate_json(options.limits),
    )

    def ready() -> None:
        if options.ready_file is not None:
            options.ready_file.touch()
        print("worker ready", flush=True)  # noqa: T201  (a command line)

    await serve(settings, ready=ready, stop=stop)


def entry(argv: Sequence[str] | None = None) -> None:
    """Command line; exits 3 with one line for a configuration that cannot work, 1 when a worker has died."""
    options = _arguments(argv)
    try:
        faults.arm_from_environment()
        asyncio.run(_run(options))
    except (ShareflowError, SpecProblems, ValidationError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  (a command line)
        leave(CONFIGURATION_ERROR)
    except BaseException as error:  # noqa: BLE001  (whatever it is, the exit code and the last line say so)
        _end(error)
    leave(0)


if __name__ == "__main__":
    entry()
