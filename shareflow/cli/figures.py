"""How migrations are shown: figures, plans, and the commands that can be sent now."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from shareflow.cli.output import print_fields, print_line, print_table, size
from shareflow.contracts.units import format_duration, format_size

if TYPE_CHECKING:
    from shareflow.contracts.migration import MigrateShareResult
    from shareflow.contracts.migration_steps import MigrationPlan, MigrationStatus, PassView
    from shareflow.contracts.steps import JobProgress, OperationStatus

PLANNED = "planned"
AFTER_SWITCH = ("switched", "grace", "ended")
_ARGUMENTS = {"extend_retention": "'7 d'", "set_bandwidth": "'50 MiB/s'"}
"""What a command needs beside the operation's id, as an example."""


def send_now(status: OperationStatus) -> list[str]:
    """A whole command line for everything that can be sent now."""
    operation = shlex.quote(status.operation)
    return [
        " ".join(filter(None, ("shareflow op", name.replace("_", "-"), operation, _ARGUMENTS.get(name, ""))))
        for name in status.commands
    ]


def print_send_now(status: OperationStatus) -> None:
    """The same, a line each."""
    for line in send_now(status):
        print_line(f"can be sent now:  {line}", style="dim")


def seconds(amount: float) -> str:
    """A short time to a tenth of a second, a longer one in its two largest units."""
    return f"{amount:.1f}s" if amount < 60 else format_duration(amount)


def job_line(job: JobProgress | None) -> str:
    """How far a copy is: bytes done and total, rate, time left; empty without a copy."""
    if job is None or not (job.bytes_done or job.bytes_total):
        return ""
    shown = format_size(job.bytes_done)
    if job.bytes_total:
        shown += f" of {format_size(job.bytes_total)} ({min(job.bytes_done / job.bytes_total, 1):.0%})"
    if job.rate:
        shown += f", {format_size(job.rate)}/s"
    return shown if job.seconds_left is None else f"{shown}, {format_duration(job.seconds_left)} left"


def lag_line(migration: MigrationStatus) -> str:
    """How old the destination's content is and how much has changed since; empty before the first copy has ended."""
    if migration.lag_seconds is None:
        return ""
    changed = f", about {format_size(migration.lag_bytes)}" if migration.lag_bytes else ""
    return f"{seconds(migration.lag_seconds)}{changed}"


def pass_line(number: PassView) -> str:
    """What one pass moved, and how long that took."""
    return f"{number.number} moved {format_size(number.bytes_moved)} in {seconds(number.seconds)}"


def stopped_line(migration: MigrationStatus) -> str:
    """How long a cutover would stop writers now; empty before the first copy has ended."""
    return "" if migration.window_seconds is None else f"about {seconds(migration.window_seconds)}"


def migration_fields(migration: MigrationStatus, phase: str) -> dict[str, object]:
    """The figures of a migration, for a table of names and values; after the switch there is nothing to come."""
    coming = {} if phase in AFTER_SWITCH else _coming(migration)
    return {
        "copy": f"{migration.mode}-assisted, {migration.source} to {migration.destination}",
        "last pass": pass_line(migration.passes[-1]) if migration.passes else "",
        "moved in all": format_size(migration.bytes_moved),
        **coming,
    }


def _coming(migration: MigrationStatus) -> dict[str, object]:
    limit = "" if migration.bandwidth is None else f"{format_size(migration.bandwidth)}/s"
    return {
        "limit": limit,
        "lag": lag_line(migration),
        "a cutover now stops writers": stopped_line(migration),
        "next": migration.cutover,
    }


def short_line(status: OperationStatus) -> str:
    """The figures of a migration in a few words, for a line that moves; empty where there are none."""
    migration = status.migration
    if migration is None or migration.lag_seconds is None or status.phase in AFTER_SWITCH:
        return ""
    last = f"pass {migration.passes[-1].number}, " if migration.passes else ""
    return f"{last}lag {lag_line(migration)}, a cutover stops writers {stopped_line(migration)}"


def result_fields(result: MigrateShareResult) -> dict[str, object]:
    """What became of a migrated share."""
    if result.plan is not None and result.outcome == PLANNED:
        return {"share": result.name, "id": result.share_id, "outcome": result.outcome, **_plan_fields(result.plan)}
    return {
        "share": result.name,
        "id": result.share_id,
        "outcome": result.outcome.replace("_", " "),
        "from": result.source,
        "to": result.destination,
        "mode": result.mode,
        "passes": result.passes or "",
        "moved in all": format_size(result.bytes_moved) if result.passes else "",
        "writers were stopped": seconds(result.stopped_seconds) if result.stopped_seconds else "",
        **{f"export {number}": path for number, path in enumerate(result.export_locations, 1)},
    }


def print_promises(plan: MigrationPlan) -> None:
    """One line per promise: whether it was asked for, whether it holds, and why."""
    print_line()
    rows = ((p.name, "yes" if p.asked else "no", "yes" if p.holds else "NO", p.reason) for p in plan.promises)
    print_table(("PROMISE", "ASKED", "HOLDS", "REASON"), rows, empty="No promises.")


def print_standing(status: OperationStatus, share: str) -> None:
    """Where a migration that waits for its cutover stands, and how it goes on."""
    figures = {} if status.migration is None else migration_fields(status.migration, status.phase)
    fields = {"share": share, "id": status.share_id, "phase": status.phase, **figures}
    print_fields({**fields, "operation": status.operation})
    print_send_now(status)


def _plan_fields(plan: MigrationPlan) -> dict[str, object]:
    return {
        "from": plan.source,
        "to": plan.destination,
        "mode": f"{plan.mode}: {plan.mode_reason}",
        "bytes": size(plan.bytes, "unknown"),
        "snapshots": plan.snapshots,
        "estimated time": "unknown" if plan.seconds is None else format_duration(max(plan.seconds, 1)),
        "placement": plan.placement,
        "why": plan.reason,
    }
