"""Limits of performance on a backend: judged by its driver, then set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from drivers.contract import Call, Driver, ObjectRef, SupportsQos
from drivers.errors import Rejected
from shareflow.contracts.qos import LIMITS, KeyVerdict, QosAnswer, Verdict


def set_limits(
    driver: Driver, share: ObjectRef, call: Call, limits: Mapping[str, int | str], *, required: bool
) -> dict[str, QosAnswer]:
    """Set these limits and no others; the answer tells what became of each.

    What is not supported is left out, or with ``required`` refused. It is a call of its own, beside another one that
    the same step makes.

    Raises:
        Rejected: a required limit cannot be enforced; nothing was set. Another pool may do.
        DriverError: as the driver says.
    """
    verdicts = driver.qos_verdict(limits)
    missing = {key: verdict for key, verdict in verdicts.items() if verdict.verdict is Verdict.UNSUPPORTED}
    if missing and required:
        reasons = "; ".join(f"{key}: {verdict.reason}" for key, verdict in missing.items())
        raise Rejected(f"required limits cannot be enforced: {reasons}", pool_specific=True)
    kept = {} if "scope" in missing else {key: value for key, value in limits.items() if key not in missing}
    if not any(key in LIMITS for key in kept):
        kept = {}  # how limits are meant says nothing without a limit
    now: Mapping[str, int | str] = {}
    if isinstance(driver, SupportsQos):
        now = driver.set_qos(share, kept, dataclasses.replace(call, step=f"{call.step}-limits"))
    return {key: _answer(key, verdict, now) for key, verdict in verdicts.items()}


def _answer(key: str, verdict: KeyVerdict, now: Mapping[str, int | str]) -> QosAnswer:
    if key not in now:
        return QosAnswer(verdict=Verdict.UNSUPPORTED, reason=verdict.reason or "not enforced without the others")
    return QosAnswer(verdict=verdict.verdict, value=now[key], reason=verdict.reason)
