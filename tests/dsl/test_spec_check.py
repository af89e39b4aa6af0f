"""What the command line shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import dsl
from dsl import PlacementRequest, PoolView, check, load_specs, place, render_decision
from dsl.capacity import GIB, PoolFigures

ROOT = Path(dsl.__file__).parent.parent
SNAPSHOTS = Path(__file__).parent / "snapshots"


def _pools() -> list[PoolView]:
    return [
        PoolView(f"{b.name}/{p.name}", b.name, p.name, p.zone, PoolFigures(100 * GIB, 5 * GIB), dict(p.attributes))
        for b, p in load_specs([Path("specs")]).pools()
    ] + [PoolView("open", "cloud", "open", None, attributes={"tier": "primary"}, protocols=())]


@pytest.mark.parametrize("size", [1, 12])
def test_decision_is_shown_as_a_table_per_pool(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcome first, then every rule with what the pool has, what is asked for, the verdict and the spec line."""
    monkeypatch.chdir(ROOT)
    fast = load_specs([Path("specs")]).share_types["fast"]
    text = render_decision(place(PlacementRequest(size * GIB, fast, zone="a"), _pools()))
    expected = SNAPSHOTS / f"decision_{size}.txt"
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("wanted", ["local/rack1", "rack1"])
def test_decision_can_be_shown_for_one_pool(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome stays, the tables of other pools go."""
    monkeypatch.chdir(ROOT)
    fast = load_specs([Path("specs")]).share_types["fast"]
    text = render_decision(place(PlacementRequest(GIB, fast), _pools()), [wanted])
    assert "local/rack1: kept" in text
    assert "local/rack2:" not in text
    assert text.startswith("local/rack1 is the best of 1 pool that fits; ")


def test_check_gives_the_set_and_its_warnings(tmp_path: Path) -> None:
    """A set with warnings is usable; a refused one is not there."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_bytes((SNAPSHOTS / "warnings.yaml").read_bytes())
    bad.write_text("a: [")
    specs, problems = check([good])
    assert specs is not None
    assert tuple(problems) == specs.warnings != ()
    specs, problems = check([good, bad])
    assert specs is None
    assert {problem.severity for problem in problems} == {"error", "warning"}
