"""What ``spec plan``, ``spec apply`` and ``spec drift`` share: reading a set and plan files, and showing a plan."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shareflow.cli.output import counted, print_line, safe
from shareflow.contracts.units import format_duration, format_size
from shareflow.errors import InvalidInput, SpecError

if TYPE_CHECKING:
    from shareflow.contracts.specs import Document, PlanFile, PlanLine, PlanView

_SIGNS = {"create": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}
_SIZES = ("bytes", "min_size", "max_size")
_DURATIONS = ("retention", "every", "interval", "loss")


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """One set of spec files as records.

    Raises:
        SpecError: the set is refused. Its problems are on standard error then.
    """
    from dsl.problems import SpecProblems  # noqa: PLC0415 - `--help` has to be quick
    from dsl.spec_set import load_specs  # noqa: PLC0415

    try:
        specs = load_specs(paths)
    except SpecProblems as refused:
        for line in refused.render().splitlines():
            print_line(safe(line), style="red" if line.startswith("error") else "", stderr=True)
        errors = sum(problem.severity == "error" for problem in refused.problems) + refused.omitted
        raise SpecError(
            f"the set is refused: {counted(errors, 'error')}", hint="correct the files; see above"
        ) from None
    records: list[Document] = json.loads(json.dumps(specs.records()))
    return records


def read_plan(path: Path) -> PlanFile:
    """A file of ``spec plan --out``. Raises InvalidInput when it is none."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` has to be quick

    from shareflow.contracts.specs import PlanFile  # noqa: PLC0415

    try:
        return PlanFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise InvalidInput(
            f"`{path}` is no plan: {reason}", field="PATH", hint="make one with: shareflow spec plan PATH... --out FILE"
        ) from None


def show_plan(plan: PlanView) -> None:
    """A plan for people."""
    for line in plan.lines:
        sign, style = _SIGNS[line.action]
        needs = f"   in use by {line.in_use} shares: needs --allow {line.name}" if line.in_use else ""
        print_line(safe(f"{sign} {line.kind} {line.name}{needs}"), style=style)
        for text in _details(line):
            print_line(safe(f"    {text}"))
    if plan.left_off:
        print_line(f"{plan.left_off} more lines are left off")
    print_line(summary(plan))


def summary(plan: PlanView) -> str:
    """One line: how much changes, and on what."""
    counts = {action: sum(line.action == action for line in plan.lines) for action in _SIGNS}
    on = f"specs revision {plan.token.specs_revision}" if plan.token.specs_revision else "an empty inventory"
    if not plan.lines:
        return f"nothing to do: {on} says the same"
    return f"{counts['create']} to create, {counts['change']} to change, {counts['remove']} to remove, on {on}"


def _details(line: PlanLine) -> Iterator[str]:
    for one in line.differences:
        yield f"{one.key}: {_shown(one.key, one.old)} -> {_shown(one.key, one.new)}"
    yield from line.effects


def _shown(key: str, value: Any) -> str:
    name = key.rpartition(".")[2]
    if value is None:
        return "(default)"
    if isinstance(value, int) and not isinstance(value, bool):
        if name in _SIZES:
            return format_size(value)
        if name in _DURATIONS:
            return format_duration(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."
