"""The options of a fake backend, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drivers.contract import AttributeValue, BackendConfig, PoolConfig
from drivers.errors import Rejected
from shareflow.contracts.units import MAX_BYTES, format_size, parse_size

SECONDS_OPTIONS = (
    "latency", "snapshot_seconds", "clone_seconds", "revert_seconds", "delete_seconds", "receive_seconds",
)  # fmt: skip
BACKEND_OPTIONS = ("store", "path", "qos_rounding", "transfer", *SECONDS_OPTIONS)
POOL_OPTIONS = ("capacity",)
DEFAULT_CAPACITY = 2**50
TRANSFER = "fake-1"


@dataclass(frozen=True, slots=True)
class Settings:
    """A fake backend as its options describe it.

    Attributes:
        store: where the array lives: in this process, or in a file for many processes.
        path: directory of the array; None (memory only) for one below the worker's state directory.
        latency: seconds that every call takes.
        seconds: how long a job of each verb takes; 0 is done at once.
        capacity: bytes of each pool.
        attributes: of each pool.
        rounding: how fine limits can be set: ``none`` to the last byte, ``decimal`` in steps of 10 IOPS and 1 MB/s
            (10^6 bytes per second), as many arrays do.
        transfer: format in which snapshots are exchanged with other arrays; empty when they are not.
    """

    store: Literal["memory", "disk"]
    path: Path | None
    latency: float
    seconds: Mapping[str, float]
    capacity: Mapping[str, int]
    attributes: Mapping[str, Mapping[str, AttributeValue]]
    rounding: Literal["none", "decimal"] = "none"
    transfer: str = TRANSFER


def read_settings(config: BackendConfig) -> Settings:
    """The settings of a backend.

    Raises:
        Rejected: an option is unknown or wrong; the message names the option, the value and what is allowed.
    """
    _known(config.options, BACKEND_OPTIONS, f"backend {config.name!r}")
    store = config.options.get("store", "memory")
    if store not in {"memory", "disk"}:
        raise Rejected(f"option 'store' of backend {config.name!r} is {store!r}; allowed are 'memory' and 'disk'")
    path = config.options.get("path")
    if path is None and store == "disk":
        raise Rejected(f"option 'path' of backend {config.name!r} is missing; a store on disk needs a directory")
    if path is not None and not (isinstance(path, str | Path) and Path(path).is_absolute()):
        raise Rejected(f"option 'path' of backend {config.name!r} is {path!r}; it must be an absolute directory")
    rounding = config.options.get("qos_rounding", "none")
    if rounding not in {"none", "decimal"}:
        raise Rejected(
            f"option 'qos_rounding' of backend {config.name!r} is {rounding!r}; allowed are 'none' and 'decimal'"
        )
    transfer = config.options.get("transfer", TRANSFER)
    if not isinstance(transfer, str) or not transfer:
        raise Rejected(
            f"option 'transfer' of backend {config.name!r} is {transfer!r}; allowed are 'none' and the name of a format"
        )
    if not config.pools:
        raise Rejected(f"backend {config.name!r} has no pools; declare one at least")
    seconds = {name: _seconds(config, name) for name in SECONDS_OPTIONS}
    return Settings(
        store="disk" if store == "disk" else "memory",
        path=None if path is None else Path(path),
        latency=seconds["latency"],
        seconds={
            "create_snapshot": seconds["snapshot_seconds"],
            "clone_snapshot": seconds["clone_seconds"],
            "revert_share": seconds["revert_seconds"],
            "delete_share": seconds["delete_seconds"],
            "delete_snapshot": seconds["delete_seconds"],
            "receive_snapshot": seconds["receive_seconds"],
        },
        capacity={pool.name: _capacity(pool) for pool in config.pools},
        attributes={pool.name: dict(pool.attributes) for pool in config.pools},
        rounding="decimal" if rounding == "decimal" else "none",
        transfer="" if transfer == "none" else transfer,
    )


def _known(options: Mapping[str, object], known: tuple[str, ...], what: str) -> None:
    for name in options:
        if name not in known:
            raise Rejected(f"{what} has an unknown option {name!r}", hint=f"allowed are {', '.join(known)}")


def _seconds(config: BackendConfig, name: str) -> float:
    value = config.options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise Rejected(f"option {name!r} of backend {config.name!r} is {value!r}; allowed are seconds from 0 to 86400")
    return float(value)


def _capacity(pool: PoolConfig) -> int:
    _known(pool.options, POOL_OPTIONS, f"pool {pool.name!r}")
    given = pool.options.get("capacity", DEFAULT_CAPACITY)
    try:
        size = parse_size(given)
    except ValueError as error:
        raise Rejected(f"option 'capacity' of pool {pool.name!r}: {error}") from None
    if not 0 <= size <= MAX_BYTES:
        raise Rejected(
            f"option 'capacity' of pool {pool.name!r} is {given!r}; allowed are 0 to {format_size(MAX_BYTES)}"
        )
    return size
