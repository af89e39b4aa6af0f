"""The ordinary life of shares and snapshots on the fake backend."""

from __future__ import annotations

import pytest

from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.reads import Page
from tests.support.world import Refused, World


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


@pytest.mark.parametrize("operation", ["x" * 256, "line\nbreak"])
async def test_an_unusable_workflow_id_ends_the_workflow_at_once_and_changes_nothing(
    world: World, operation: str
) -> None:
    """The id is the operation's key in the inventory: one that cannot be stored is refused before anything happens."""
    project = world.project()
    with pytest.raises(Refused, match="SF100 workflow id"):
        await world.run(
            names.CREATE_SHARE, {"project": project, "name": "home", "size": 1024}, operation=f"{operation}{project}"
        )
    page = await world.read(names.LIST_OPERATIONS, reads.OperationQuery(project=project), Page[reads.OperationView])
    assert page.items == []
