"""What the command line shows: the check of a set, and a placement decision as a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsl.decision import Decision, RuleResult, literal
from dsl.problems import Problem, printable
from dsl.spec_set import SpecSet, read_set
from shareflow.contracts.units import format_size

_MAX_CELL = 60


def check(paths: Sequence[Path]) -> tuple[SpecSet | None, list[Problem]]:
    """Checks files and directories as one set; raises nothing.

    Returns:
        The set, or None when it is refused; and all problems in order of reading, warnings included.
    """
    return read_set(paths)


def render_decision(decision: Decision, pools: Sequence[str] | None = None) -> str:
    """A decision as text: the outcome, then every rule of every pool with what it has and what is asked for.

    Args:
        decision: as :func:`dsl.placement.place` made it.
        pools: only these, by id, ``backend/pool`` or name; None shows all.
    """
    rank = {pool: number for number, pool in enumerate(decision.ranked, 1)}
    blocks = [decision.explanation()]
    for verdict in decision.verdicts:
        if pools is not None and not {verdict.pool, verdict.title, verdict.name} & set(pools):
            continue
        outcome = f"kept, rank {rank[verdict.pool]}" if verdict.kept else "dropped"
        rows = [("rule", "has", "wants", "", "from")]
        rows += [_row(rule) for rule in verdict.rules]
        blocks.append(f"{verdict.title}: {outcome} ({printable(verdict.reason)})\n{_table(rows)}")
    return "\n\n".join(blocks) + "\n"


def _row(rule: RuleResult) -> tuple[str, str, str, str, str]:
    verdict = "ok" if rule.ok else "fails"
    return (_cell(rule.rule), _side(rule.left, rule.unit), _side(rule.right, rule.unit), verdict, rule.position)


def _side(value: object, unit: str) -> str:
    if value is None:
        return "no limit" if unit == "B" else "absent"
    if unit == "B":
        sizes = value if isinstance(value, list) else [value]
        return " to ".join(format_size(size) for size in sizes if isinstance(size, int))
    return _cell(literal(value))


def _cell(text: str) -> str:
    clean = printable(text)
    return clean if len(clean) <= _MAX_CELL else clean[: _MAX_CELL - 3] + "..."


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)
