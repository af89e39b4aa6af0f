"""Drift: where git, the inventory and the backends say different things."""

from __future__ import annotations

from typing import Any

from dsl.drift import DriftRow, backend_rows, full_pools, git_rows, merged
from dsl.effects import PoolUse, Usage
from dsl.planning import plan
from dsl.spec_set import SpecSet, from_records

TIB = 2**40


def _set(pools: list[dict[str, Any]] | None = None, **more: Any) -> SpecSet:
    backend = {"kind": "Backend", "name": "local", "driver": "fake", "pools": pools or [_rack()], **more}
    return from_records([backend, {"kind": "ShareType", "name": "gold"}])


def _rack(**more: Any) -> dict[str, Any]:
    return {"name": "rack1", "attributes": {"media": "ssd"}, **more}


def _rows(applied: SpecSet, own: SpecSet, reported: dict[str, dict[str, object]]) -> list[tuple[str, str, Any, Any]]:
    found = backend_rows(applied.backends["local"], own.backends["local"], reported)
    return [(row.name, row.field, row.inventory, row.backend) for row in found]


def test_backend_that_is_as_applied_has_no_rows() -> None:
    """Attributes that a driver reports beside the declared ones are no drift."""
    assert _rows(_set(), _set(), {"rack1": {"media": "ssd", "protocols": ["path"]}}) == []
    assert _rows(_set(), _set(), {"rack1": {}}) == []


def test_reported_attribute_that_differs_from_the_declared_one_is_drift() -> None:
    """Both values are told; True is not 1."""
    assert _rows(_set(), _set(), {"rack1": {"media": "hdd"}}) == [("local/rack1", "attributes.media", "ssd", "hdd")]
    applied = _set([_rack(attributes={"fast": True})])
    assert _rows(applied, applied, {"rack1": {"fast": 1}}) == [("local/rack1", "attributes.fast", True, 1)]


def test_pool_that_the_driver_does_not_report_is_drift() -> None:
    """It was applied and the worker knows it, but the storage does not."""
    assert _rows(_set(), _set(), {}) == [("local/rack1", "", "applied", "not reported")]


def test_workers_with_other_files_than_applied_are_drift() -> None:
    """What waits for a restart is told until it has happened, in both directions."""
    applied, own = _set([_rack(), {"name": "rack2"}], slots=4), _set([_rack(options={"a": 1}), {"name": "rack3"}])
    assert _rows(applied, own, {"rack1": {}}) == [
        ("local", "slots", 4, None),
        ("local/rack1", "options", {}, {"a": 1}),
        ("local/rack2", "", "applied", "not in its workers' files"),
        ("local/rack3", "", None, "in its workers' files"),
    ]


def test_pool_with_a_limit_below_what_is_handed_out_is_drift() -> None:
    """The storage became smaller, or its terms did."""
    full = list(full_pools(_set(), Usage(pools={"local/rack1": PoolUse(allocated=3 * TIB, total=2 * TIB)})))
    assert [(row.name, row.inventory) for row in full] == [("local/rack1", "limit 2 TiB, 3 TiB handed out")]
    assert list(full_pools(_set(), Usage(pools={"local/rack1": PoolUse(allocated=2 * TIB, total=2 * TIB)}))) == []
    assert list(full_pools(_set(), Usage(pools={"local/rack1": PoolUse(allocated=2 * TIB)}))) == []


def test_git_and_inventory_differ_in_what_a_plan_would_change() -> None:
    """A document that one of both lacks is a row of its own, a key that differs another."""
    git = from_records(
        [*_set([_rack(attributes={"media": "hdd"})]).records()[:1], {"kind": "ShareType", "name": "new"}]
    )
    assert [(row.key, row.git, row.inventory) for row in git_rows(plan(_set(), git, Usage()))] == [
        (("Pool", "local/rack1", "attributes.media"), "hdd", "ssd"),
        (("ShareType", "gold", ""), None, "applied"),
        (("ShareType", "new", ""), "declared", None),
    ]


def test_rows_of_the_same_key_become_one_with_all_three_values() -> None:
    """Three-way means one row that shows who says what, with both next steps."""
    git = DriftRow("Pool", "local/rack1", "attributes.media", git="tape", inventory="ssd", advice="one")
    backend = DriftRow("Pool", "local/rack1", "attributes.media", inventory="ssd", backend="hdd", advice="two")
    (row,) = merged([git, backend], _set([_rack(attributes={"media": "tape"})]))
    assert (row.git, row.inventory, row.backend, row.advice) == ("tape", "ssd", "hdd", "one; two")


def test_value_in_git_is_shown_where_only_the_backend_differs() -> None:
    """Git and the inventory agree: the row says so, so that nobody looks in the wrong place."""
    only = [
        DriftRow("Pool", "local/rack1", "attributes.media", inventory="ssd", backend="hdd"),
        DriftRow("Pool", "local/rack9", "", inventory="applied", backend="not reported"),
        DriftRow("Backend", "local", "driver", inventory="other", backend="fake"),
    ]
    assert [(row.name, row.git) for row in merged(only, _set())] == [
        ("local", "fake"),
        ("local/rack1", "ssd"),
        ("local/rack9", None),
    ]
    assert {row.git for row in merged(only, None)} == {None}
