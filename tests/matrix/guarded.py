"""A fake backend that wants a password, offered as other packages offer their drivers."""

from __future__ import annotations

import dataclasses
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
