"""How failovers are shown: figures, what each share lost, the shares that stay, and what a plan says."""

from __future__ import annotations

from collections.abc import Sequence

from shareflow.cli.figures import seconds
from shareflow.cli.output import print_line, print_table, size
from shareflow.contracts.failover import FailoverResult
from shareflow.contracts.failover_steps import FailoverStatus, LossSum, NotPromoted, PromotableShare, ShareLoss
from shareflow.contracts.units import format_size


def failover_line(status: FailoverStatus) -> str:
    """The figures in a few words."""
    where = f"away from {status.backend}" if status.back else f"on {status.backend}"
    return (
        f"{status.promoted} shares promoted, {status.failed} not, {len(status.running)} on their way, "
        f"{status.waiting} waiting, {status.left} still {where}"
    )


def failover_fields(status: FailoverStatus) -> dict[str, object]:
    """The figures for a table of names and values."""
    return {
        "fails back" if status.back else "fails over": status.backend,
        "so far": failover_line(status),
        "lost so far": _lost(status),
        **{f"on its way {number}": f"{one.project}/{one.name} {one.trouble}" for number, one in
           enumerate(status.running, 1)},
    }  # fmt: skip


def failover_result(result: FailoverResult) -> dict[str, object]:
    """What became of a failover."""
    told: dict[str, object] = {"backend": result.backend, "outcome": result.outcome}
    if result.plan is not None:
        plan = result.plan
        return {
            **told,
            "would be promoted": str(plan.shares),
            "would lose": _lost(plan),
            "would stay": str(plan.failed),
            "without a replica": plan.without_replica or "",
        }
    report = result.report
    return {
        **told,
        "shares promoted": str(report.promoted),
        "lost": _lost(report),
        "snapshots lost": report.lost_snapshots or "",
        "still there": str(result.left),
        "without a replica": report.without_replica or "",
    }


def _lost(loss: LossSum) -> str:
    if not loss.loss_seconds:
        return "nothing"
    return f"changes of up to {seconds(loss.loss_seconds)} of a share: {loss.bytes_in_words() or '0 B'}"


def _bytes(one: ShareLoss | PromotableShare) -> str:
    """As measured; unknown, with what changed before, where nobody has."""
    if not one.loss_seconds:
        return "-"
    if one.loss_bytes is not None:
        return size(one.loss_bytes)
    return "unknown" if one.loss_rate is None else f"unknown, was {format_size(one.loss_rate)}/s"


def print_failover(result: FailoverResult) -> None:
    """The shares one by one: what each loses, or why it stays and what to do about it."""
    if result.plan is not None:
        _print_plan(result.plan.first)
        print_not_promoted(result.plan.not_promoted)
    else:
        _print_losses(result.report.losses)
        print_not_promoted(result.report.not_promoted)


def _print_plan(shares: Sequence[PromotableShare]) -> None:
    print_line()
    rows = (
        (
            f"{one.project}/{one.name}", one.to, seconds(one.loss_seconds) if one.loss_seconds else "-",
            _bytes(one), one.refusal or "-",
        )
        for one in shares
    )  # fmt: skip
    print_table(("SHARE", "TO", ">LOSES", ">BYTES", "REFUSAL"), rows, empty="No share can be promoted.")


def _print_losses(losses: Sequence[ShareLoss]) -> None:
    lost = [one for one in losses if one.loss_seconds or one.lost_snapshots]
    if not lost:
        return
    print_line()
    rows = (
        (
            f"{one.project}/{one.name}", one.to, seconds(one.loss_seconds), _bytes(one),
            ", ".join(one.lost_snapshots) or "-",
        )
        for one in lost
    )  # fmt: skip
    print_table(("PROMOTED", "TO", ">LOST", ">BYTES", "LOST SNAPSHOTS"), rows, empty="")


def print_not_promoted(shares: Sequence[NotPromoted]) -> None:
    """Which shares stay where they are, why, and what to do."""
    if not shares:
        return
    print_line()
    rows = ((f"{one.project}/{one.name}", one.reason, one.next_step or "-") for one in shares)
    print_table(("NOT PROMOTED", "REASON", "NEXT"), rows, empty="")
