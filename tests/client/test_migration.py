"""Migrations through the client: where to in one word, commands into a running one, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import shareflow
from shareflow.contracts.migration import MigrateShareInput, MigrateShareResult
from shareflow.contracts.reads import PoolView
from shareflow.migrating import PROMISES, resolve
from shareflow.operation import Operation
from shareflow.server.devserver import DevServer
from tests.support.world import World

Moving = Operation[MigrateShareResult]


def pool(backend: str, name: str, zone: str) -> PoolView:
    """A pool as the server tells of it."""
    return PoolView(
        id=f"{backend}-{name}", backend=backend, name=name, zone=zone, limit_bytes=None, allocated_bytes=0,
        total_bytes=None, free_bytes=None, reachable=True, attributes={},
    )  # fmt: skip


POOLS = [
    pool("alpha", "a1", "east"),
    pool("alpha", "same", "west"),
    pool("beta", "same", "west"),
    pool("gold", "gold", "x"),
]


@pytest.fixture
async def moving(shares: shareflow.Shares) -> AsyncIterator[Moving]:
    """A migration of home from alpha/a1 to beta that follows its source and waits for its cutover."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    operation = await shares.migrate("home", to="beta", grace=0)
    await operation.wait_for("catching-up")
    yield operation
    if not await operation.ended():
        await operation.cancel(wait=True)


@pytest.mark.parametrize(
    ("word", "pins"),
    [
        ("a1", {"to_backend": "alpha", "to_pool": "a1"}),
        ("alpha", {"to_backend": "alpha"}),
        ("west", {"to_zone": "west"}),
        ("gold", {"to_backend": "gold", "to_pool": "gold"}),
    ],
)
def test_one_word_is_a_pool_a_backend_or_a_zone(word: str, pins: dict[str, str]) -> None:
    """A word that means the same pools in several ways is not ambiguous."""
    assert resolve(word, POOLS) == pins


def test_a_word_that_means_several_things_is_refused_with_all_of_them() -> None:
    """Nothing is guessed; the choices are in the message."""
    with pytest.raises(shareflow.InvalidInput, match="pool alpha/same, pool beta/same") as caught:
        resolve("same", POOLS)
    assert caught.value.field == "to"
    zone = [*POOLS, pool("beta", "alpha", "north")]
    with pytest.raises(shareflow.InvalidInput, match="pool beta/alpha, backend alpha"):
        resolve("alpha", zone)
    with pytest.raises(shareflow.InvalidInput, match="'alhpa' is no pool, backend or zone") as unknown:
        resolve("alhpa", POOLS)
    assert "alpha" in unknown.value.hint


async def test_a_share_moves_when_it_is_told_to(shares: shareflow.Shares, moving: Moving) -> None:
    """Progress tells how it fares; the cutover ends in a typed result, and the share is at its destination."""
    status = await moving.status()
    assert status.migration is not None
    assert (status.migration.source, status.migration.destination) == ("alpha/a1", "beta/b1")
    assert status.migration.window_seconds is not None
    assert status.migration.passes
    assert await moving.cutover() == "cutting over"
    phases = [status.phase async for status in moving.progress()]
    assert phases[-1] == "ended"
    result = await moving.result()
    assert isinstance(result, MigrateShareResult)
    assert (result.outcome, result.source, result.destination) == ("migrated", "alpha/a1", "beta/b1")
    assert (await shares.get("home")).backend == "beta"
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await moving.cutover()
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await moving.cancel_migration()


async def test_a_cancelled_migration_leaves_the_share_where_it_is(shares: shareflow.Shares, moving: Moving) -> None:
    """The command answers at once; the result says that it was cancelled, and nothing else is taken afterwards."""
    assert "cancelling" in await moving.cancel_migration()
    with pytest.raises(shareflow.OperationCancelled):
        await moving.result()
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await moving.cutover()
    assert (await shares.get("home")).backend == "alpha"
    assert (await shares.get("home")).status == "available"


