"""What each operation does to shares, snapshots, content, capacity and quota."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from inventory import tables
from shareflow import names
from tests.support.scenes import GIB, Scene
from tests.support.world import Refused

FILES = {"a": b"1", "docs/b": b"22", "docs/deep/er/c": b"333"}


def _write(scene: Scene, share_id: str, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        scene.files().write(scene.ref(share_id), path, data)


async def _filled(scene: Scene, **fields: Any) -> str:
    share = await scene.create(**fields)
    _write(scene, share["share_id"], FILES)
    return str(share["share_id"])


def _limit(scene: Scene, **limits: int) -> None:
    """Give the project limits of its own."""
    with scene.world.database.write() as connection:
        connection.execute(insert(tables.quotas).values(project=scene.project, own_limits=True, **limits))


async def _refused(scene: Scene, kind: str, **fields: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await scene.run(kind, **fields)
    return refused.value


# -- creating


async def test_created_share_has_a_place_a_size_and_a_path(scene: Scene) -> None:
    """The result says what a client needs to mount it."""
    share = await scene.create(size="10 GiB")
    assert (share["size"], share["backend"], share["pool"]) == (10 * GIB, "alpha", "a1")
    assert (share["name"], share["state"]) == ("home", "succeeded")
    assert len(share["export_locations"]) == 1
    row = scene.share()
    assert (row["status"], row["type"], row["claimed_by"]) == ("available", "standard", None)
    assert scene.used() == (1, 10 * GIB, 0)


@pytest.mark.parametrize(
    ("fields", "pool"),
    [
        ({"type": "ssd"}, "a1"),
        ({"backend": "beta"}, "b1"),
        ({"zone": "west", "backend": "alpha"}, "a2"),
        ({"pool": "b1"}, "b1"),
    ],
)
async def test_share_goes_where_type_zone_backend_and_pool_say(scene: Scene, fields: dict[str, str], pool: str) -> None:
    """What a request pins and what its type requires decide together."""
    assert (await scene.create(**fields))["pool"] == pool


async def test_name_in_use_is_refused_and_other_projects_may_have_it(scene: Scene) -> None:
    """Names belong to projects."""
    await scene.create()
    refused = await _refused(scene, names.CREATE_SHARE, name="home", size="1 GiB")
    assert refused.code == "NameTaken"
    assert "'home'" in refused.text
    other = Scene(scene.world, scene.world.project(), violations=scene.violations)
    await other.create()
    await other.purge("home")


async def test_size_above_every_pool_is_refused(scene: Scene) -> None:
    """The error says how much is missing where."""
    refused = await _refused(scene, names.CREATE_SHARE, name="home", size="1000 PiB")
    assert refused.code == "NoPoolFits"
    assert "1000 PiB" in refused.text


async def test_quota_counts_shares_bytes_and_snapshots_exactly(scene: Scene) -> None:
    """At the limit everything works, one above it is refused with limit, use and request."""
    _limit(scene, shares_limit=2, bytes_limit=3 * GIB, snapshots_limit=1)
    await scene.create()
    await scene.snapshot()
    refused = await _refused(scene, names.CREATE_SNAPSHOT, share="home", name="s2")
    assert refused.code == "QuotaExceeded"
    assert "asks for 1 more snapshots, uses 1 and may use 1" in refused.text
    refused = await _refused(scene, names.CREATE_SHARE, name="b", size="2049 MiB")
    assert refused.code == "QuotaExceeded"
    assert "uses 1 GiB and may use 3 GiB" in refused.text
    await scene.create("b", "2 GiB")
    refused = await _refused(scene, names.RESIZE_SHARE, share="home", size=GIB + 1)
    assert refused.code == "QuotaExceeded"
    refused = await _refused(scene, names.CREATE_SHARE, name="c", size=1)
    assert refused.code == "QuotaExceeded"
    assert scene.used() == (2, 3 * GIB, 1)


# -- snapshots


async def test_snapshot_keeps_the_content_of_its_moment(scene: Scene) -> None:
    """What clients write later does not change it; its name is taken once per share."""
    share = await _filled(scene)
    snapshot = await scene.snapshot()
    _write(scene, share, {"a": b"changed"})
    assert scene.files().tree(scene.snapshot_ref(snapshot["snapshot_id"])) == FILES
    assert (await _refused(scene, names.CREATE_SNAPSHOT, share="home", name="s1")).code == "NameTaken"
    await scene.create("other")
    assert (await scene.snapshot("s1", "other"))["snapshot_id"] != snapshot["snapshot_id"]


async def test_deleted_snapshot_is_gone_and_its_name_is_free(scene: Scene) -> None:
    """By name or by id; its bytes and its quota come back; clones made of it stay."""
    share = await _filled(scene)
    first = await scene.snapshot()
    clone = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name="copy")
    await scene.run(names.DELETE_SNAPSHOT, share=share, snapshot=first["snapshot_id"])
    assert (await _refused(scene, names.REVERT_SHARE, share="home", snapshot="s1")).code == "NotFound"
    second = await scene.snapshot()
    await scene.run(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    assert first["snapshot_id"] != second["snapshot_id"]
    assert scene.files().tree(scene.ref(clone["share_id"])) == FILES


async def test_type_that_forbids_snapshots_is_obeyed(scene: Scene) -> None:
    """The refusal names the type."""
    await scene.create(type="plain")
    refused = await _refused(scene, names.CREATE_SNAPSHOT, share="home", name="s1")
    assert refused.code == "NotSupported"
    assert "'plain'" in refused.text


# -- reverting


async def test_share_reverts_to_any_of_three_snapshots_and_keeps_all(scene: Scene) -> None:
    """Not only to the newest one, in any order, again and again."""
    share = await _filled(scene)
    ids = []
    for number in range(3):
        _write(scene, share, {"a": str(number).encode(), f"only-{number}": b""})
        ids.append((await scene.snapshot(f"s{number}"))["snapshot_id"])
    trees = [scene.files().tree(scene.snapshot_ref(identifier)) for identifier in ids]
    for number in (0, 2, 1, 1, 0):
        _write(scene, share, {"a": b"junk", "junk": b"junk"})
        await scene.run(names.REVERT_SHARE, share="home", snapshot=f"s{number}")
        assert scene.files().tree(scene.ref(share)) == trees[number]
    assert [scene.files().tree(scene.snapshot_ref(identifier)) for identifier in ids] == trees


async def test_revert_keeps_the_size_of_the_share(scene: Scene) -> None:
    """A share that has grown since stays as large as it is."""
    share = await _filled(scene)
    await scene.snapshot()
    await scene.run(names.RESIZE_SHARE, share="home", size="3 GiB")
    assert (await scene.run(names.REVERT_SHARE, share="home", snapshot="s1"))["size"] == 3 * GIB
    assert scene.files().tree(scene.ref(share)) == FILES


async def test_revert_that_does_not_fit_is_refused_and_changes_nothing(scene: Scene) -> None:
    """A share that was shrunk since cannot hold what the snapshot holds; its bytes are named."""
    share = await scene.create(size=1000)
    _write(scene, share["share_id"], {"big": b"x" * 900})
    await scene.snapshot()
    scene.files().remove(scene.ref(share["share_id"]), "big")
    await scene.run(names.RESIZE_SHARE, share="home", size=100)
    refused = await _refused(scene, names.REVERT_SHARE, share="home", snapshot="s1")
    assert refused.code == "DoesNotFit"
    assert "900 bytes" in refused.text
    assert scene.files().tree(scene.ref(share["share_id"])) == {}


# -- resizing


async def test_share_grows_and_shrinks_with_capacity_and_quota(scene: Scene) -> None:
    """Pool, quota, row and object always show the same size; the same size again is no error."""
    share = await _filled(scene)
    for size in (5 * GIB, 2 * GIB, 2 * GIB, 6):
        assert (await scene.run(names.RESIZE_SHARE, share="home", size=size))["size"] == size
        assert scene.used() == (1, size, 0)
        scene.check()
    assert scene.files().tree(scene.ref(share)) == FILES


async def test_shrink_below_what_is_used_is_refused_with_the_number_of_bytes(scene: Scene) -> None:
    """Nothing was changed; one byte more is enough."""
    await _filled(scene)
    refused = await _refused(scene, names.RESIZE_SHARE, share="home", size=5)
    assert refused.code == "DoesNotFit"
    assert "6 bytes are in use" in refused.text
    assert "size" in refused.text
    assert scene.share()["size"] == GIB
    assert (await scene.run(names.RESIZE_SHARE, share="home", size=6))["size"] == 6


async def test_growth_beyond_the_pool_is_refused(scene: Scene) -> None:
    """The error says what is left and what is needed."""
    await scene.create()
    refused = await _refused(scene, names.RESIZE_SHARE, share="home", size="1023.5 PiB")
    assert refused.code == "NoPoolFits"
    assert "pool 'a1' has" in refused.text
    assert scene.share()["size"] == GIB


# -- cloning and copying


async def test_clone_has_the_content_and_lives_its_own_life(scene: Scene) -> None:
    """Same pool, by the backend's own clone; changes on either side stay there."""
    share = await _filled(scene)
    await scene.snapshot()
    clone = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name="copy")
    assert (clone["size"], clone["pool"]) == (GIB, "a1")
    ref = scene.ref(clone["share_id"])
    assert scene.files().tree(ref) == FILES
    _write(scene, clone["share_id"], {"a": b"mine"})
    _write(scene, share, {"a": b"theirs"})
    assert scene.files().read(ref, "a") == b"mine"
    assert scene.share("copy")["source_snapshot_id"]
    await scene.purge("home")
    assert scene.files().read(ref, "docs/b") == b"22"


