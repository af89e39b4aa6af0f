"""Replicas as a user types it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from shareflow.cli import exits
from tests.cli.processes import Up

pytestmark = pytest.mark.timeout(240)  # many commands, each a process of its own, on an array whose snapshots are slow


@pytest.fixture(scope="module")
def pair(up: Up) -> Iterator[str]:
    """A share in zone a whose type has a replica in another zone. Tests leave it without one."""
    name = f"pair-{time.monotonic_ns()}"
    up.json("share", "create", name, "--size", "1GiB", "--type", "pair", "--zone", "a")
    yield name
    for replica in up.json("replica", "list", name):
        up.json("replica", "delete", name, replica["id"])
    up.run("op", "purge-now", up.json("share", "delete", name)["operation"])


def test_a_replica_is_made_listed_brought_up_to_date_and_deleted(up: Up, pair: str) -> None:
    """Tables for people, JSON for programs: where it is, its state, how far it is behind."""
    assert up.run("replica", "list", pair).out == "No replicas.\n"
    made = up.json("replica", "create", pair, "--bandwidth", "1 GiB/s")
    assert (made["pool"], made["replica_state"]) == ("p2", "in_sync")
    (listed,) = up.json("replica", "list")
    assert (listed["share"], listed["id"], listed["zone"], listed["state"]) == (
        pair,
        made["replica_id"],
        "b",
        "in_sync",
    )
    assert 0 <= listed["lag_seconds"] <= 60
    assert up.json("replica", "list", "--state", "error") == []
    table = up.run("replica", "list", pair).out.splitlines()
    assert table[0].split()[:6] == ["SHARE", "POOL", "ZONE", "KIND", "STATE", "LAG"]
    assert table[1].split()[:5] == [pair, "slow/p2", "b", "dr", "in_sync"]
    copies = [line.split()[:4] for line in up.run("share", "show", pair).out.splitlines() if "slow/p" in line]
    assert ["active", "slow/p1", "a", "active"] in copies
    assert ["replica", "slow/p2", "b", "in_sync"] in copies
    resynced = up.run("replica", "resync", pair, "slow/p2", "--full")
    assert (resynced.code, "slow/p2" in resynced.out) == (exits.OK, True)
    deleted = up.run("replica", "delete", pair, "p2")
    assert deleted.code == exits.OK
    assert ["state", "deleted"] in [line.split() for line in deleted.out.splitlines()]
    assert up.json("share", "show", pair)["replicas"] == []


def test_a_replica_is_promoted_as_planned_and_after_a_loss(up: Up, pair: str) -> None:
    """What was lost is said before, as a refusal, and after; the old copy is shown with what became of it."""
    up.json("replica", "create", pair)
    planned = up.run("replica", "promote", pair)
    assert planned.code == exits.OK, planned.err
    fields = dict(line.split(maxsplit=2)[::2] for line in planned.out.splitlines() if line.startswith("active now"))
    assert fields == {"active": "slow/p2"}
    assert "slow/p1, a replica now" in planned.out
    assert up.json("replica", "promote", pair, "slow/p1")["pool"] == "p1"
    unsaid = up.run("replica", "promote", pair, "--lost", "--reason", "burnt")
    assert unsaid.code == exits.USAGE
    assert "loses what was written in the last" in unsaid.err
    assert "accept_loss" in unsaid.err
    lost = up.run("replica", "promote", pair, "--lost", "--accept-loss", "--reason", "burnt")
    assert lost.code == exits.OK, lost.err
    assert "slow/p1, declared lost" in lost.out
    assert "changes of the last" in lost.out
    shown = up.run("share", "show", pair).out
    assert re.search(r"replica +slow/p1 +a +error, stale: (unfenced|kept)", shown)
    assert up.run("replica", "resync", pair, "p1").code == exits.OK
    assert up.json("replica", "promote", pair, "p1")["demoted"] == "slow/p2"
    assert up.json("replica", "delete", pair, "p2")["replica_state"] == "deleted"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "PAIR", "--bandwidth", "fast"), exits.USAGE, "bandwidth: "),
        (("create", "PAIR", "--zone", "a"), exits.FAILED, "copy of the share"),
        (("create", "PAIR", "--pool", "nowhere"), exits.FAILED, "nowhere"),
        (("resync", "PAIR", "p2"), exits.FAILED, "has no replica 'p2'"),
        (("delete", "PAIR", "slow/p1"), exits.FAILED, "has the active instance"),
        (("list", "nobody"), exits.FAILED, "nobody"),
        (("list", "--state", "fine"), exits.USAGE, "fine"),
        (("promote", "PAIR", "--stale", "burn"), exits.USAGE, "burn"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    up: Up, pair: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """The exit code tells wrong input from what the state of things does not allow."""
    done = up.run("replica", *(pair if word == "PAIR" else word for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert words in done.err.splitlines()[0]
