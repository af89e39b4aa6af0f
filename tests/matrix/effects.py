"""What a success of each operation changes in its project; everything else has to be as it was before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from tests.matrix.stage import Picture

Effect = Callable[[Picture, Picture, Mapping[str, Any]], list[str]]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # fingerprint of a share without files


def differences(expected: Picture, found: Picture, what: str) -> list[str]:
    """Where two pictures differ, quotas aside (those are recounted)."""
    keys = sorted({*expected, *found} - {"quota"})
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
