"""The common half of drivers that keep their objects in a mounted file system: records, idempotency, fencing, trash.

A driver of this family says only how volumes are made, filled, bounded and removed (:class:`Volumes`); the contract is
kept by :class:`RecordedDriver`.
"""

from __future__ import annotations

from drivers.recorded.driver import RecordedDriver
from drivers.recorded.options import Options
from drivers.recorded.volumes import Fill, Volumes

__all__ = ["Fill", "Options", "RecordedDriver", "Volumes"]
