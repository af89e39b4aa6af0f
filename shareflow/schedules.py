"""The schedules that every deployment has: the claims' reconciler and one reconciler per backend."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from shareflow import names
from shareflow.contracts.base import StrictModel
from shareflow.contracts.reconcile import ReconcileBackendInput, ReconcileClaimsInput

CLAIMS_EVERY = timedelta(minutes=1)
BACKEND_EVERY = timedelta(minutes=5)


def _schedule(kind: str, request: StrictModel, schedule_id: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(kind, request, id=f"{schedule_id}-run", task_queue=names.QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10),
        # One scan at a time, and no burst of missed ones after an outage.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )


async def ensure_schedules(client: Client, backends: Sequence[str]) -> None:
    """Create what is missing. One that exists stays as it is, so an operator's pause or interval is kept."""
    wanted = {
        "reconcile-claims": _schedule(names.RECONCILE_CLAIMS, ReconcileClaimsInput(), "reconcile-claims", CLAIMS_EVERY)
    }
    for backend in backends:
        schedule_id = f"reconcile-{backend}"
        request = ReconcileBackendInput(backend=backend)
        wanted[schedule_id] = _schedule(names.RECONCILE_BACKEND, request, schedule_id, BACKEND_EVERY)
    for schedule_id, schedule in wanted.items():
        try:
            await client.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            continue