async def test_clone_may_grow_and_may_not_be_smaller(scene: Scene) -> None:
    """The smallest size is the snapshot's."""
    await _filled(scene)
    await scene.snapshot()
    request = {"share": "home", "snapshot": "s1"}
    grown = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, **request, name="big", size="7 GiB")
    assert grown["size"] == 7 * GIB
    refused = await _refused(scene, names.CREATE_SHARE_FROM_SNAPSHOT, **request, name="small", size=GIB - 1)
    assert refused.code == "DoesNotFit"
    assert "snapshot's size of 1 GiB" in refused.text


@pytest.mark.parametrize(
    ("source", "target", "pool"),
    [
        ({"pool": "a1"}, {"zone": "west", "backend": "alpha"}, "a2"),
        ({"pool": "a1"}, {"backend": "beta"}, "b1"),
        ({"pool": "b1"}, {"type": "ssd"}, "a1"),
    ],
)
async def test_copy_to_another_zone_backend_or_type_has_the_same_content(
    scene: Scene, source: dict[str, str], target: dict[str, str], pool: str
) -> None:
    """Where no clone can go, the mover copies, and it may grow on the way."""
    share = await scene.create(**source)
    for path, data in FILES.items():
        scene.files(share["backend"]).write(scene.ref(share["share_id"]), path, data)
    await scene.snapshot()
    request = {"share": "home", "snapshot": "s1", "name": "copy", "size": "2 GiB"}
    copy = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, **request, **target)
    assert (copy["pool"], copy["size"]) == (pool, 2 * GIB)
    assert scene.files(copy["backend"]).tree(scene.ref(copy["share_id"])) == FILES
    assert scene.share("copy")["type"] == target.get("type", "standard")


