"""How quality of service is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shareflow.contracts.qos import QosKeyView, QosView, Verdict, format_latency, format_limit, format_throughput

_NOT_SHOWN = ("kind", "name", "description", "places")


def qos_fields(qos: QosView | None) -> dict[str, object]:
    """A share's class, and one line per key: what it comes to, why, and what the backend makes of it."""
    if qos is None:
        return {}
    target = {} if qos.latency_target is None else {"latency_target": f"{format_latency(qos.latency_target)}, advisory"}
    effort = qos.enforce.replace("_", " ")
    return {
        "qos class": f"{qos.name} (version {qos.version}, {effort})",
        **{key.key: _line(key) for key in qos.keys},
        **target,
    }


def class_keys(document: Mapping[str, Any]) -> Iterator[str]:
    """What a class says, as it would be written in a spec."""
    for key, value in document.items():
        if key not in _NOT_SHOWN:
            rate = isinstance(value, int) and "throughput" in key
            yield f"{key}={format_throughput(value) if rate else value}"


def _line(key: QosKeyView) -> str:
    verdict = key.verdict.value
    if key.verdict is Verdict.ROUNDED and key.enforced is not None:
        verdict += f" to {format_limit(key.key, key.enforced)}"
    reason = f": {key.reason}" if key.reason else ""
    how = f"; {key.arithmetic}" if key.arithmetic not in ("", key.shown) else ""
    return f"{key.shown} ({verdict}{reason}){how}"
