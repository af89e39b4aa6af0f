"""Retypes, drained pools and evacuations through the client."""

from __future__ import annotations

import pytest

import shareflow


async def test_a_share_is_retyped_in_place_after_a_dry_run_that_says_so(shares: shareflow.Shares) -> None:
    """The plan and the result agree."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    plan = (await (await shares.retype("home", "plain", dry_run=True)).result()).plan
    assert plan is not None
    assert (plan.mode, plan.reason) == ("in_place", "alpha/a1 satisfies type 'plain'")
    result = await (await shares.retype("home", "plain")).result()
    assert (result.outcome, (await shares.get("home")).type) == ("in_place", "plain")


async def test_a_retype_that_moves_takes_the_options_of_a_migration(shares: shareflow.Shares) -> None:
    """It follows its source until it is told to cut over."""
    await (await shares.create("home", "1 GiB", pool="a2")).result()
    operation = await shares.retype("home", "ssd", grace=0, bandwidth="1 GiB/s")
    await operation.wait_for("catching-up")
    await operation.cutover()
    assert (await operation.result()).destination == "alpha/a1"


async def test_a_dry_run_of_an_evacuation_tells_what_there_is_and_where_it_would_go(shares: shareflow.Shares) -> None:
    """Of a pool, and of a whole backend; nothing is marked."""
    await (await shares.create("home", "1 GiB", pool="b1")).result()
    of_pool = await (await shares.evacuate("beta", "b1", dry_run=True)).result()
    of_backend = await (await shares.evacuate("beta", dry_run=True, cutover_when="manual")).result()
    assert of_pool.plan is not None
    assert of_pool.plan == of_backend.plan
    assert of_pool.plan.shares >= 1
    assert all(one.destination != "beta/b1" for one in of_pool.plan.first)
    assert (of_pool.source, of_backend.source) == ("beta/b1", "beta")
    assert not any(pool.drained for pool in await shares.pools())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"concurrency": 0}, "SF100 concurrency: "),
        ({"concurrency": 33}, "SF100 concurrency: "),
        ({"bandwidth": "fast"}, "SF100 bandwidth: "),
        ({"to_pool": "a/b"}, "SF100 to_pool: "),
        ({"cutover_when": "later"}, "SF100 cutover_when: "),
        ({"lag_below": "1 MiB", "cutover_when": "manual"}, "lag_below goes with"),
        ({"promises": ["speed"]}, "speed"),
    ],
)
async def test_bad_options_are_refused_before_anything_starts(
    shares: shareflow.Shares, fields: dict[str, object], message: str
) -> None:
    """They name field and value, and reach no server."""
    with pytest.raises(shareflow.InvalidInput, match=message):
        await shares.evacuate("beta", "b1", **fields)  # type: ignore[arg-type]
    assert [operation async for operation in shares.operations()] == []
