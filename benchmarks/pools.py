"""Many pools of several kinds for the placement benchmark, the specs they answer to, and the same rules in Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dsl.capacity import PoolFigures
from dsl.documents import ShareTypeSpec
from dsl.placement import PoolView
from inventory.catalogue import BackendRow, PoolRow

GIB = 2**30
SIZE = 10 * GIB
PER_BACKEND = 100
RULES = (
    'pool.media == "ssd" and pool.latency <= 2 ms',
    'pool.free >= 2 * request.size or pool.tier in ["gold", "silver"]',
)
DOCUMENTS: tuple[Mapping[str, Any], ...] = (
    {
        "kind": "Backend",
        "name": "b0",
        "driver": "fake",
        "attributes": {
            "media": {"type": "enum", "values": ["ssd", "hdd"]},
            "tier": {"type": "enum", "values": ["gold", "silver", "bronze"]},
            "latency": "duration",
        },
        "pools": [
            {
                "name": f"p-{zone}",
                "zone": zone,
                "options": {"capacity": "1 TiB"},
                "attributes": {"media": "ssd", "tier": "gold", "latency": "1 ms"},
            }
            for zone in "abc"
        ],
    },
    {"kind": "QosClass", "name": "fast", "max_iops": 2000, "max_throughput": "100 MiB/s"},
    {
        "kind": "ShareType",
        "name": "standard",
        "zones": ["a", "b", "c"],
        "qos": "fast",
        "limits": {"max_size": "1 TiB"},
        "require": list(RULES),
    },
)
"""Two expressions, and six rules beside: available, zone, protocol, quality of service, allowed size, capacity."""


def backends(like: BackendRow, count: int) -> list[BackendRow]:
    """Backends with so many pools in all, each pool like the one of ``like`` in what the driver says of itself.

    Of 20 pools 13 can take the share; each of the rules that a pool can fail is failed by some.
    """
    driver = like.pools[0].attributes
    rows = [_pool(driver, number) for number in range(count)]
    starts = range(0, count, PER_BACKEND)
    return [
        BackendRow(
            name=f"b{start // PER_BACKEND}",
            driver=like.driver,
            document=like.document,
            pools=rows[start : start + PER_BACKEND],
            reachable=start // PER_BACKEND % 10 != 9,
        )
        for start in starts
    ]


def _pool(driver: Mapping[str, Any], number: int) -> PoolRow:
    kind = number % 20
    total = (200 + number % 7 * 100) * GIB
    left = 4 * GIB if kind in (1, 2) else total - number * 7 * 2**20  # hardly two pools have the same left
    attributes = {
        **driver,
        "media": "hdd" if kind in (3, 4) else "ssd",
        "tier": ("gold", "silver", "bronze")[number % 3],
        "latency": "5 ms" if kind == 5 else "1 ms",
    }
    thin = number % 2 == 0
    return PoolRow(
        name=f"p{number}",
        zone="d" if kind == 6 else "abc"[number % 3],
        attributes=attributes,
        limit_bytes=total * (2 if thin else 1),
        total_bytes=total,
        free_bytes=left,
        terms={
            "thin": thin,
            "over_subscription": "2" if thin else "1",
            "reserved": {"create": "5", "from_snapshot": "5", "extend": "0"},
        },
    )


def predicate(spec: ShareTypeSpec, size: int) -> Callable[[PoolView], bool]:
    """The eight rules as a careful programmer writes them by hand for exactly this request; it stops at the first."""
    zones, protocol, limits = frozenset(spec.zones or ()), spec.protocol, spec.limits
    allowed = limits.min_size <= size and (limits.max_size is None or size <= limits.max_size)

    def suits(pool: PoolView) -> bool:
        if not (allowed and pool.available and pool.zone in zones and protocol in pool.protocols):
            return False
        supported, values = pool.qos.supported, pool.values
        if "max_iops" not in supported or "max_throughput" not in supported:
            return False
        media, latency = values.get("media"), values.get("latency")
        if media != "ssd" or not isinstance(latency, int) or latency > 2000:
            return False
        free, tier = values.get("free"), values.get("tier")
        if not (isinstance(free, int) and free >= 2 * size) and tier not in ("gold", "silver"):
            return False
        return _has_room(pool.figures, size)

    return suits


def rules_by_hand(size: int) -> Callable[[PoolView], bool]:
    """The two expressions alone, as a careful programmer writes them by hand."""

    def suits(pool: PoolView) -> bool:
        values = pool.values
        media, latency = values.get("media"), values.get("latency")
        if media != "ssd" or not isinstance(latency, int) or latency > 2000:
            return False
        free, tier = values.get("free"), values.get("tier")
        return (isinstance(free, int) and free >= 2 * size) or tier in ("gold", "silver")

    return suits


def _has_room(figures: PoolFigures, size: int) -> bool:
    total, free = figures.total, figures.free
    if not isinstance(total, int) or not isinstance(free, int) or total <= 0:
        return free == "unknown"
    left = math.floor(free - total * figures.reserved_percent / 100)
    if not figures.thin:
        return left >= size
    ratio, provisioned = figures.over_subscription, figures.provisioned or 0
    return (provisioned + size) / total <= ratio and left * ratio >= size