# -- forgetting


async def test_forgotten_share_leaves_tombstones_data_and_bytes(scene: Scene) -> None:
    """Rows and quota go, the data stay where they are and still count in the pool; the name is free."""
    share = await _filled(scene)
    ref = scene.ref(share)
    snapshot = await scene.snapshot()
    copy = scene.snapshot_ref(snapshot["snapshot_id"])
    pool = scene.one(tables.pools, name="a1")["allocated_bytes"]
    result = await scene.run(names.FORGET_SHARE, share="home", reason="moved elsewhere")
    assert sorted(result["left_behind"]) == sorted([f"alpha/a1/{ref.name}", f"alpha/a1/{copy.name}"])
    assert scene.rows(tables.shares, project=scene.project) == []
    assert scene.rows(tables.snapshots, project=scene.project) == []
    assert {row["object"] for row in scene.rows(tables.tombstones, project=scene.project)} == {ref.name, copy.name}
    assert scene.used() == (0, 0, 0)
    assert scene.one(tables.pools, name="a1")["allocated_bytes"] == pool
    assert scene.files().tree(ref) == FILES
    assert {row["why"] for row in scene.rows(tables.audit, resource_id=share)} >= {"forgotten"}
    await scene.create()


async def test_access_rules_go_with_the_purge_and_stay_with_a_restore(scene: Scene) -> None:
    """They belong to the tree."""
    share = await scene.create()
    rule = {"id": "00000000-0000-4000-8000-000000000001", "share_id": share["share_id"], "kind": "ip"}
    with scene.world.database.write() as connection:
        created = scene.share()["created_at"]
        connection.execute(
            insert(tables.access_rules).values(**rule, subject="10.0.0.1", level="rw", created_at=created)
        )
    handle = await scene.bin()
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)
    assert len(scene.rows(tables.access_rules, share_id=share["share_id"])) == 1
    await scene.purge("home")
    assert scene.rows(tables.access_rules, share_id=share["share_id"]) == []


async def test_share_whose_type_was_taken_out_of_the_specs_can_still_be_used(scene: Scene) -> None:
    """A share keeps the version of the type that it was placed with."""
    await scene.create(type="ssd")
    types = tables.share_types
    with scene.world.database.write() as connection:
        connection.execute(update(types).where(types.c.name == "ssd").values(current=False))
    try:
        await scene.snapshot()
        await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
        clone = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name="copy")
        assert clone["pool"] == "a1"
        refused = await _refused(scene, names.CREATE_SHARE, name="new", size=1, type="ssd")
        assert refused.code == "UnknownType"
        await scene.purge("home", "copy")
    finally:
        with scene.world.database.write() as connection:
            connection.execute(update(types).where(types.c.name == "ssd").values(current=True))
