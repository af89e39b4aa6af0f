"""What a success of each operation changes in its project; everything else has to be as it was before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from tests.matrix.stage import Picture

Effect = Callable[[Picture, Picture, Mapping[str, Any]], list[str]]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # fingerprint of a share without files


def differences(expected: Picture, found: Picture, what: str) -> list[str]:
    """Where two pictures differ, quotas aside (those are recounted), and the content of replicas."""
    keys = sorted(key for key in {*expected, *found} - {"quota"} if not key.startswith("content of "))
    return [
        f"{what}: {key} is {found.get(key)}, expected {expected.get(key)}"
        for key in keys
        if expected.get(key) != found.get(key)
    ]


def nothing(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
    """Everything is as it was."""
    return differences(before, after, "not as before")


def _with_share(
    before: Picture, after: Picture, name: str, size: int, content: str, qos: str, limits: Mapping[str, int]
) -> Picture:
    """The picture before with one more share, whose ids and place are taken from the picture after."""
    expected = copy.deepcopy(before)
    made = after.get(f"share {name}") or {"id": "", "exports": [], "copies": []}
    places = made["copies"] or [{"pool": "", "object": None}]
    expected[f"share {name}"] = {
        "id": made["id"],
        "status": "available",
        "size": size,
        "live_name": name,
        "purge_at": None,
        "claimed_by": None,
        "qos": qos,
        "limits": dict(limits),
        "exports": made["exports"][:1],
        "copies": [
            {
                "pool": places[0]["pool"],
                "status": "available",
                "size": size,
                "allocated": size,
                "object": _object(places[0], size, "rw", content, limits),
            }
        ],
    }
    return expected


def _object(
    place: Mapping[str, Any], size: int, mode: str, content: str, limits: Mapping[str, int] | None = None
) -> dict[str, Any]:
    name = (place["object"] or {"name": "missing"})["name"]
    fixed = {"name": name, "size": size, "complete": True, "mode": mode, "content": content}
    return {**fixed, "limits": dict(limits or {})}


def makes_share(
    name: str,
    size: int,
    *,
    source: str = "",
    pools: tuple[str, ...],
    qos: str = "",
    limits: Mapping[str, int] | None = None,
) -> Effect:
    """One more share, empty or with a snapshot's content, in one of these pools, with these limits."""

    def effect(before: Picture, after: Picture, result: Mapping[str, Any]) -> list[str]:
        content = before[source]["copies"][0]["object"]["content"] if source else EMPTY
        expected = _with_share(before, after, name, size, content, qos, limits or {})
        problems = differences(expected, after, "after creation")
        if result.get("pool") not in pools:
            problems.append(f"the share is in pool {result.get('pool')}, not in one of {pools}")
        if result.get("export_locations") != after.get(f"share {name}", {}).get("exports"):
            problems.append(f"the result's export locations are {result.get('export_locations')}")
        return problems

    return effect


def makes_snapshot(share: str, name: str) -> Effect:
    """One more snapshot, with the share's content."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        source = before[f"share {share}"]
        made = after.get(f"snapshot {share}/{name}") or {"id": "", "copies": [{"pool": "", "object": None}]}
        content = source["copies"][0]["object"]["content"]
        expected[f"snapshot {share}/{name}"] = {
            "id": made["id"],
            "status": "available",
            "size": source["size"],
            "claimed_by": None,
            "copies": [
                {
                    "pool": source["copies"][0]["pool"],
                    "status": "available",
                    "size": source["size"],
                    "allocated": 0,
                    "object": _object(made["copies"][0], source["size"], "ro", content),
                }
            ],
        }
        return differences(expected, after, "after the snapshot")

    return effect


def removes(*keys: str) -> Effect:
    """These are gone."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        expected = {key: fact for key, fact in before.items() if key not in keys}
        return differences(expected, after, "after removal")

    return effect


def reverts(share: str, snapshot: str) -> Effect:
    """The share has the snapshot's content."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        content = before[f"snapshot {share}/{snapshot}"]["copies"][0]["object"]["content"]
        expected[f"share {share}"]["copies"][0]["object"]["content"] = content
        return differences(expected, after, "after the revert")

    return effect


def resizes(share: str, size: int, limits: Mapping[str, int] | None = None) -> Effect:
    """The share has another size, everywhere, and the limits that go with it."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        fact = expected[f"share {share}"]
        fact["size"] = fact["copies"][0]["size"] = fact["copies"][0]["allocated"] = size
        fact["copies"][0]["object"]["size"] = size
        if limits is not None:
            fact["limits"] = fact["copies"][0]["object"]["limits"] = dict(limits)
        return differences(expected, after, "after the resize")

    return effect


