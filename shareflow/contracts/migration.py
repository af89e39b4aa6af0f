"""Input and result of migrations, and what is sent to a running one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from shareflow.contracts.base import Duration, Name, Rate, ResourceRef, Size, StrictModel, Text
from shareflow.contracts.migration_steps import MigrationPlan
from shareflow.contracts.operations import OperationResult, Request


class CopyMode(StrEnum):
    """How content travels: by the backends themselves (``driver``) or through the mover's host (``host``)."""

    AUTO = "auto"
    DRIVER = "driver"
    HOST = "host"


class CutoverWhen(StrEnum):
    """When a migration cuts over: on command, once it lags little, inside a time window, or as soon as it can."""

    MANUAL = "manual"
    LAG_BELOW = "lag_below"
    WINDOW = "window"
    IMMEDIATELY = "immediately"


class Verify(StrEnum):
    """What is compared before the switch: every name and byte, or every name up to a bound and a sample of bytes."""

    FULL = "full"
    SAMPLED = "sampled"


def _moment(value: object) -> object:
    """ISO 8601 text as a time; what is not text is left to the type."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class MigrationOptions(Request):
    """How a migration is carried out.

    Attributes:
        mode: force a way of copying; ``auto`` takes ``driver`` where both pools can, else ``host``.
        writable, preserve_metadata, preserve_snapshots, nondisruptive: promises. One that is asked for is kept, or the
            start is refused with the reason.
        cutover_when: see :class:`CutoverWhen`.
        lag_below: with ``lag_below``: most bytes that the last pass may have moved.
        window_from, window_until: with ``window``: the cutover begins inside these times.
        bandwidth: limit of the copy in bytes per second; none unless given.
        verify: see :class:`Verify`.
        grace: how long the old copy is kept after the switch.
        ignore_open_files: cut over although a process on the backend's host has files of the share open for writing.
    """

    mode: Annotated[CopyMode, Field(strict=False)] = CopyMode.AUTO
    writable: bool = True
    preserve_metadata: bool = True
    preserve_snapshots: bool = False
    nondisruptive: bool = False
    cutover_when: Annotated[CutoverWhen, Field(strict=False)] = CutoverWhen.MANUAL
    lag_below: Size | None = None
    window_from: Moment | None = None
    window_until: Moment | None = None
    bandwidth: Rate | None = None
    verify: Annotated[Verify, Field(strict=False)] = Verify.SAMPLED
    grace: Duration = 60
    ignore_open_files: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        when = self.cutover_when
        if (self.lag_below is not None) != (when is CutoverWhen.LAG_BELOW):
            raise ValueError("lag_below goes with cutover_when: lag_below, and with nothing else; give both or none")
        windowed = (self.window_from is not None, self.window_until is not None)
        if windowed != (when is CutoverWhen.WINDOW,) * 2:
            raise ValueError("window_from and window_until go with cutover_when: window; give all three or none")
        if self.window_from and self.window_until and self.window_until <= self.window_from:
            raise ValueError(f"window_until {self.window_until} is not after window_from {self.window_from}")
        return self


class DestinationOptions(MigrationOptions):
    """How and where to.

    Attributes:
        to_pool, to_backend, to_zone: pin the destination; otherwise the best fitting pool is taken.
        same_domain: of a share with replicas: allow a failure domain that has one (never the same pool).
        dry_run: only say what would be done.
    """

    to_pool: Name | None = None
    to_backend: Name | None = None
    to_zone: Name | None = None
    same_domain: bool = False
    dry_run: bool = False


class MigrateShareInput(DestinationOptions):
    """Move a share to another pool, backend, zone or type while it is used.

    Attributes:
        to_type: another share type, in its current version.
        from_backend, from_pool: what the share is to leave: no pool of that backend is its destination, and a share
            that is elsewhere when its turn comes stays where it is.
    """

    share: ResourceRef
    to_type: Name | None = None
    from_backend: Name | None = None
    from_pool: Name | None = None


class RetypeShareInput(MigrationOptions):
    """Give a share another type, in its current version: in place where its pool satisfies it, else by a migration.

    Attributes:
        type: the new type; its QoS class comes with it.
        dry_run: only say which of the two it would be, and why.
    """

    share: ResourceRef
    type: Name
    dry_run: bool = False


class CutoverInput(StrictModel):
    """Cut over now, or as soon as the first copy is there."""

    ignore_open_files: bool = False
    by: Text = ""


class SetBandwidthInput(StrictModel):
    """Limit of a running copy in bytes per second; null lifts it."""

    bandwidth: Rate | None
    by: Text = ""


class MigrateShareResult(OperationResult):
    """The share after its migration.

    Attributes:
        outcome: ``migrated``, ``planned`` (a dry run), ``in_place`` (only its type was changed), or ``elsewhere`` (it
            had left the place that it was to leave; nothing was done).
        source, destination: ``backend/pool``.
        passes, bytes_moved: of the whole copy.
        stopped_seconds: from the fence of the writers to the destination being writable.
    """

    share_id: str
    name: str
    outcome: str
    mode: str = ""
    source: str
    destination: str
    export_locations: list[str] = []
    passes: int = 0
    bytes_moved: int = 0
    stopped_seconds: float = 0.0
    plan: MigrationPlan | None = None
