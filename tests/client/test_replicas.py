"""Replicas through the client: made, shown, brought up to date, promoted, deleted, and what is refused."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import shareflow
from shareflow.contracts.failover import FailbackBackendInput, FailoverBackendInput, FailoverResult
from shareflow.contracts.operations import Request
from shareflow.contracts.reads import ReplicaView
from shareflow.contracts.replication import (
    CreateReplicaInput,
    DeleteReplicaInput,
    PromoteReplicaInput,
    PromoteReplicaResult,
    ReplicaResult,
    ResyncReplicaInput,
)
from shareflow.server.devserver import DevServer
from tests.support.world import World


@pytest.fixture
async def home(shares: shareflow.Shares) -> AsyncIterator[str]:
    """A share in alpha/a1 whose type has replicas. They go with it, so that nothing is kept in step for ever."""
    await (await shares.create("home", "1 GiB", "twice", pool="a1")).result()
    yield "home"
    for replica in (await shares.get("home")).replicas:
        await (await shares.delete_replica("home", replica.id)).result()
    await (await shares.delete("home", retention=0)).result()


async def only(shares: shareflow.Shares, share: str) -> ReplicaView:
    """The share's only replica."""
    (replica,) = (await shares.get(share)).replicas
    return replica


async def test_a_replica_is_made_shown_brought_up_to_date_and_deleted(shares: shareflow.Shares, home: str) -> None:
    """Every result is typed; the share shows where it is, how old its content is, and who keeps it in step."""
    made = await (await shares.create_replica(home, bandwidth="1 GiB/s")).result()
    assert isinstance(made, ReplicaResult)
    assert (made.backend, made.pool, made.replica_state) == ("beta", "b1", "in_sync")
    shown = await only(shares, home)
    assert (shown.id, shown.backend, shown.pool, shown.zone) == (made.replica_id, "beta", "b1", "west")
    assert (shown.kind, shown.state, shown.error, shown.stale) == ("dr", "in_sync", "", "")
    assert (shown.interval, shown.loss) == (1, 30)
    assert shown.synced_at is not None
    assert 0 <= (shown.lag_seconds or 0) <= 30
    listed = [share async for share in shares.list()]
    assert [(share.pool, [replica.id for replica in share.replicas]) for share in listed] == [("a1", [made.replica_id])]
    sync = await shares.operation_handle(shown.sync_operation)
    assert (sync.kind, await sync.ended()) == ("SyncReplica", False)
    resynced = await (await shares.resync_replica(home, "beta/b1", full=True)).result()
    assert resynced.replica_id == made.replica_id
    again = (await only(shares, home)).synced_at
    assert again is not None
    assert again > shown.synced_at
    deleted = await (await shares.delete_replica(home, "b1")).result()
    assert (deleted.replica_id, deleted.replica_state) == (made.replica_id, "deleted")
    assert (await shares.get(home)).replicas == []
    assert (await sync.result()).state == "succeeded"


async def test_a_planned_promotion_loses_nothing_and_leads_back(shares: shareflow.Shares, home: str) -> None:
    """The newest replica is taken when none is named; the old active copy is a replica, which can be promoted again."""
    made = await (await shares.create_replica(home)).result()
    done = await (await shares.promote_replica(home)).result()
    assert isinstance(done, PromoteReplicaResult)
    assert (done.replica_id, done.backend, done.demoted) == (made.replica_id, "beta", "alpha/a1")
    assert (done.lost, done.loss_seconds, done.lost_snapshots) == (False, 0, [])
    share = await shares.get(home)
    assert (share.backend, share.status) == ("beta", "available")
    assert [(copy.role, copy.backend) for copy in share.instances] == [("active", "beta"), ("replica", "alpha")]
    assert [location.path for location in share.export_locations] == done.export_locations
    assert [replica.pool for replica in share.replicas] == ["a1"]
    back = await (await shares.promote_replica(home, "alpha/a1", verify="full")).result()
    assert (back.backend, (await shares.get(home)).pool) == ("alpha", "a1")


