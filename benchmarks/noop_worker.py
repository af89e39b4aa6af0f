"""The reference's worker process: the settings of Shareflow's worker, activities that do nothing.

python -m benchmarks.noop_worker --address HOST:PORT --ready-file FILE
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from benchmarks import payloads
from benchmarks.noop_workflow import NoOp
from benchmarks.payloads import NoOpBegun, NoOpInput, NoOpMade, NoOpResult
from shareflow.converter import data_converter
from shareflow.process import keep_what_is_loaded, leave
from worker import PASSED_THROUGH, Settings

SLOTS = 16


@activity.defn(name=payloads.BEGIN)
def begin(request: NoOpInput) -> NoOpBegun:
    """Nothing, in a thread, as inventory steps run."""
    return NoOpBegun(id=request.name, backend="none", pool="none", size=request.size)


@activity.defn(name=payloads.ACT)
async def act(begun: NoOpBegun) -> NoOpMade:
    """Nothing, on the other queue."""
    return NoOpMade(id=begun.id, export_paths=[f"/none/{begun.id}"])


@activity.defn(name=payloads.COMMIT)
def commit(made: NoOpMade) -> NoOpResult:
    """Nothing, in a thread."""
    return NoOpResult(id=made.id, name=made.id, size=1, export_locations=made.export_paths)


def workers(client: Client) -> list[Worker]:
    """As ``worker.Process.workers`` with one backend and without its mover."""
    runner = SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH, "benchmarks.payloads")
    )
    control = Worker(
        client,
        task_queue=payloads.QUEUE,
        workflows=[NoOp],
        activities=[begin, commit],
        activity_executor=ThreadPoolExecutor(max_workers=16),
        workflow_runner=runner,
        max_cached_workflows=Settings.workflow_cache,
        max_concurrent_activities=16,
        max_concurrent_local_activities=16,
    )
    backend = Worker(
        client,
        task_queue=payloads.ACTIVITY_QUEUE,
        activities=[act],
        max_concurrent_activities=SLOTS,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
    )
    return [control, backend]


async def serve(address: str, ready: Path) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(address, data_converter=data_converter)
    async with contextlib.AsyncExitStack() as stack:
        for each in workers(client):
            await stack.enter_async_context(each)
        keep_what_is_loaded()
        await asyncio.to_thread(ready.touch)
        await stop.wait()


def entry() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--ready-file", required=True, type=Path)
    options = parser.parse_args()
    asyncio.run(serve(options.address, options.ready_file))
    leave(0)


if __name__ == "__main__":
    entry()
