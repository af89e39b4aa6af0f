"""What the built-in drivers report about their pools, so that a decision can be tried without opening one.

A test holds that the drivers say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dsl.fields import AttributeValue
from dsl.qos.check import ENFORCED
from shareflow.contracts.qos import KEYS

PROTOCOLS = ("path",)
"""What the pools of every built-in driver speak."""

_EVERY: Mapping[str, AttributeValue] = {
    "snapshots": True,
    "clone": True,
    "revert": True,
    "host_access": True,
    "shrink": True,
    "tags": True,
}
_ENFORCING: Mapping[str, AttributeValue] = {
    **_EVERY,
    "quota_enforced": True,
    "access_modes": ("rw", "ro", "none"),
    "snapshot_space": "shared",
    "snapshots_atomic": True,
}
REPORTS: Mapping[str, Mapping[str, AttributeValue]] = MappingProxyType(
    {
        "fake": {**_ENFORCING, "transfer": "fake-1"},
        "btrfs": {**_ENFORCING, "transfer": "btrfs-send-1"},
        "directory": {
            **_EVERY,
            "quota_enforced": False,
            "access_modes": ("rw", "none"),
            "snapshot_space": "full",
            "snapshots_atomic": False,
        },
    }
)
"""Driver -> attributes. Of other drivers nothing is known before they are opened."""


def enforced_by(driver: str) -> tuple[str, ...]:
    """The keys of QoS classes that a driver enforces, in their usual order; all of them for an unknown driver."""
    known = ENFORCED.get(driver)
    return KEYS if known is None else tuple(key for key in KEYS if key in known)


def reported(driver: str) -> Mapping[str, AttributeValue]:
    """All that the pools of a built-in driver report; empty for another driver, of which nothing is known."""
    if driver not in REPORTS:
        return {}
    return {**REPORTS[driver], "protocols": PROTOCOLS, "qos_supported": enforced_by(driver)}