async def test_a_lost_active_copy_is_given_up_only_with_a_reason_and_with_the_loss_accepted(
    shares: shareflow.Shares, home: str
) -> None:
    """The refusal says how much would be lost; the result and the audit say how much was."""
    await (await shares.create_replica(home)).result()
    with pytest.raises(shareflow.InvalidInput, match=r"SF\d+ reason: "):
        await (await shares.promote_replica(home, lost=True, accept_loss=True)).result()
    with pytest.raises(shareflow.InvalidInput, match=r"accept_loss: .*loses what was written in the last \d+"):
        await (await shares.promote_replica(home, lost=True, reason="burnt")).result()
    with pytest.raises(shareflow.InvalidInput, match="stale: "):
        await (await shares.promote_replica(home, stale="resync")).result()
    assert (await shares.get(home)).pool == "a1"
    operation = await shares.promote_replica(home, "b1", lost=True, accept_loss=True, reason="burnt")
    done = await operation.result()
    assert (done.lost, done.loss_seconds > 0) == (True, True)
    reasons = [entry.why async for entry in shares.audit(operation=operation.id)]
    assert any("declared lost (burnt)" in why for why in reasons)
    old = await only(shares, home)
    assert (old.pool, old.state) == ("a1", "error")
    assert old.stale in ("unfenced", "kept")
    await (await shares.resync_replica(home, old.id)).result()
    back = await only(shares, home)
    assert (back.state, back.stale, back.error) == ("in_sync", "", "")


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("create_replica", {"bandwidth": "fast"}, "SF100 bandwidth: "),
        ("create_replica", {"zone": "a b"}, "SF100 zone: "),
        ("create_replica", {"pool": "../x"}, "SF100 pool: "),
        ("create_replica", {"same_domain": "yes"}, "SF100 same_domain: "),
        ("create_replica", {"on_busy": "hope"}, "SF100 on_busy: "),
        ("resync_replica", {"replica": ""}, "SF100 replica: "),
        ("resync_replica", {"replica": "x", "full": 1}, "SF100 full: "),
        ("delete_replica", {"replica": "x" * 200}, "SF100 replica: "),
        ("promote_replica", {"stale": "burn"}, "SF100 stale: "),
        ("promote_replica", {"verify": "hope"}, "SF100 verify: "),
        ("promote_replica", {"lost": "maybe"}, "SF100 lost: "),
        ("promote_replica", {"replica": 7}, "SF100 replica: "),
        ("promote_replica", {"share": "../x"}, "SF100 share: "),
    ],
)
async def test_bad_options_start_nothing(
    shares: shareflow.Shares, method: str, options: dict[str, Any], message: str
) -> None:
    """Each names its field, on one line, and no operation is recorded."""
    with pytest.raises(shareflow.InvalidInput, match=message) as refused:
        await getattr(shares, method)(**{"share": "home", **options})
    assert str(refused.value).isprintable()
    assert [operation async for operation in shares.operations()] == []


