"""The search for drift: what backends report now, what was applied, and what git has. Everything here only reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from temporalio import activity

from activities.backends import declared_backend
from activities.failures import translated
from activities.settings import Services
from activities.specs import planned, usage_of
from drivers.contract import Driver
from drivers.errors import DriverError
from dsl.documents import BackendSpec
from dsl.drift import DriftRow, backend_rows, full_pools, git_rows, merged
from dsl.spec_set import SpecSet, from_records
from inventory import catalogue
from shareflow import names
from shareflow.contracts.drift import (
    BackendDrift,
    BackendDriftInput,
    CompareDriftInput,
    DetectDriftInput,
    DetectDriftResult,
    DriftRowView,
)

MOST_BYTES = 300_000
"""So much of the rows of one backend, or of a whole report, is kept."""


def _views(rows: Iterable[DriftRow]) -> tuple[list[DriftRowView], int]:
    kept: list[DriftRowView] = []
    room, left_off = MOST_BYTES, 0
    for row in rows:
        content = {name: getattr(row, name) for name in DriftRowView.model_fields}
        text = json.dumps(content)
        room -= len(text)
        if room < 0:
            left_off += 1
        else:
            kept.append(DriftRowView.model_validate_json(text))
    return kept, left_off


class SpecsDrift:
    """What the inventory's side of the search needs."""

    def __init__(self, services: Services) -> None:
        self._database = services.database

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the common queue."""
        return [self.applied_backends, self.compare_drift]

    @activity.defn(name=names.APPLIED_BACKENDS, no_thread_cancel_exception=True)
    def applied_backends(self, _query: DetectDriftInput) -> list[str]:
        """The backends of the applied set."""
        with translated(), self._database.read() as connection:
            row = catalogue.current_set(connection)
            return [] if row is None else sorted(from_records(row["documents"]).backends)

    @activity.defn(name=names.COMPARE_DRIFT, no_thread_cancel_exception=True)
    def compare_drift(self, found: CompareDriftInput) -> DetectDriftResult:
        """One report of what git, the inventory and the backends say. Raises SpecError for a set that is refused."""
        rows = [DriftRow(**row.model_dump()) for backend in found.backends for row in backend.rows]
        rows += [
            DriftRow("Backend", one.backend, "reachable", None, "applied", one.reason, "it could not be compared")
            for one in found.backends
            if one.reason
        ]
        git: SpecSet | None = None
        with translated(), self._database.read() as connection:
            row = catalogue.current_set(connection)
            applied = None if row is None else from_records(row["documents"])
            if found.documents is not None:
                made = planned(connection, found.documents)
                git = made.new
                rows += git_rows(made.plan)
            if applied is not None:
                rows += full_pools(applied, usage_of(connection))
        views, left_off = _views(merged(rows, git))
        return DetectDriftResult(
            specs_revision=0 if row is None else row["revision"],
            digest="" if applied is None else applied.digest,
            git="" if git is None else git.digest,
            managed=row is not None and row["managed"],
            rows=views,
            unknown=[backend.backend for backend in found.backends if backend.reason],
            left_off=left_off + sum(backend.left_off for backend in found.backends),
        )


class BackendCompare:
    """One backend against what was applied. Runs where the backend can be reached."""

    def __init__(self, services: Services, spec: BackendSpec, driver: Driver) -> None:
        self._database = services.database
        self._spec = spec
        self._driver = driver
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"drift-{spec.name}")

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the backend's queue."""
        return [self.compare]

    def close(self) -> None:
        """Take no more questions."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @activity.defn(name=names.BACKEND_DRIFT)
    async def compare(self, _query: BackendDriftInput) -> BackendDrift:
        """What the driver reports now and what the worker's files say, beside the applied set."""
        with translated():
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._compare)

    def _compare(self) -> BackendDrift:
        name = self._spec.name
        try:
            reports = self._driver.pools()
        except DriverError as error:
            return BackendDrift(backend=name, reason=error.reason)
        with self._database.read() as connection:
            applied, _ = declared_backend(connection, self._spec)
        reported = {report.name: _plain(dict(report.attributes)) for report in reports}
        rows, left_off = _views(backend_rows(applied, self._spec, reported))
        return BackendDrift(backend=name, rows=rows, left_off=left_off)


def _plain(attributes: dict[str, Any]) -> dict[str, object]:
    """Attributes as JSON has them; what it cannot hold as text."""
    plain: dict[str, object] = json.loads(json.dumps(attributes, default=str))
    return plain
