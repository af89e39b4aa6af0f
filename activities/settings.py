"""Settings of a worker that activities need, and the services they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client

from drivers.contract import Driver
from inventory.database import Database
from shareflow.contracts.steps import Limits


@dataclass(frozen=True)
class Services:
    """What the activities of one worker process share.

    Attributes:
        drivers: open driver per backend name.
        state_dir: directory of this worker for job records.
        limits: time limits that new operations get.
    """

    database: Database
    drivers: dict[str, Driver]
    state_dir: Path
    client: Client | None = None
    limits: Limits = field(default_factory=Limits)
