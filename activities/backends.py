"""Backends of a worker: specs to open drivers, and what drivers report to rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from drivers.contract import BackendConfig, Driver, PoolConfig, PoolReport
from drivers.errors import DriverError, Rejected
from drivers.registry import open_driver
from dsl.capacity import pool_limit
from dsl.documents import BackendSpec, CapacityTerms, PlacementSpec, PoolSpec, secret_reference
from dsl.spec_set import SpecSet
from inventory import catalogue
from inventory.catalogue import BackendRow, Catalogue, PoolRow, QuotaRow, VersionRow
from shareflow.errors import SpecError


def _resolved(options: Any, where: str) -> dict[str, object]:
    """Options with secret references replaced by their values; only here, only in this process."""
    resolved: dict[str, object] = {}
    for key, value in options.items():
        reference = secret_reference(value)
        if reference is None:
            # YAML fractions are exact decimals; drivers take plain numbers.
            resolved[key] = float(value) if isinstance(value, Decimal) else value
            continue
        kind, name = reference
        try:
            resolved[key] = os.environ[name] if kind == "env" else Path(name).read_text().strip()
        except (KeyError, OSError) as error:
            raise SpecError(f"{where}: option {key!r} refers to {kind} {name!r}, which cannot be read") from error
    return resolved


def open_backend(spec: BackendSpec, deployment: str, state_dir: Path) -> Driver:
    """The driver of a backend.

    Raises:
        SpecError: the driver is unknown or refuses an option.
    """
    config = BackendConfig(
        name=spec.name,
        deployment=deployment,
        pools=[
            PoolConfig(
                name=pool.name,
                options=_resolved(pool.options, f"backend {spec.name} pool {pool.name}"),
                attributes=dict(pool.attributes),
            )
            for pool in spec.pools
        ],
        state_dir=state_dir,
        options=_resolved(spec.options, f"backend {spec.name}"),
    )
    try:
        return open_driver(config, spec.driver)
    except Rejected as error:
        raise SpecError(f"backend {spec.name}: {error.reason}", hint=error.hint) from error


def pool_row(
    spec: PoolSpec, driver: Driver, report: PoolReport | None, defaults: PlacementSpec | None = None
) -> PoolRow:
    """A pool's row: the spec's attributes and terms, the driver's report and capabilities."""
    terms = spec.terms(defaults)
    able = driver.capabilities()
    reported = dict(report.attributes) if report else {}
    attributes: dict[str, Any] = {
        **reported,
        **spec.attributes,
        "driver": driver.name,
        "protocols": list(able.protocols),
        "snapshots": able.snapshots,
        "snapshots_atomic": able.snapshots_atomic,
        "tags": able.tags,
        "clone": able.clone,
        "revert": able.revert,
        "host_access": able.host_access,
        "shrink": able.shrink,
        "quota_enforced": able.quota_enforced,
        "snapshot_space": able.snapshot_space,
        "access_modes": [mode.value for mode in able.access_modes],
        "qos_supported": list(able.qos_supported),
    }
    if able.transfer:  # the text of an attribute is never empty
        attributes["transfer"] = able.transfer
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in attributes.items()}
    return PoolRow(
        name=spec.name,
        zone=spec.zone or "",
        attributes=plain,
        limit_bytes=pool_limit(report.total if report else None, terms.over_subscription if terms.thin else 1),
        total_bytes=report.total if report else None,
        free_bytes=report.free if report else None,
        iops_budget=spec.qos.iops,
        throughput_budget=spec.qos.throughput,
        terms=pool_terms(terms),
    )


def pool_terms(terms: CapacityTerms) -> dict[str, Any]:
    """Terms as a pool's row keeps them."""
    return {
        "thin": terms.thin,
        "over_subscription": str(terms.over_subscription),
        "reserved": {purpose: str(percent) for purpose, percent in terms.reserved},
    }


def pool_rows(
    spec: BackendSpec, driver: Driver, reports: Sequence[PoolReport], defaults: PlacementSpec | None = None
) -> list[PoolRow]:
    """The pools of a backend that its driver was opened with, with what it reports of them."""
    known, opened = {report.name: report for report in reports}, {pool.name for pool in driver.config.pools}
    return [pool_row(pool, driver, known.get(pool.name), defaults) for pool in spec.pools if pool.name in opened]


def declared_backend(connection: Connection, spec: BackendSpec) -> tuple[BackendSpec, PlacementSpec | None]:
    """A backend and the defaults of placement as the applied set of specs has them.

    The set may have been applied after this worker started; ``spec`` is what the worker itself read.
    """
    current = catalogue.current_set(connection)
    records: list[dict[str, Any]] = [] if current is None else current["documents"]
    found = next((one for one in records if one["kind"] == "Backend" and one["name"] == spec.name), None)
    defaults = next((one for one in records if one["kind"] == "Placement"), None)
    return (
        spec if found is None else BackendSpec.from_record(found),
        None if defaults is None else PlacementSpec.from_record(defaults),
    )


def _backend_row(spec: BackendSpec, driver: Driver, defaults: PlacementSpec) -> BackendRow:
    try:
        rows, reachable = pool_rows(spec, driver, driver.pools(), defaults), True
    except DriverError:
        rows, reachable = pool_rows(spec, driver, (), defaults), False
    document = spec.model_dump(mode="json", exclude={"options": True, "pools": {"__all__": {"options"}}})
    return BackendRow(name=spec.name, driver=spec.driver, document=document, pools=rows, reachable=reachable)


def surveyed(specs: SpecSet, drivers: Mapping[str, Driver]) -> list[BackendRow]:
    """The backends of a set that have a driver here, as they answer now."""
    names = sorted(specs.backends.keys() & drivers.keys())
    return [_backend_row(specs.backends[name], drivers[name], specs.placement) for name in names]


def catalogue_of(specs: SpecSet, drivers: Mapping[str, Driver]) -> Catalogue:
    """What the inventory has to know of the specs and of the backends as they answer now."""
    return catalogue_with(specs, surveyed(specs, drivers))


def catalogue_with(specs: SpecSet, backends: Sequence[BackendRow]) -> Catalogue:
    """What the inventory has to know of the specs, with these rows of its backends."""
    return Catalogue(
        backends=backends,
        types=[
            VersionRow(name=spec.name, version=spec.version, document=spec.record())
            for spec in specs.share_types.values()
        ],
        qos_classes=[
            VersionRow(name=spec.name, version=spec.version, document=spec.record())
            for spec in specs.qos_classes.values()
        ],
        quotas=[
            QuotaRow(
                project=spec.project,
                shares_limit=spec.limits.shares,
                bytes_limit=spec.limits.bytes,
                snapshots_limit=spec.limits.snapshots,
            )
            for spec in specs.quotas.values()
        ],
        digest=specs.digest,
        documents=specs.records(),
    )