def bounds(share: str, qos: str, limits: Mapping[str, int]) -> Effect:
    """The share has a class and its limits, in the inventory and on the backend."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        fact = expected[f"share {share}"]
        fact["qos"] = qos
        fact["limits"] = fact["copies"][0]["object"]["limits"] = dict(limits)
        return differences(expected, after, "after the change of limits")

    return effect


def migrates(share: str, pool: str, limits: Mapping[str, int] | None = None, qos: str = "") -> Effect:
    """The share and its snapshots are in another pool, under other export paths, and are otherwise what they were."""

    def effect(before: Picture, after: Picture, result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        for key, fact in expected.items():
            if key == f"share {share}" or key.startswith(f"snapshot {share}/"):
                (place,) = fact["copies"]
                there = (after.get(key, {}).get("copies") or [{"object": None}])[0]["object"] or {"name": "missing"}
                place["pool"] = pool
                place["object"] = {**place["object"], "name": there["name"]}
        fact, found = expected[f"share {share}"], after.get(f"share {share}", {"exports": []})
        if found["exports"] == fact["exports"] or len(found["exports"]) != 1:
            return [f"after the migration: the share is reached at {found['exports']}, before at {fact['exports']}"]
        fact["exports"] = found["exports"]
        if limits is not None:
            fact["qos"], fact["limits"] = qos, dict(limits)
            fact["copies"][0]["object"]["limits"] = dict(limits)
        problems = differences(expected, after, "after the migration")
        if (result.get("outcome"), result.get("export_locations")) != ("migrated", found["exports"]):
            problems.append(f"the result is {result}")
        return problems

    return effect


def _replica(before: Picture, place: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any]:
    """A replica of home, in step: the snapshots there are its share's."""
    share = before["share home"]
    snapshots = {
        key.partition("/")[2]: {**fact["copies"][0], "pool": place["pool"], "status": "copied"}
        for key, fact in before.items()
        if key.startswith("snapshot home/")
    }
    there = found or {"object": None, "snapshots": {}}
    for name, copied in snapshots.items():
        made = (there["snapshots"].get(name) or {"object": None})["object"] or {"name": "missing"}
        copied["object"] = {**copied["object"], "name": made["name"]}
    object_ = _object({"object": there["object"]}, share["size"], "none", "")
    del object_["content"]
    fixed = {"status": "available", "size": share["size"], "allocated": share["size"]}
    return {"pool": place["pool"], **fixed, "object": object_, "snapshots": snapshots}


def _same_content(after: Picture, pool: str) -> list[str]:
    content = after.get(f"content of home/{pool}", {}).get("content")
    active = after["share home"]["copies"][0]["object"]["content"]
    return [] if content == active else [f"the replica in {pool} has the content {content}, the share {active}"]


def makes_replica(pool: str) -> Effect:
    """The share has one more copy, which clients cannot reach."""

    def effect(before: Picture, after: Picture, result: Mapping[str, Any]) -> list[str]:
        key = f"replica home/{pool}"
        expected = {**before, key: _replica(before, {"pool": pool}, after.get(key))}
        problems = differences(expected, after, "after the replica") + _same_content(after, pool)
        return problems if result.get("pool") == pool else [*problems, f"the result is {result}"]

    return effect


def resyncs(pool: str) -> Effect:
    """The replica has the share's content."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        return differences(before, after, "after the resync") + _same_content(after, pool)

    return effect


def moves_replica(pool: str, to: str) -> Effect:
    """The share has its replica in another pool, in step; the one before is gone."""

    def effect(before: Picture, after: Picture, result: Mapping[str, Any]) -> list[str]:
        key = f"replica home/{to}"
        expected = {**before, key: _replica(before, {"pool": to}, after.get(key))}
        for gone in (f"replica home/{pool}", f"content of home/{pool}"):
            expected.pop(gone, None)
        problems = differences(expected, after, "after the move") + _same_content(after, to)
        return problems if result.get("pool") == to else [*problems, f"the result is {result}"]

    return effect


def promotes(pool: str, *, lost: bool = False) -> Effect:
    """The replica is the share, under other export paths, and what was active is its replica.

    Its content is that of the share, or what the replica had when the share is lost.
    """

    def effect(before: Picture, after: Picture, result: Mapping[str, Any]) -> list[str]:
        expected = copy.deepcopy(before)
        was = expected.pop(f"replica home/{pool}")
        share, found = expected["share home"], after.get("share home", {"exports": []})
        old = copy.deepcopy(share["copies"][0])
        source = before[f"content of home/{pool}"]["content"] if lost else old["object"]["content"]
        share["copies"] = [{**old, "pool": pool, "object": {**old["object"], "name": was["object"]["name"]}}]
        share["copies"][0]["object"]["content"] = source
        for name, there in was["snapshots"].items():
            expected[f"snapshot home/{name}"]["copies"] = [{**there, "status": "available"}]
        key = f"replica home/{old['pool']}"
        expected[key] = _replica(before, old, after.get(key))
        if found["exports"] == share["exports"] or len(found["exports"]) != 1:
            return [f"after the promotion: the share is reached at {found['exports']}, before at {share['exports']}"]
        share["exports"] = found["exports"]
        problems = differences(expected, after, "after the promotion")
        if (result.get("pool"), result.get("export_locations")) != (pool, found["exports"]):
            problems.append(f"the result is {result}")
        return problems

    return effect


def forgets(share: str) -> Effect:
    """The share's rows are gone, its objects are there as they were, and a tombstone says so for each."""

    def effect(before: Picture, after: Picture, _result: Mapping[str, Any]) -> list[str]:
        gone = [key for key in before if key == f"share {share}" or key.startswith(f"snapshot {share}/")]
        expected = {key: fact for key, fact in before.items() if key not in gone}
        for key in gone:
            for place in before[key]["copies"]:
                expected[f"tombstone {place['object']['name']}"] = {
                    "allocated": place["allocated"],
                    "object": place["object"],
                }
        return differences(expected, after, "after forgetting")

    return effect
