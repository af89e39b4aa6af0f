"""The worker: wires profile, client, database, specs and drivers into Temporal workers. No logic of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import RowMapping
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.backend_steps import BackendSteps, MoverSteps
from activities.backends import open_backend
from activities.drift import BackendCompare, SpecsDrift
from activities.inventory_steps import InventorySteps
from activities.reads import Reads
from activities.reconcile import BackendReconciler, ClaimsReconciler
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
from shareflow.interceptor import OneInput
from shareflow.keptcode import keep_code
from shareflow.process import leave
from shareflow.schedules import ensure_schedules
from shareflow.server.readiness import ensure_search_attributes
from workflows.registry import WORKFLOWS

CONFIGURATION_ERROR = 3
PASSED_THROUGH = ("shareflow", "workflows.steplog", "workflows.conduct")
GRACE = timedelta(seconds=20)


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
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def _taken(applied: RowMapping) -> str:
    """One line about whose specs count."""
    by = f" by {applied['applied_by']}" if applied["applied_by"] else ""
    return (
        f"specs: revision {applied['revision']}, applied{by} in operation {applied['operation']}, counts; "
        "of this worker's own files only what opens its drivers"
    )


class Process:
    """Everything that one worker process runs."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self.settings = settings
        self.client = client
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
        self._close: list[Callable[[], None]] = [driver.close for driver in self.services.drivers.values()]

    def _open(self, specs: SpecSet) -> dict[str, Driver]:
        with self.database.read() as connection:
            deployment = deployment_id(connection)
        return {name: open_backend(spec, deployment, self.settings.state_dir) for name, spec in specs.backends.items()}

    def _served(self) -> list[str]:
        return sorted(self.settings.backends or self.specs.backends)

    def workers(self) -> list[Worker]:
        """One worker for workflows, inventory and reads; two small ones per backend."""
        threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="inventory")
        inventory, reads = InventorySteps(self.services), Reads(self.services)
        reconciler = ClaimsReconciler(self.services, inventory)
        control = Worker(
            self.client,
            task_queue=names.QUEUE,
            workflows=WORKFLOWS,
            activities=[
                *inventory.activities(),
                *reads.activities(),
                *reconciler.activities(),
                *SpecsDrift(self.services).activities(),
            ],
            activity_executor=threads,
            workflow_runner=sandbox(),
            workflow_failure_exception_types=[ValidationError],
            interceptors=[OneInput()],
            max_cached_workflows=self.settings.workflow_cache,
            max_concurrent_activities=16,
            max_concurrent_local_activities=16,
            graceful_shutdown_timeout=GRACE,
        )
        return [control, *(worker for name in self._served() for worker in self._backend_workers(name))]

    def _backend_workers(self, backend: str) -> list[Worker]:
        spec, driver = self.specs.backends[backend], self.services.drivers[backend]
        slots = spec.slots
        steps = BackendSteps(self.services, backend, driver, slots)
        reconciler, drift = BackendReconciler(self.services, spec, driver), BackendCompare(self.services, spec, driver)
        mover = MoverSteps(self.services, backend, slots=2)
        self._close += [steps.close, mover.close, reconciler.close, drift.close]
        activities = [*steps.activities(), *reconciler.activities(), *drift.activities()]
        return [
            self._activity_worker(names.backend_queue(backend), activities, slots),
            self._activity_worker(names.mover_queue(backend), mover.activities(), slots=2),
        ]

    def _activity_worker(self, queue: str, activities: Sequence[Callable[..., Any]], slots: int) -> Worker:
        return Worker(
            self.client,
            task_queue=queue,
            activities=activities,
            max_concurrent_activities=slots,
            activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
            max_heartbeat_throttle_interval=timedelta(seconds=5),
            default_heartbeat_throttle_interval=timedelta(seconds=5),
            graceful_shutdown_timeout=GRACE,
        )

    def close(self) -> None:
        """Let go of drivers, copies and the database."""
        for close in reversed(self._close):
            close()
        self.database.close()


async def serve(settings: Settings, *, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Run until ``stop``; ``ready`` is called once everything polls.

    Raises:
        ShareflowError: configuration that cannot work: server, database schema, specs.
    """
    client = await connect(settings.address, settings.namespace)
    process = await asyncio.to_thread(Process, settings, client)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for worker in process.workers():
                await stack.enter_async_context(worker)
            await ensure_search_attributes(client)
            await ensure_schedules(client, sorted(process.specs.backends))
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
    """Command line; exits 3 with one line for a configuration that cannot work."""
    options = _arguments(argv)
    try:
        faults.arm_from_environment()
        asyncio.run(_run(options))
    except (ShareflowError, SpecProblems, ValidationError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  (a command line)
        leave(CONFIGURATION_ERROR)
    leave(0)


if __name__ == "__main__":
    entry()
