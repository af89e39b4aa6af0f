"""A driver that uses a process of its own, which breaks once."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import ClassVar

from drivers.contract import BackendConfig, Call, ObjectRef, ShareObject
from drivers.directory import DirectoryDriver


class BrittleDriver(DirectoryDriver):
    """Its first call to make a share fails in a way after which the SDK gives up the worker."""

    name: ClassVar[str] = "brittle"

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._broken = config.state_dir / "broken"

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """See base class."""
        if not self._broken.exists():
            self._broken.touch()
            raise BrokenProcessPool("a child of the driver was killed")
        return super().create_share(ref, size, call)
