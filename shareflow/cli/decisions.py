"""A placement decision as people read it: every rule of every pool, from the decision's plain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shareflow.cli.output import print_line, print_table, safe
from shareflow.contracts.units import format_size


def show_decision(decision: Mapping[str, Any], *, pools: Sequence[str] = (), failures_only: bool = False) -> None:
    """Print a decision, whole or in the bounded form that is kept with operations.

    Args:
        decision: its plain form; fields that are missing are not shown.
        pools: only these, by id, name or ``backend/name``; empty shows all that the decision holds.
        failures_only: of the rules only those that do not hold.
    """
    print_line(decision.get("text", ""), style="bold")
    _show_reservation(decision.get("reservation") or {})
    ranked = list(decision.get("ranked", []))
    for verdict in _verdicts(decision):
        title = f"{verdict.get('backend', '')}/{verdict.get('name', '')}"
        if pools and not {title, str(verdict.get("name")), str(verdict.get("pool"))} & set(pools):
            continue
        print_line()
        print_line(f"{title}: {_outcome(verdict, ranked)} ({safe(verdict.get('reason', ''))})")
        rules = [rule for rule in verdict.get("rules", []) if not (failures_only and rule.get("ok"))]
        rows = [row for rule in rules for row in _rows(rule)]
        print_table(("  rule", "has", "wants", "", "from"), rows, empty="  it fails nothing")
        if verdict.get("scores"):
            _show_scores(verdict)


def _show_reservation(reservation: Mapping[str, Any]) -> None:
    """What was set aside, and which pools had no room any more when it was their turn."""
    if reservation.get("pool"):
        floors = [f"{reservation['iops']} IOPS"] if reservation.get("iops") else []
        floors += [f"{format_size(reservation['throughput'])}/s"] if reservation.get("throughput") else []
        promised = f", {' and '.join(floors)} promised" if floors else ""
        print_line(f"reserved {format_size(reservation['bytes'])} in {safe(reservation['pool'])}{promised}")
    if reservation.get("refused"):
        print_line(f"had no room any more: {safe(', '.join(reservation['refused']))}")


def _verdicts(decision: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "verdicts" in decision:
        return list(decision["verdicts"])
    chosen = decision.get("chosen")
    return [*([chosen] if chosen else []), *decision.get("nearest", [])]


def _outcome(verdict: Mapping[str, Any], ranked: Sequence[Any]) -> str:
    if not verdict.get("kept"):
        return "dropped"
    pool = verdict.get("pool")
    return f"kept, rank {ranked.index(pool) + 1}" if pool in ranked else "kept"


def _show_scores(verdict: Mapping[str, Any]) -> None:
    rows = [
        (f"  {one['preference']}", one["raw"], *_figures(one), one.get("position", "")) for one in verdict["scores"]
    ]
    rows.append(("  score", "", "", "", f"{verdict['score']:.1f}", ""))
    print_table(("  preference", "raw", "0 to 1", "weight", "score", "from"), rows, empty="")


def _figures(scored: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{scored['normalised']:.3f}", str(scored["weight"]), f"{scored['weighted']:.1f}"


def _rows(rule: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """A rule, and below it each of its comparisons when there are several."""
    unit, compared = rule.get("unit", ""), rule.get("comparisons", [])
    left, right = _side(rule.get("left"), unit), _side(rule.get("right"), unit)
    fails = "fails" if rule.get("enforced", True) else "fails (advice)"
    if len(compared) > 1:
        left = right = ""
    row = (f"  {rule.get('rule', '')}", left, right, "ok" if rule.get("ok") else fails, rule.get("position", ""))
    below = compared if len(compared) > 1 else []
    return [row, *((f"    {one['text']}", one["left"], one["right"], _VERDICTS[one["verdict"]], "") for one in below)]


_VERDICTS = {True: "ok", False: "fails", None: "unknown"}


def _side(value: Any, unit: str) -> str:
    if value is None:
        return "unknown" if unit == "B" else "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return (" to " if unit == "B" else ", ").join(_side(item, unit) for item in value)
    return format_size(value) if unit == "B" and isinstance(value, int) else str(value)
