"""Another type, and pools that are emptied, as a user types it."""

from __future__ import annotations

from shareflow.cli import exits
from tests.cli.processes import Up


def test_a_pool_is_emptied_after_a_dry_run(up: Up) -> None:
    """The plan, the shares that leave, the report as table and JSON, and the exit code when something stays."""
    made = up.json("share", "create", "one", "--size", "1GiB", "--zone", "a")
    place = f"{made['backend']}/{made['pool']}"
    plan = up.run("pool", "evacuate", place, "--dry-run")
    assert plan.code == exits.OK
    assert "default/one" in plan.out
    planned = up.json("pool", "evacuate", place, "--dry-run")["plan"]
    assert (planned["shares"], planned["bytes"]) == (1, 2**30)
    deleted = up.json("share", "create", "gone", "--size", "1GiB", "--zone", "a")
    in_bin = up.json("share", "delete", "gone")
    left = up.run("pool", "evacuate", place, "--grace", "0 s", "--concurrency", "2")
    assert left.code == exits.FAILED
    assert "incomplete" in left.out
    assert "recycle bin" in left.out
    assert up.json("share", "show", "one")["pool"] != made["pool"]
    assert [pool["drained"] for pool in up.json("pool", "list") if pool["name"] == made["pool"]] == [True]
    assert up.run("op", "purge-now", in_bin["operation"]).code == exits.OK
    done = up.json("pool", "evacuate", place, "--grace", "0 s")
    assert (done["outcome"], done["left"]) == ("evacuated", 0)
    assert place in up.run("op", "list", "--kind", "EvacuatePool").out
    assert "evacuated" in up.run("op", "watch", done["operation"]).out
    assert up.run("pool", "drain", place, "--undo").code == exits.OK
    assert deleted["share_id"] != made["share_id"]


def test_a_type_is_given_in_place_after_a_dry_run_that_says_why(up: Up) -> None:
    """The plan names how and why; the share has the type."""
    up.json("share", "create", "typed", "--size", "1GiB", "--zone", "b")
    plan = up.run("share", "retype", "typed", "standard", "--dry-run")
    assert plan.code == exits.OK
    assert "in_place" in plan.out
    assert "satisfies type 'standard'" in plan.out
    assert up.json("share", "retype", "typed", "standard")["outcome"] == "in_place"


def test_bad_places_and_options_are_named(up: Up) -> None:
    """A pool that is not there, and more at once than can be."""
    missing = up.run("pool", "evacuate", "nowhere/p1", "--dry-run")
    assert (missing.code, "nowhere" in missing.err) == (exits.FAILED, True)
    many = up.run("pool", "evacuate", "nowhere/p1", "--concurrency", "99")
    assert (many.code, "concurrency" in many.err) == (exits.USAGE, True)
    unknown = up.run("share", "retype", "nobody", "standard")
    assert (unknown.code, "nobody" in unknown.err) == (exits.FAILED, True)
