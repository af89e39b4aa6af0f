"""What a run found: printed as it comes, kept for the JSON file, compared with its targets."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed: one of the values."""
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a figure has to keep."""

    bound: float
    which: Literal["at least", "at most"]

    def met(self, value: float) -> bool:
        """Whether the figure keeps it."""
        return value >= self.bound if self.which == "at least" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``detail`` has what it was computed from."""

    name: str
    value: float
    unit: str
    target: Target | None
    detail: dict[str, float]

    @property
    def met(self) -> bool | None:
        """Whether its target is met; None without one."""
        return None if self.target is None else self.target.met(self.value)


@dataclass(slots=True)
class Report:
    """All figures of one run, in the order in which they were found."""

    figures: list[Figure] = field(default_factory=list)

    def head(self, text: str) -> None:
        """Begin a group of figures."""
        print(f"\n{text}", flush=True)

    def note(self, text: str) -> None:
        """Say something that is no figure."""
        print(f"  {text}", flush=True)

    def add(self, name: str, value: float, unit: str, *, target: Target | None = None, **detail: float) -> None:
        """Keep a figure and print it with its details and its target."""
        figure = Figure(name, value, unit, target, detail)
        self.figures.append(figure)
        parts = ", ".join(f"{key.replace('_', ' ')} {_number(number)}" for key, number in detail.items())
        mark = {None: "", True: "ok", False: "MISSED"}[figure.met]
        wanted = f"{target.which} {target.bound:g}: {mark}" if target else ""
        print(f"  {name:<34} {_number(value):>8} {unit:<9} {wanted:<20} {parts}".rstrip(), flush=True)

    def spread(self, name: str, values: Sequence[float], unit: str, *, target: Target | None = None) -> None:
        """Keep how values are distributed: their median, with the least, the 95th percentile and the most."""
        self.add(
            name, statistics.median(values), unit, target=target,
            least=min(values), p95=p95(values), most=max(values), rounds=len(values),
        )  # fmt: skip

    @property
    def missed(self) -> list[str]:
        """Names of the figures whose target is missed."""
        return [figure.name for figure in self.figures if figure.met is False]

    def write(self, path: Path) -> None:
        """Write all figures as one JSON array. Raises OSError."""
        rows = [{**asdict(figure), "met": figure.met} for figure in self.figures]
        path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
