"""A fake backend that wants a password, offered as other packages offer their drivers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from drivers.contract import BackendConfig
from drivers.errors import Rejected
from drivers.fake import FakeDriver

CANARY = "canary-7c1f0b5e92d84a36"
PASSWORD_VARIABLE = "SHAREFLOW_MATRIX_PASSWORD"  # noqa: S105  (the variable's name)


class GuardedDriver(FakeDriver):
    """The fake driver behind a password, which comes from the environment as a spec's secrets do."""

    name: ClassVar[str] = "guarded"

    def __init__(self, config: BackendConfig) -> None:
        options = dict(config.options)
        if options.pop("password", None) != CANARY:
            raise Rejected("the password is wrong")
        super().__init__(dataclasses.replace(config, options=options))


def offer(directory: Path) -> Path:
    """Write the metadata of a package that offers the driver; returns the directory to put on ``sys.path``."""
    info = directory / "matrix_guarded-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: matrix-guarded\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[shareflow.drivers]\nguarded = {__name__}:GuardedDriver\n")
    return directory
