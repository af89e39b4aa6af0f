"""Quality of service on the fake array: every key is enforced, exactly or in the steps of a decimal array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drivers.fake.options import Settings
from drivers.fake.records import QosLimit
from shareflow.contracts.qos import FLOORS, KEYS, LIMITS, KeyVerdict, Limits, Verdict, dimension, format_limit

STEPS: Final = {"iops": 10, "throughput": 10**6}
SCOPES: Final = ("client", "pool_group")


def verdicts(settings: Settings, limits: Limits) -> dict[str, KeyVerdict]:
    """What setting these limits comes to."""
    return {key: _verdict(settings, key, value) for key, value in limits.items()}


def stored(limits: Mapping[str, int | str]) -> tuple[QosLimit, ...]:
    """Limits as the array keeps them."""
    found = ((key, limits[key]) for key in KEYS if key in limits)
    return tuple(QosLimit(key, word=value) if isinstance(value, str) else QosLimit(key, value) for key, value in found)


def shown(limits: tuple[QosLimit, ...]) -> Limits:
    """Limits as the contract has them."""
    return {limit.key: limit.value for limit in limits}


def _verdict(settings: Settings, key: str, value: int | str) -> KeyVerdict:
    if key not in KEYS:
        return _unsupported(f"{key!r} is no key of quality of service")
    if value not in SCOPES if key == "scope" else not isinstance(value, int) or value < 1:
        return _unsupported(f"{value!r} is no value of it")
    if isinstance(value, str) or settings.rounding == "none" or key not in LIMITS:
        return KeyVerdict(Verdict.EXACT, value)
    return _in_steps(key, value)


def _in_steps(key: str, value: int) -> KeyVerdict:
    step = STEPS[dimension(key)]
    rounded = -(-value // step) * step if key in FLOORS else value // step * step
    if rounded == value:
        return KeyVerdict(Verdict.EXACT, value)
    steps = f"in steps of {step} IOPS" if dimension(key) == "iops" else "in steps of 1 MB/s (10^6 bytes per second)"
    if not rounded:
        return _unsupported(f"{format_limit(key, value)} is too small, the array counts {steps}")
    return KeyVerdict(Verdict.ROUNDED, rounded, f"the array counts {steps}")


def _unsupported(reason: str) -> KeyVerdict:
    return KeyVerdict(Verdict.UNSUPPORTED, reason=reason)