@pytest.mark.parametrize(
    ("method", "options", "error", "words"),
    [
        ("create_replica", {"share": "nobody"}, shareflow.NotFound, "nobody"),
        ("create_replica", {"pool": "a1"}, shareflow.NoPoolFits, "a copy of the share is there"),
        ("create_replica", {"pool": "a2"}, shareflow.NoPoolFits, "in the same backend 'alpha'"),
        ("create_replica", {"backend": "gamma"}, shareflow.NotFound, "gamma"),
        ("resync_replica", {"replica": "b1"}, shareflow.NotFound, "has no replica 'b1'"),
        ("resync_replica", {"replica": "alpha/a1"}, shareflow.InvalidState, "has the active instance"),
        ("delete_replica", {"replica": "alpha/a1"}, shareflow.InvalidState, "has the active instance"),
        ("promote_replica", {"replica": "alpha/a1"}, shareflow.InvalidState, "has the active instance"),
        ("promote_replica", {}, shareflow.NotFound, "has no replica that can be promoted"),
    ],
)
async def test_what_cannot_be_ends_at_once_and_changes_nothing(
    shares: shareflow.Shares, home: str, method: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The reason is the operation's result; the share is as before."""
    with pytest.raises(error, match=words):
        await (await getattr(shares, method)(**{"share": home, **options})).result()
    share = await shares.get(home)
    assert (share.status, share.operation, share.replicas) == ("available", "", [])


async def test_a_type_without_replicas_says_so_and_one_with_two_takes_no_third(
    shares: shareflow.Shares, home: str
) -> None:
    """The number is the type's; where two copies may be, the request may say, but never one pool for both."""
    await (await shares.create("plain", "1 GiB", pool="a1")).result()
    with pytest.raises(shareflow.NotSupported, match="type 'standard' have no replicas"):
        await (await shares.create_replica("plain")).result()
    await (await shares.create_replica(home)).result()
    beside = await (await shares.create_replica(home, pool="a2", same_domain=True)).result()
    assert (beside.backend, beside.pool) == ("alpha", "a2")
    with pytest.raises(shareflow.InvalidState, match="has 2 of 2 replicas"):
        await (await shares.create_replica(home)).result()


async def test_the_same_request_id_gives_the_same_replica(shares: shareflow.Shares, home: str, key: str) -> None:
    """A retried start makes no second one."""
    first = await shares.create_replica(home, request_id=key)
    again = await shares.create_replica(home, request_id=key)
    assert again.id == first.id
    with pytest.raises(shareflow.RequestReused):
        await shares.create_replica(home, same_domain=True, request_id=key)
    assert (await first.result()).replica_id == (await only(shares, home)).id


async def test_another_projects_replica_is_as_unknown_as_none(
    shares: shareflow.Shares, server: DevServer, world: World, home: str
) -> None:
    """Neither by its share's id nor by its own can it be reached."""
    made = await (await shares.create_replica(home)).result()
    async with shareflow.connect(server.address, project=world.project()) as others:
        for share in (home, made.share_id):
            with pytest.raises(shareflow.NotFound):
                await (await others.delete_replica(share, made.replica_id)).result()
        await (await others.create("home", "1 GiB", pool="a1")).result()
        with pytest.raises(shareflow.NotFound, match="has no replica"):
            await (await others.resync_replica("home", made.replica_id)).result()
    assert (await only(shares, home)).id == made.replica_id


async def test_a_backend_is_failed_over_and_back(shares: shareflow.Shares, home: str) -> None:
    """Results are typed; the plan comes first, and a cancelled or refused one changes nothing."""
    await (await shares.create_replica(home)).result()
    plan = (await (await shares.failover("alpha", lost=True, reason="what if", dry_run=True)).result()).plan
    assert plan is not None
    assert home in [share.name for share in plan.first]
    with pytest.raises(shareflow.InvalidInput, match="accept_loss"):
        await (await shares.failover("alpha", lost=True, reason="burnt")).result()
    done = await (await shares.failover("alpha", reason="new disks")).result()
    assert isinstance(done, FailoverResult)
    assert (done.lost, home in [one.name for one in done.report.losses]) == (False, True)
    assert (await shares.get(home)).backend == "beta"
    back = await (await shares.failback("alpha")).result()
    assert home in [one.name for one in back.report.losses]
    assert (await shares.get(home)).backend == "alpha"
    with pytest.raises(shareflow.NotFound, match="nowhere"):
        await (await shares.failback("nowhere")).result()


@pytest.mark.parametrize(
    ("method", "model"),
    [
        (shareflow.Shares.create_replica, CreateReplicaInput),
        (shareflow.Shares.resync_replica, ResyncReplicaInput),
        (shareflow.Shares.delete_replica, DeleteReplicaInput),
        (shareflow.Shares.promote_replica, PromoteReplicaInput),
        (shareflow.Shares.failover, FailoverBackendInput),
        (shareflow.Shares.failback, FailbackBackendInput),
    ],
)
def test_options_of_the_client_are_those_of_the_wire(method: Callable[..., Any], model: type[Request]) -> None:
    """Every option, and with the same default."""
    options = {name: one.default for name, one in inspect.signature(method).parameters.items() if name != "self"}
    fields = {name: one for name, one in model.model_fields.items() if name not in ("project", "by")}
    assert options.keys() - {"request_id"} == fields.keys()
    required = {name for name, one in fields.items() if one.is_required()}
    assert {name for name, default in options.items() if default is inspect.Parameter.empty} == required
    assert {name: options[name] for name in fields.keys() - required} == {
        name: one.default for name, one in fields.items() if name not in required
    }
