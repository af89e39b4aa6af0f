"""From a driver's name in a spec to the driver: the built-in ones, and third parties' through entry points."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points

from drivers.contract import BackendConfig, Driver
from drivers.errors import Rejected

GROUP = "shareflow.drivers"
BUILT_IN = {
    "fake": ("drivers.fake", "FakeDriver"),
    "directory": ("drivers.directory", "DirectoryDriver"),
    "btrfs": ("drivers.btrfs", "BtrfsDriver"),
}


def driver_class(name: str) -> type[Driver]:
    """The class of a driver.

    A third-party package offers its own with an entry point in group ``shareflow.drivers``.

    Raises:
        Rejected: there is no driver of that name (the nearest one is named), or it is not a driver.
    """
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name]
        found: object = getattr(importlib.import_module(module), attribute)
    else:
        offered = {entry.name: entry for entry in entry_points(group=GROUP)}
        if name not in offered:
            known = sorted([*BUILT_IN, *offered])
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise Rejected(f"there is no driver {name!r}", hint=f"{hint}drivers here: {', '.join(known)}")
        found = offered[name].load()
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise Rejected(f"{name!r} is not a driver: it does not derive from drivers.contract.Driver")
    return found


def open_driver(config: BackendConfig, driver: str) -> Driver:
    """An open driver. Raises Rejected for an unknown driver or an option that it refuses."""
    return driver_class(driver)(config)
