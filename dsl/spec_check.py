"""What the command line shows: the check of a set, and a placement decision as a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsl.decision import Compared, Decision, PoolVerdict, RuleResult, literal
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
    for verdict, (kept, reason) in zip(decision.verdicts, decision.reasons, strict=True):
        if pools is not None and not {verdict.pool, verdict.title, verdict.name} & set(pools):
            continue
        outcome = f"kept, rank {rank[verdict.pool]}" if kept else "dropped"
        rows = [("rule", "has", "wants", "", "from")]
        for rule in verdict.rules:
            rows += [_row(rule), *(_compared(compared) for compared in rule.comparisons if len(rule.comparisons) > 1)]
        block = f"{verdict.title}: {outcome} ({printable(reason)})\n{table(rows)}"
        blocks.append(block + (f"\n{_scores(verdict)}" if verdict.scores else ""))
    return "\n\n".join(blocks) + "\n"


def _row(rule: RuleResult) -> tuple[str, str, str, str, str]:
    verdict = "ok" if rule.ok else "fails" if rule.enforced else "fails (advice)"
    return (_cell(rule.rule), _side(rule.left, rule.unit), _side(rule.right, rule.unit), verdict, rule.position)


def _compared(compared: Compared) -> tuple[str, str, str, str, str]:
    verdict = {True: "ok", False: "fails", None: "unknown"}[compared.verdict]
    return (_cell(f"  {compared.text}"), _cell(compared.left), _cell(compared.right), verdict, "")


def _scores(verdict: PoolVerdict) -> str:
    rows = [("preference", "raw", "0 to 1", "weight", "score", "from")]
    for scored in verdict.scores:
        figures = (f"{scored.normalised:.3f}", str(scored.weight), f"{scored.weighted:.1f}")
        rows.append((_cell(scored.preference), _cell(scored.raw), *figures, scored.position))
    rows.append(("score", "", "", "", f"{verdict.score:.1f}", ""))
    return table(rows)


def _side(value: object, unit: str) -> str:
    if value is None:
        return "unknown" if unit == "B" else "absent"
    if unit == "B":
        sizes = value if isinstance(value, list) else [value]
        return " to ".join(format_size(size) for size in sizes if isinstance(size, int))
    return _cell(value if isinstance(value, str) and " " in value else literal(value))


def _cell(text: str) -> str:
    clean = printable(text)
    return clean if len(clean) <= _MAX_CELL else clean[: _MAX_CELL - 3] + "..."


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns, indented by two."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)
