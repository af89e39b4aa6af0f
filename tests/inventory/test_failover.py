"""What failovers and failbacks do in the inventory, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.recipes.migrate_replica import MigrateReplica
from activities.recipes.promote import PromoteReplica
from activities.replica_steps import ReplicaSteps
from activities.settings import Services
from inventory import failover, replicas, tables
from inventory.database import Database, now
from shareflow import names
from shareflow.contracts.failover_steps import FailoverFollowed, FollowFailoverInput
from shareflow.contracts.fan_out import FanOutMemory
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replica_steps import SwitchReplicaInput
from tests.inventory.moves import Moves, pool_id
from tests.inventory.rows import bin_share, make_replica

LOST: dict[str, Any] = {"lost": True, "accept_loss": True, "reason": "burnt"}
MIB = 2**20


@pytest.fixture
def moves(database: Database, tmp_path: Path) -> Moves:
    """Pools that all reach each other through a host."""
    return Moves(database, tmp_path)


@pytest.fixture
def steps(moves: Moves, tmp_path: Path) -> ReplicaSteps:
    """The steps of operations on replicas."""
    promote = moves.steps.recipe(names.PROMOTE_REPLICA)
    migrate = moves.steps.recipe(names.MIGRATE_REPLICA)
    assert isinstance(promote, PromoteReplica) and isinstance(migrate, MigrateReplica)  # noqa: PT018
    return ReplicaSteps(Services(database=moves.database, drivers={}, state_dir=tmp_path), promote, migrate)


def twin(moves: Moves, name: str, kind: str = "twice", pool: str = "a1", **replica: Any) -> str:
    """A share on alpha/a1 with a replica on beta/b1, unless said otherwise."""
    share = moves.create(name, type=kind, pool=pool)
    with moves.database.write() as connection:
        make_replica(connection, share, pool_id(replica.pop("there", "b1")), **replica)
    return share


def look(steps: ReplicaSteps, operation: str, **fields: Any) -> FailoverFollowed:
    """What a failover sees."""
    step = FollowFailoverInput(operation=operation, memory=FanOutMemory(paused=True), **fields)
    return steps.follow_failover(step)


def promote(moves: Moves, steps: ReplicaSteps, operation: str, share: str, **request: Any) -> dict[str, Any]:
    """A whole promotion."""
    _, begun = moves.begin(names.PROMOTE_REPLICA, operation=operation, share=share, **request)
    assert begun.status is BeginStatus.STARTED, begun.waiting_for
    steps.switch(SwitchReplicaInput(operation=operation, memory=MigrationMemory()))
    return moves.commit(operation).result or {}


def in_step(moves: Moves, share: str) -> None:
    """What became a replica by a promotion has caught up."""
    with moves.database.write() as connection:
        for row in replicas.of_share(connection, share):
            replicas.note(connection, row["id"], stale="", synced_at=now(), state="in_sync")


def test_shares_are_told_page_by_page_by_priority_project_and_name(moves: Moves, steps: ReplicaSteps) -> None:
    """Those with a promotion of this failover are not told again, and those without a usable replica never."""
    order = [twin(moves, "z", "first"), *(twin(moves, name) for name in "abc"), twin(moves, "a0", "late")]
    moves.create("alone", type="twice")
    twin(moves, "seeding", synced_at=None, state="seeding")
    twin(moves, "near", there="a2")
    twin(moves, "elsewhere", pool="b1", there="a1")
    operation, begun = moves.begin(names.FAILOVER_BACKEND, backend="alpha", **LOST)
    assert begun.failover is not None
    assert set(begun.failover.pools) == {pool_id("a1"), pool_id("a2")}
    first = look(steps, operation, limit=2)
    assert [share.id for share in first.shares] == order[:2]
    assert first.left == 8
    second = look(steps, operation, after=order[1], limit=10)
    assert [share.id for share in second.shares] == order[2:]
    promote(moves, steps, f"{operation}/{order[0]}", order[0], **LOST)
    moves.begin(names.PROMOTE_REPLICA, operation=f"{operation}/{order[1]}", share=order[1], **LOST)
    found = look(steps, operation, limit=10, watched=order[:3])
    assert [share.id for share in found.shares] == order[2:]
    assert [child.state for child in found.children] == ["succeeded", "running", ""]
    assert [child.share.id for child in look(steps, operation, take_up=True).children] == [order[1]]
    kept = moves.rows(tables.operations, id=operation)[0]["begun"]["failover"]["memory"]
    assert kept == {"paused": True}


def test_the_newest_replica_away_from_the_backend_is_told_with_its_loss(moves: Moves, steps: ReplicaSteps) -> None:
    """Counted until the failover was asked for; a pool that does not answer comes last."""
    measured: dict[str, Any] = {"behind_bytes": 3 * MIB, "behind_at": now() - timedelta(seconds=50)}
    share = twin(moves, "home", synced_at=now() - timedelta(seconds=100), moved_bytes=7, **measured)
    with moves.database.write() as connection:
        make_replica(connection, share, pool_id("a2"), synced_at=now())
    operation, _ = moves.begin(names.FAILOVER_BACKEND, backend="alpha", **LOST)
    (told,) = look(steps, operation, limit=10).shares
    assert (told.to, told.loss_bytes, told.refusal) == ("beta/b1", 3 * MIB, "")
    assert 99 < told.loss_seconds < 110
    again = look(steps, operation, limit=10).shares[0]
    assert again.loss_seconds == told.loss_seconds
    planned, _ = moves.begin(names.FAILOVER_BACKEND, backend="alpha")
    (told,) = look(steps, planned, limit=10).shares
    assert (told.loss_seconds, told.loss_bytes) == (0, 0)


def test_what_was_lost_is_summed_and_what_stays_is_named(moves: Moves, steps: ReplicaSteps) -> None:
    """Until it has ended, those whose turn is still to come are not among them."""
    measured: dict[str, Any] = {"behind_bytes": 3 * 2**30, "behind_at": now() - timedelta(minutes=1)}
    old = twin(moves, "old", synced_at=now() - timedelta(hours=1), moved_bytes=7, **measured)
    new = twin(moves, "new", moved_bytes=10 * MIB, moved_seconds=10)
    failed, binned = twin(moves, "failed"), twin(moves, "binned")
    twin(moves, "late")
    moves.create("alone", type="twice")
    with moves.database.write() as connection:
        bin_share(connection, binned)
    operation, _ = moves.begin(names.FAILOVER_BACKEND, backend="alpha", **LOST)
    for share in (new, old):
        promote(moves, steps, f"{operation}/{share}", share, **LOST)
    moves.begin(names.PROMOTE_REPLICA, operation=f"{operation}/{failed}", share=failed, **LOST)
    moves.abort(f"{operation}/{failed}")
    found = look(steps, operation, take_up=True)
    report = found.report
    assert report is not None
    assert (found.waiting, found.left) == (1, 3)
    assert [one.name for one in report.losses] == ["old", "new"]
    assert (report.promoted, report.loss_bytes) == (2, 3 * 2**30)
    assert (report.loss_unknown, report.loss_rate) == (1, MIB)
    assert [(one.loss_bytes, one.loss_rate) for one in report.losses] == [(3 * 2**30, None), (None, MIB)]
    assert report.loss_seconds == report.losses[0].loss_seconds > 3599
    reasons = {one.name: one.reason for one in report.not_promoted}
    assert set(reasons) == {"failed", "binned", "alone"}
    assert (report.failed, report.without_replica, reasons["failed"]) == (3, 1, "no")
    result = moves.commit(operation).result
    assert result is not None
    assert (result["outcome"], result["left"], result["report"]["failed"]) == ("incomplete", 4, 4)
    reasons = {one["name"]: one["reason"] for one in result["report"]["not_promoted"]}
    assert reasons["late"] == "it was not its turn"
    assert reasons["alone"] == "it has no replica outside alpha"


def test_what_goes_back_is_what_a_failover_of_that_backend_moved_and_nobody_brought_home(
    moves: Moves, steps: ReplicaSteps
) -> None:
    """Not what was promoted by itself, nor what another backend's failover moved, nor what was home since."""
    moved, alone, home, stale = (twin(moves, name) for name in ("moved", "alone", "home", "stale"))
    other = twin(moves, "other", pool="b1", there="a1")
    operation, _ = moves.begin(names.FAILOVER_BACKEND, backend="alpha", **LOST)
    for share in (moved, home, stale):
        promote(moves, steps, f"{operation}/{share}", share, **LOST)
    moves.commit(operation)
    elsewhere, _ = moves.begin(names.FAILOVER_BACKEND, backend="beta", **LOST)
    promote(moves, steps, f"{elsewhere}/{other}", other, **LOST)
    promote(moves, steps, f"{operation}-alone", alone, **LOST)
    for share in (moved, home, alone, other):
        in_step(moves, share)
    for number in range(2):
        promote(moves, steps, f"{operation}-{number}", home)
        in_step(moves, home)
    with moves.database.read() as connection:
        assert failover.failovers_of(connection, "alpha") == [operation]
    back, _ = moves.begin(names.FAILBACK_BACKEND, backend="alpha")
    found = look(steps, back, limit=10)
    assert ([share.id for share in found.shares], found.left) == ([moved], 2)
    promote(moves, steps, f"{back}/{moved}", moved)
    result = moves.commit(back).result
    assert result is not None
    assert (result["outcome"], result["left"], result["report"]["promoted"]) == ("incomplete", 1, 1)
    (left,) = result["report"]["not_promoted"]
    assert (left["name"], left["next_step"]) == (
        "stale", "resync replica alpha/a1, which discards what it alone has, then fail back again",
    )  # fmt: skip
    assert "not fenced" in left["reason"]
