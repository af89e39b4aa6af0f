"""What steps refer to: objects on backends, and the claims under which they may be touched."""

from __future__ import annotations

from enum import StrEnum

from shareflow.contracts.base import StrictModel


class Fence(StrictModel):
    """What an attempt must still hold to be allowed to act: a claimed resource and its fencing number."""

    kind: str
    id: str
    epoch: int


class ObjectPlace(StrictModel):
    """Where one object is: ids of its row, its pool and backend, and its name on the backend."""

    id: str
    backend: str
    pool: str
    pool_id: str
    object: str
    size: int


class BeginStatus(StrEnum):
    """What came of a begin."""

    STARTED = "started"
    WAITING = "waiting"
    ENDED = "ended"
