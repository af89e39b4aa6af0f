"""Replicas: made, kept in step, resynced, deleted."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.contract import ObjectRef
from inventory import tables
from shareflow import names
from tests.support.scenes import Scene
from tests.support.world import Refused


async def _replica(scene: Scene, **fields: Any) -> dict[str, Any]:
    return await scene.run(names.CREATE_REPLICA, share="home", **fields)


def _ref(scene: Scene, instance: str) -> ObjectRef:
    row = scene.one(tables.instances, id=instance)
    return ObjectRef(scene.one(tables.pools, id=row["pool_id"])["name"], row["object"])


def _row(scene: Scene, replica: str) -> dict[str, Any]:
    return dict(scene.one(tables.replicas, id=replica))


def _active(scene: Scene) -> str:
    return str(scene.one(tables.instances, share_id=scene.share()["id"], role="active")["id"])


async def _in_step(scene: Scene, replica: str) -> None:
    before = _row(scene, replica)["synced_at"]
    await scene.when(
        lambda: _row(scene, replica)["synced_at"] not in (None, before) and not _row(scene, replica)["error"]
    )
    before = _row(scene, replica)["synced_at"]
    await scene.when(lambda: _row(scene, replica)["synced_at"] != before)


async def _clean(scene: Scene) -> None:
    for row in scene.rows(tables.replicas, share_id=scene.share()["id"]):
        await scene.run(names.DELETE_REPLICA, share="home", replica=row["id"])
    await scene.when(lambda: not scene.rows(tables.operations, project=scene.project, state="running"))
    await scene.purge("home")


async def test_replica_has_the_share_with_its_snapshots_and_is_kept_in_step(scene: Scene) -> None:
    """What is written and frozen later comes over by itself."""
    share = await scene.create(type="twice", backend="alpha", pool="a1")
    source = scene.ref(share["share_id"])
    scene.files().write(source, "docs/a", b"one")
    await scene.snapshot("s1")
    made = await _replica(scene)
    assert (made["backend"], made["pool"]) == ("beta", "b1")
    row = scene.one(tables.replicas, id=made["replica_id"])
    assert (row["state"], row["error"]) == ("in_sync", "")
    scene.files().write(source, "docs/b", b"two")
    await scene.snapshot("s2")
    await _in_step(scene, made["replica_id"])
    await _clean(scene)


async def test_planned_switch_over_loses_nothing_and_goes_back_again(scene: Scene) -> None:
    """There and back, with everything that a share can do in between."""
    share = await scene.create(type="twice", backend="alpha", pool="a1")
    source = scene.ref(share["share_id"])
    scene.files().write(source, "docs/a", b"one")
    await scene.snapshot("s1")
    made = await _replica(scene)
    scene.files().write(source, "docs/b", b"two")
    await scene.snapshot("s2")
    first = _active(scene)
    done = await scene.run(names.PROMOTE_REPLICA, share="home")
    assert (done["backend"], done["demoted"], done["lost"]) == ("beta", "alpha/a1", False)
    assert scene.files("beta").tree(_ref(scene, made["replica_id"])) == {"docs/a": b"one", "docs/b": b"two"}
    scene.files("beta").write(_ref(scene, made["replica_id"]), "docs/c", b"three")
    await _in_step(scene, first)
    back = await scene.run(names.PROMOTE_REPLICA, share="home", replica="alpha/a1")
    assert back["backend"] == "alpha"
    assert scene.files().tree(source) == {"docs/a": b"one", "docs/b": b"two", "docs/c": b"three"}
    await scene.run(names.REVERT_SHARE, share="home", snapshot="s2")
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    await scene.run(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    await _in_step(scene, made["replica_id"])
    await _clean(scene)


async def test_lost_active_is_replaced_by_what_the_replica_has_and_fenced_when_it_is_back(scene: Scene) -> None:
    """Only with the loss accepted."""
    share = await scene.create(type="twice", backend="alpha", pool="a1")
    source = scene.ref(share["share_id"])
    scene.files().write(source, "docs/a", b"one")
    made = await _replica(scene)
    await _in_step(scene, made["replica_id"])
    with pytest.raises(Refused) as refused:
        await scene.run(names.PROMOTE_REPLICA, share="home", lost=True, reason="burnt")
    assert "accept_loss" in refused.value.text
    done = await scene.run(names.PROMOTE_REPLICA, share="home", lost=True, reason="burnt", accept_loss=True)
    assert done["lost"]
    assert done["loss_seconds"] > 0
    old = scene.one(tables.instances, object=source.name)["id"]
    await scene.when(lambda: _row(scene, old)["stale"] == "kept")
    await scene.run(names.RESYNC_REPLICA, share="home", replica=old)
    assert _row(scene, old)["stale"] == ""
    await _clean(scene)
