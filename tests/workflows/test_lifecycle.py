"""The ordinary life of shares and snapshots on the fake backend."""

from __future__ import annotations

from shareflow import names
from tests.support.world import World


async def test_a_share_lives_from_creation_to_purge_and_leaves_nothing(world: World) -> None:
    """Create, snapshot, clone, revert, resize, delete, restore, delete, purge: nothing is left on the array."""
    project = world.project()
    share = await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": "10 GiB"})
    assert share["size"] == 10 * 2**30
    await world.run(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s1"})
    clone = await world.run(
        names.CREATE_SHARE_FROM_SNAPSHOT,
        {"project": project, "share": "home", "snapshot": "s1", "name": "copy", "size": "20 GiB"},
    )
    assert clone["pool"] == share["pool"]
    await world.run(names.REVERT_SHARE, {"project": project, "share": "home", "snapshot": "s1"})
    await world.run(names.RESIZE_SHARE, {"project": project, "share": "home", "size": "15 GiB"})
    deletion = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(deletion, "recycle-bin")
    await deletion.execute_update(names.RESTORE, {})
    assert (await world.result(deletion))["outcome"] == "restored"
    for name in ("home", "copy"):
        deletion = await world.start(names.DELETE_SHARE, {"project": project, "share": name})
        await world.until(deletion, "recycle-bin")
        await deletion.signal(names.PURGE_NOW, {})
        assert (await world.result(deletion))["outcome"] == "purged"
    assert world.array().ledger.violations() == []
