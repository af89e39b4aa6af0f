"""Drivers by name: the ones that come with Shareflow, and those that other packages offer.

A package offers a driver through an entry point of group ``shareflow.drivers``: its name is the driver's name, its
value ``package.module:Class``. The names of the own drivers cannot be taken over.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from drivers.contract import BackendConfig, Driver
from drivers.errors import Rejected

GROUP: Final = "shareflow.drivers"
OWN: Final[Mapping[str, str]] = MappingProxyType({
    "fake": "drivers.fake:FakeDriver",
    "directory": "drivers.directory:DirectoryDriver",
    "btrfs": "drivers.btrfs:BtrfsDriver",
})  # fmt: skip


def driver_names() -> tuple[str, ...]:
    """All names that can be asked for, sorted."""
    return tuple(sorted({*OWN, *_offered()}))


def driver_class(name: str) -> type[Driver]:
    """The class of a driver; its module is imported when it is first asked for.

    Raises:
        Rejected: nobody offers that name (the nearest one is named), or what is offered cannot be used.
    """
    target = OWN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return _checked(name, getattr(importlib.import_module(module), attribute))
    entry = _offered().get(name)
    if entry is None:
        near = difflib.get_close_matches(name, driver_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known drivers are {', '.join(driver_names())}"
        raise Rejected(f"there is no driver {name!r}", hint=hint)
    try:
        found = entry.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise Rejected(
            f"driver {name!r} cannot be loaded from {entry.value!r}: {type(error).__name__}: {error}",
            hint="repair or remove the package that offers it",
        ) from error
    return _checked(name, found)


def open_driver(config: BackendConfig, driver: str) -> Driver:
    """A new instance of a driver. Raises Rejected as :func:`driver_class` and the driver's constructor do."""
    return driver_class(driver)(config)


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in OWN}


def _checked(name: str, found: object) -> type[Driver]:
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise Rejected(f"driver {name!r} is {found!r}, not a subclass of drivers.contract.Driver")
    return found