async def test_a_copy_is_paused_limited_and_resumed(moving: Moving) -> None:
    """Each command answers with what counts now; one at the wrong time is refused with its reason."""
    assert await moving.set_bandwidth("50 MiB/s") == "50 MiB/s"
    status = await moving.status()
    assert status.migration is not None
    assert status.migration.bandwidth == 50 * 2**20
    assert await moving.set_bandwidth(None) == "no limit"
    assert await moving.pause() == "paused"
    await moving.wait_for("paused")
    with pytest.raises(shareflow.CommandRefused, match="the copy is paused") as refused:
        await moving.cutover()
    assert "resume" in refused.value.hint
    with pytest.raises(shareflow.CommandRefused, match="paused"):
        await moving.pause()
    assert await moving.resume() == "copying"
    await moving.wait_for("catching-up")
    with pytest.raises(shareflow.CommandRefused):
        await moving.resume()
    with pytest.raises(shareflow.CommandRefused, match="end_grace"):
        await moving.end_grace()


async def test_an_old_copy_is_kept_for_its_grace_or_deleted_on_command(shares: shareflow.Shares) -> None:
    """Past the switch nothing leads back; the grace can be ended."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    operation = await shares.migrate("home", to="beta/b1", cutover_when="immediately", grace="7 d")
    status = await operation.wait_for("grace")
    assert status.commands == ["end_grace"]
    with pytest.raises(shareflow.CommandRefused, match="switched"):
        await operation.cancel_migration()
    with pytest.raises(shareflow.CommandRefused, match="switched"):
        await operation.cutover()
    assert await operation.end_grace() == "deleting the old copy"
    assert (await operation.result()).outcome == "migrated"


async def test_a_dry_run_plans_with_a_reason_per_promise_and_changes_nothing(shares: shareflow.Shares) -> None:
    """All promises are in the plan, asked for or not."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    operation = await shares.migrate("home", dry_run=True, to="west", promises=["preserve_snapshots"])
    result = await operation.result()
    assert result.outcome == "planned"
    assert result.plan is not None
    assert {promise.name: promise.asked for promise in result.plan.promises} == {
        "writable": True, "preserve_metadata": True, "preserve_snapshots": True, "nondisruptive": False,
    }  # fmt: skip
    assert all(promise.reason for promise in result.plan.promises)
    assert (await shares.get("home")).backend == "alpha"


