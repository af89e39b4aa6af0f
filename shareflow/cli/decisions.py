"""A placement decision as people read it: every rule of every pool, from the decision's plain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shareflow.cli.output import print_line, print_table, safe
from shareflow.contracts.units import format_size


def show_decision(decision: Mapping[str, Any], *, pools: Sequence[str] = ()) -> None:
    """Print a decision, whole or in the bounded form that is kept with operations.

    Args:
        decision: its plain form; fields that are missing are not shown.
        pools: only these, by id, name or ``backend/name``; empty shows all that the decision holds.
    """
    print_line(decision.get("text", ""), style="bold")
    ranked = list(decision.get("ranked", []))
    for verdict in _verdicts(decision):
        title = f"{verdict.get('backend', '')}/{verdict.get('name', '')}"
        if pools and not {title, str(verdict.get("name")), str(verdict.get("pool"))} & set(pools):
            continue
        print_line()
        print_line(f"{title}: {_outcome(verdict, ranked)} ({safe(verdict.get('reason', ''))})")
        print_table(("  rule", "has", "wants", "", "from"), map(_rule, verdict.get("rules", [])), empty="  no rules")


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


def _rule(rule: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    unit = rule.get("unit", "")
    left, right = _side(rule.get("left"), unit), _side(rule.get("right"), unit)
    return (f"  {rule.get('rule', '')}", left, right, "ok" if rule.get("ok") else "fails", rule.get("position", ""))


def _side(value: Any, unit: str) -> str:
    if value is None:
        return "no limit" if unit == "B" else "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return (" to " if unit == "B" else ", ").join(_side(item, unit) for item in value)
    return format_size(value) if unit == "B" and isinstance(value, int) else str(value)
