"""What a class comes to for one share: exact integers, with the arithmetic in words.

For every limit: ``clamp(per_gib x size, at_least, at_most)``, rounded towards the promise (floors up, ceilings and
bursts down, never to nothing), then the smaller of that and the absolute value. What only a share's size can show to be
contradictory is settled for the share: a burst is never below its ceiling, a floor never above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from dsl.qos.keys import QosKeys
from shareflow.contracts.qos import BURSTS, FLOORS, LIMITS, MAX_IOPS, MAX_THROUGHPUT, Floors, dimension, format_limit
from shareflow.contracts.units import format_size

GIB = 2**30


class EffectiveKey(NamedTuple):
    """One limit: its value in IOPS or bytes per second, and how it came about."""

    key: str
    value: int
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What a class comes to for one share.

    Attributes:
        keys: the limits, in a fixed order.
        modifiers: how they are meant; what is left to the backend is left out.
    """

    keys: tuple[EffectiveKey, ...]
    modifiers: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, int | str]:
        """All that a driver is asked to enforce."""
        return {**{key.key: key.value for key in self.keys}, **self.modifiers}

    def value(self, key: str) -> int | None:
        """The value of a limit, None when the class does not set it."""
        return next((found.value for found in self.keys if found.key == key), None)

    def arithmetic(self, key: str) -> str:
        """How the value of a key came about, empty for one that is not there."""
        return next((found.arithmetic for found in self.keys if found.key == key), "")


def effective(qos: QosKeys, size_bytes: int, used_bytes: int = 0) -> Effective:
    """The values of a class for a share.

    Args:
        qos: the class.
        size_bytes: provisioned size of the share.
        used_bytes: bytes in use; counts only for a class that is ``sized_by: used``.
    """
    base = used_bytes if qos.sized_by == "used" else size_bytes
    found: dict[str, EffectiveKey] = {}
    for key in LIMITS:
        one = _one(qos, key, base)
        if one is not None:
            found[key] = one
    for key in (*BURSTS, *FLOORS):
        if key in found:
            found[key] = _beside_the_ceiling(found[key], found)
    given = {"burst_for": qos.burst_for, "io_size": qos.io_size, "scope": None if qos.scope == "share" else qos.scope}
    modifiers = {name: value for name, value in given.items() if value is not None}
    return Effective(tuple(found[key] for key in LIMITS if key in found), modifiers)


def floors(of: Effective) -> Floors:
    """What a pool has to promise for a share."""
    return Floors(of.value("min_iops") or 0, of.value("min_throughput") or 0)


def _one(qos: QosKeys, key: str, base: int) -> EffectiveKey | None:
    absolute: int | None = getattr(qos, key)
    rate: Fraction | int | None = getattr(qos, f"{key}_per_gib")
    if rate is None:
        return None if absolute is None else EffectiveKey(key, absolute, format_limit(key, absolute))
    value, words = _scaled(qos, key, Fraction(rate), base)
    if absolute is not None and absolute < value:
        value = absolute
        words += f", at most {format_limit(key, absolute)}"
    return EffectiveKey(key, value, words)


def _scaled(qos: QosKeys, key: str, rate: Fraction, base: int) -> tuple[int, str]:
    least: int | None = getattr(qos, f"{key}_at_least")
    most: int | None = getattr(qos, f"{key}_at_most")
    exact = rate * base / GIB
    up = key in FLOORS
    value = -(-exact.numerator // exact.denominator) if up else exact.numerator // exact.denominator
    kind = "used" if qos.sized_by == "used" else "provisioned"
    words = f"{_rate(key, rate)} x {format_size(base)} {kind} = {format_limit(key, value)}"
    if value != exact:
        words += f" (rounded {'up' if up else 'down'})"
    if least is not None and value < least:
        value = least
        words += f", at least {format_limit(key, least)}"
    if most is not None and value > most:
        value = most
        words += f", at most {format_limit(key, most)}"
    bounded = min(max(value, 1), MAX_IOPS if dimension(key) == "iops" else MAX_THROUGHPUT)
    if bounded != value:
        words += f", set to {format_limit(key, bounded)}"
    return bounded, words


def _rate(key: str, rate: Fraction) -> str:
    if dimension(key) == "throughput":
        return f"{format_limit(key, rate.numerator // rate.denominator)} per GiB"
    return f"{float(rate):.12g} IOPS per GiB"


def _beside_the_ceiling(limit: EffectiveKey, found: Mapping[str, EffectiveKey]) -> EffectiveKey:
    """A burst raised to its ceiling, or a floor lowered to it, where the share's size makes them cross."""
    kind = dimension(limit.key)
    ceiling = _ceiling(kind, found)
    if ceiling is None:
        return limit
    crossed = limit.value > ceiling if limit.key in FLOORS else limit.value < ceiling
    if not crossed:
        return limit
    how = "lowered" if limit.key in FLOORS else "raised"
    words = f"{limit.arithmetic}, {how} to the ceiling of {format_limit(limit.key, ceiling)}"
    return EffectiveKey(limit.key, ceiling, words)


def _ceiling(kind: str, found: Mapping[str, EffectiveKey]) -> int | None:
    """The ceiling of reads and writes together; None when one of them has none."""
    if f"max_{kind}" in found:
        return found[f"max_{kind}"].value
    split = [found[key].value for key in (f"max_read_{kind}", f"max_write_{kind}") if key in found]
    return sum(split) if len(split) == 2 else None
