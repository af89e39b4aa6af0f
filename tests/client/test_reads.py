"""Reading through a worker: pages, refusals, projects."""

from __future__ import annotations

import asyncio

import pytest

import shareflow
from shareflow.contracts.reads import ShareView
from shareflow.server.devserver import DevServer
from tests.support.world import World


async def test_lists_go_over_all_pages_in_order(shares: shareflow.Shares) -> None:
    """A list is whole and in order however many pages it has."""
    started = await asyncio.gather(*(shares.create(f"s-{number:03}", 4096) for number in range(110)))
    await asyncio.gather(*(operation.result() for operation in started))
    wanted = [f"s-{number:03}" for number in range(110)]
    assert [share.name async for share in shares.list()] == wanted
    assert [share.name async for share in shares.list(descending=True)] == wanted[::-1]
    first = await shares.list_page(limit=70)
    rest = await shares.list_page(limit=70, after=first.next)
    assert [share.name for share in [*first.items, *rest.items]] == wanted
    assert rest.next == ""


async def test_every_read_answers(shares: shareflow.Shares) -> None:
    """Shares, snapshots, operations, pools, types, quota, findings, audit, placement: each comes back typed."""
    made = await (await shares.create("home", "1 GiB", description="mine")).result()
    taken = await (await shares.snapshot("home", "monday")).result()
    share = await shares.get("home")
    assert isinstance(share, ShareView)
    assert (share.id, share.description, share.created_at.tzinfo is not None) == (made.share_id, "mine", True)
    assert await shares.get(made.share_id) == share
    assert [s.id async for s in shares.snapshots("home")] == [taken.snapshot_id]
    assert (await shares.get_snapshot("home", "monday")).share_id == share.id
    operations = [o async for o in shares.operations(share="home")]
    assert {o.kind for o in operations} == {"CreateShare", "CreateSnapshot"}
    assert await shares.operation(operations[0].id) == operations[0]
    assert {pool.backend for pool in await shares.pools()} == {"alpha", "beta"}
    assert "standard" in {kind.name for kind in await shares.types()}
    assert (await shares.quota()).bytes_used == 2**30
    assert [f async for f in shares.findings() if f.subject == share.id] == []
    assert {a.after async for a in shares.audit(resource=share.id)} >= {"creating", "available"}
    placement = await shares.explain("1 GiB", zone="west")
    assert placement.chosen in placement.decision["ranked"]


async def test_unknown_share_is_not_found_with_its_name(shares: shareflow.Shares) -> None:
    """A refusal of the inventory arrives whole."""
    with pytest.raises(shareflow.NotFound, match=r"SF101 share: .*'nope'"):
        await shares.get("nope")


async def test_another_projects_share_is_as_unknown_as_none(
    shares: shareflow.Shares, server: DevServer, world: World
) -> None:
    """Nothing tells a stranger that a share exists, by name or by id."""
    made = await (await shares.create("home", 4096)).result()
    async with shareflow.connect(server.address, project=world.project()) as others:
        answers = []
        for asked in ("home", made.share_id, "never-was"):
            with pytest.raises(shareflow.NotFound) as caught:
                await others.get(asked)
            answers.append(str(caught.value).replace(asked, "X"))
        assert len(set(answers)) == 1
        assert [share async for share in others.list()] == []


@pytest.mark.parametrize("fields", [{"limit": 0}, {"limit": 1001}, {"status": "odd"}, {"colour": "red"}])
async def test_malformed_question_is_refused_here(shares: shareflow.Shares, fields: dict[str, object]) -> None:
    """Bad questions never reach a worker."""
    with pytest.raises(shareflow.InvalidInput, match=next(iter(fields))):
        await shares.list_page(**fields)  # type: ignore[arg-type]
