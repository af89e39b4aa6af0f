"""A client of the conformance suite that comes in where clients do: under the export path of a share."""

from __future__ import annotations

from pathlib import Path

from drivers.conformance import PathClient
from drivers.contract import Driver, ObjectKind, ObjectRef
from drivers.recorded import RecordedDriver


class _ExportPaths:
    """Stands in for the driver as far as a path client asks: the export path of a share, the data of a snapshot."""

    def __init__(self, driver: RecordedDriver) -> None:
        self._driver = driver

    def data_path(self, ref: ObjectRef) -> Path:
        state = self._driver.observe(ref)
        if state is not None and state.kind is ObjectKind.SHARE:
            return self._driver.export_path(ref)
        return self._driver.data_path(ref)


class ExportClient(PathClient):
    """Like a path client, but access modes apply to it."""

    def __init__(self, driver: Driver) -> None:
        assert isinstance(driver, RecordedDriver)
        super().__init__(driver)
        self._driver = _ExportPaths(driver)  # type: ignore[assignment]