async def test_the_same_request_id_gives_the_same_migration(shares: shareflow.Shares, key: str) -> None:
    """Also when the destination is said in another way; with another one it is another request."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    first = await shares.migrate("home", to="b1", cutover_when="immediately", grace=0, request_id=key)
    options: dict[str, Any] = {"cutover_when": "immediately", "grace": 0, "request_id": key}
    again = await shares.migrate("home", to_backend="beta", to_pool="b1", **options)
    assert again.id == first.id
    with pytest.raises(shareflow.RequestReused):
        await shares.migrate("home", to="alpha", **options)
    await first.result()


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth": "fast"}, "SF100 bandwidth: .*not a rate"),
        ({"bandwidth": "50 MB/s"}, "SF100 bandwidth: .*did you mean MiB"),
        ({"bandwidth": 1}, "SF100 bandwidth: .*between 1 KiB/s"),
        ({"bandwidth": -(2**20)}, "SF100 bandwidth: .*between 1 KiB/s"),
        ({"bandwidth": True}, "SF100 bandwidth: .*not a rate"),
        ({"grace": "soon"}, "SF100 grace: .*not a duration"),
        ({"mode": "magic"}, "SF100 mode: "),
        ({"verify": "hope"}, "SF100 verify: "),
        ({"cutover_when": "never"}, "SF100 cutover_when: "),
        ({"cutover_when": "lag_below"}, "lag_below goes with cutover_when"),
        ({"cutover_when": "manual", "lag_below": "1 MiB"}, "lag_below goes with cutover_when"),
        ({"cutover_when": "window"}, "window_from and window_until go with"),
        ({"window": (NOW, NOW)}, "is not after window_from"),
        ({"window": (NOW, NOW - timedelta(hours=1))}, "is not after window_from"),
        ({"window": ("tonight", "tomorrow")}, "SF100 window_from: "),
        ({"window": ("2030-01-01T00:00:00", "2030-01-02T00:00:00")}, "SF100 window_from: "),
        ({"promises": ["painless"]}, "SF100 promises: 'painless' is no promise"),
        ({"promises": "writable"}, "SF100 promises: "),
        ({"to": "nowhere"}, "SF100 to: 'nowhere' is no pool, backend or zone"),
        ({"to": "alpha", "to_zone": "west"}, "SF100 to: .*together"),
        ({"to": "alpha/"}, "SF100 to_pool: "),
        ({"to": "a/b/c"}, "SF100 to_pool: "),
        ({"to_pool": "a b"}, "SF100 to_pool: "),
        ({"to_type": ""}, "SF100 to_type: "),
        ({"share": "../x"}, "SF100 share: "),
    ],
)
async def test_bad_options_start_nothing(shares: shareflow.Shares, options: dict[str, Any], message: str) -> None:
    """Each names its field and value, on one line, and no operation is recorded."""
    with pytest.raises(shareflow.InvalidInput, match=message) as refused:
        await shares.migrate(**{"share": "home", **options})
    assert str(refused.value).isprintable()
    assert [operation async for operation in shares.operations()] == []


@pytest.mark.parametrize("rate", ["fast", "10 MB/s", "", 0, -1, 1.5, float("nan"), True, "10 MiB"])
async def test_a_nonsensical_limit_is_refused_and_changes_nothing(moving: Moving, rate: Any) -> None:
    """The limit that counts stays."""
    with pytest.raises(shareflow.InvalidInput, match="SF100 bandwidth: "):
        await moving.set_bandwidth(rate)
    status = await moving.status()
    assert status.migration is not None
    assert status.migration.bandwidth is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"to_pool": "a1", "to_backend": "alpha"}, shareflow.InvalidInput, "is in pool alpha/a1 already"),
        ({"to": "alpha/nope"}, shareflow.NotFound, "there is no pool 'nope'"),
        ({"to_type": "nope"}, shareflow.UnknownType, "nope"),
        ({"share": "nope"}, shareflow.NotFound, "nope"),
        ({"window": (NOW - timedelta(days=9999), NOW - timedelta(days=9998))}, shareflow.InvalidInput, "is over"),
        ({"promises": ["nondisruptive"]}, shareflow.NotSupported, "nondisruptive"),
    ],
    ids=["to where it is", "unknown pool", "unknown type", "unknown share", "window in the past", "broken promise"],
)
async def test_what_cannot_be_ends_at_once_and_leaves_no_trace(
    shares: shareflow.Shares, options: dict[str, Any], error: type[shareflow.ShareflowError], words: str
) -> None:
    """The reason is the operation's result; the share and its pool are as before."""
    await (await shares.create("home", "1 GiB", pool="a1")).result()
    before = {one.id: one.allocated_bytes for one in await shares.pools()}
    with pytest.raises(error, match=words):
        await (await shares.migrate(**{"share": "home", **options})).result()
    assert (await shares.get("home")).status == "available"
    assert {one.id: one.allocated_bytes for one in await shares.pools()} == before


async def test_a_full_or_drained_destination_is_refused_with_its_reason(shares: shareflow.Shares) -> None:
    """The share stays where it is; what drains a pool is taken back with the same command."""
    await (await shares.create("home", "850 TiB", pool="a1")).result()
    with pytest.raises(shareflow.NoPoolFits, match="lacks 50"):
        await (await shares.migrate("home", to="b1")).result()
    await (await shares.create("small", "1 GiB", pool="a1")).result()
    drained = await (await shares.drain_pool("beta", "b1", reason="new disks")).result()
    try:
        assert drained.drained
        with pytest.raises(shareflow.NoPoolFits, match="drain"):
            await (await shares.migrate("small", to="b1")).result()
    finally:
        await (await shares.drain_pool("beta", "b1", drained=False)).result()
    assert [share.pool async for share in shares.list()] == ["a1", "a1"]
    await (await shares.delete("home", retention=0)).result()


async def test_another_projects_share_is_as_unknown_as_none(
    shares: shareflow.Shares, server: DevServer, world: World, moving: Moving
) -> None:
    """Neither its share can be migrated, nor its migration commanded."""
    async with shareflow.connect(server.address, project=world.project()) as others:
        with pytest.raises(shareflow.NotFound, match="home"):
            await (await others.migrate("home", to="beta")).result()
        with pytest.raises(shareflow.NotFound):
            await others.operation_handle(moving.id)
    assert (await moving.status()).phase == "catching-up"


def test_promises_of_the_client_are_those_of_the_wire() -> None:
    """Every promise can be asked for by its name."""
    flags = {name for name, field in MigrateShareInput.model_fields.items() if field.annotation is bool}
    assert set(PROMISES) == flags - {"ignore_open_files", "dry_run", "same_domain"}
