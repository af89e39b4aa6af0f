"""How evacuations are shown: figures, the shares that stay, and what a plan says."""

from __future__ import annotations

from shareflow.cli.output import print_line, print_table
from shareflow.contracts.evacuation import EvacuationResult
from shareflow.contracts.evacuation_steps import EvacuationStatus, NotMoved
from shareflow.contracts.units import format_size


def evacuation_line(status: EvacuationStatus) -> str:
    """The figures in a few words."""
    return (
        f"{status.moved} shares moved, {status.failed} not, {len(status.running)} on their way, "
        f"{status.waiting} waiting, {status.left} still there, {format_size(status.bytes_moved)} moved"
    )


def evacuation_fields(status: EvacuationStatus) -> dict[str, object]:
    """The figures for a table of names and values."""
    return {
        "evacuates": status.source,
        "so far": evacuation_line(status),
        "limit of all": "" if status.bandwidth is None else f"{format_size(status.bandwidth)}/s",
        **{f"on its way {number}": f"{one.project}/{one.name} {one.trouble}" for number, one in
           enumerate(status.running, 1)},
    }  # fmt: skip


def evacuation_result(result: EvacuationResult) -> dict[str, object]:
    """What became of an evacuation."""
    plan = result.plan
    if plan is not None:
        return {
            "evacuates": result.source,
            "outcome": result.outcome,
            "shares": plan.shares,
            "bytes": format_size(plan.bytes),
            "in the recycle bin": plan.in_recycle_bin or "",
        }
    return {
        "evacuated": result.source,
        "outcome": result.outcome,
        "drained": "yes" if result.drained else "no",
        "shares moved": str(result.moved),
        "moved in all": format_size(result.bytes_moved),
        "still there": str(result.left),
    }


def print_evacuation(result: EvacuationResult) -> None:
    """The shares one by one: where each would go, or why it is still there."""
    if result.plan is not None:
        print_line()
        rows = (
            (f"{one.project}/{one.name}", one.destination or "-", one.mode or "-", one.refusal)
            for one in result.plan.first
        )
        print_table(("SHARE", "TO", "MODE", "REFUSAL"), rows, empty="No shares.")
    elif result.not_moved:
        print_line()
        print_not_moved(result.not_moved)


def print_not_moved(shares: list[NotMoved]) -> None:
    """Which shares are still there, and why."""
    rows = ((f"{one.project}/{one.name}", one.share_id, one.reason) for one in shares)
    print_table(("NOT MOVED", "ID", "REASON"), rows, empty="")
