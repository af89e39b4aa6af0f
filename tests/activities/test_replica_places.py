"""Where a replica cannot be, and why."""

from __future__ import annotations

from typing import Any, cast

import pytest
from sqlalchemy import RowMapping

from activities.recipes.apart import obstacle
from dsl.replicas import ReplicaRules, ReplicaType


def pool(name: str, **attributes: Any) -> RowMapping:
    """A pool as the inventory has it, of a driver that can do everything."""
    able = {"access_modes": ["rw", "ro", "none"], "transfer": "btrfs", "host_access": True}
    able |= dict.fromkeys(("snapshots", "revert", "clone"), True)
    row = {"id": name, "backend": name, "name": name, "zone": "", "attributes": able | attributes}
    return cast("RowMapping", row)


@pytest.mark.parametrize(
    ("kind", "attributes", "reason"),
    [
        ("dr", {}, ""),
        ("dr", {"access_modes": ["rw", "ro"]}, "no access mode 'none', which dr replicas need"),
        ("dr", {"snapshots": False}, "takes no snapshots, and the share has 1"),
        ("readable", {"access_modes": ["rw", "none"]}, "no access mode 'ro', which readable replicas need"),
        ("readable", {"transfer": ""}, "clients could read there while the mover writes"),
        ("dr", {"transfer": ""}, ""),
        ("dr", {"transfer": "", "host_access": False}, "cannot be copied there"),
        ("writable", {}, "no driver takes writes on two copies"),
    ],
)
def test_a_pool_that_cannot_hold_a_replica_of_a_kind_says_why(
    kind: ReplicaType, attributes: dict[str, Any], reason: str
) -> None:
    """Writable ones are refused wherever they would be: nothing can keep two writable copies the same."""
    found = obstacle(pool("b", **attributes), pool("a"), ReplicaRules(type=kind), 1)
    assert reason in found
    assert bool(found) == bool(reason)
