"""Workflow code stays what it was when the worker started.

The sandbox loads the module of a workflow anew for every run. From its file, that would mix two versions in one worker
whose files are being replaced, and would read and often compile it each time. So the code is read once per process.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType


class _Kept(SourceFileLoader):
    """Loads a module from code that was read before."""

    def __init__(self, name: str, path: str, code: CodeType | None) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType | None:
        """See base class."""
        return self._code


class KeptCode(MetaPathFinder):
    """Finds modules of some packages by their code as it was when they were first looked for."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._prefixes = tuple(f"{package}." for package in packages)
        self._known: dict[str, tuple[_Kept, list[str] | None]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See base class."""
        if not f"{fullname}.".startswith(self._prefixes):
            return None
        known = self._known.get(fullname) or self._read(fullname, path, target)
        if known is None:
            return None
        loader, inside = known
        return spec_from_file_location(fullname, loader.path, loader=loader, submodule_search_locations=inside)

    def covers(self, packages: Sequence[str]) -> bool:
        """Whether it keeps the code of all these packages."""
        return all(f"{package}.".startswith(self._prefixes) for package in packages)

    def _read(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> tuple[_Kept, list[str] | None] | None:
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or not isinstance(found.loader, SourceFileLoader):
            return None
        kept = _Kept(fullname, found.loader.path, found.loader.get_code(fullname))
        return self._known.setdefault(fullname, (kept, found.submodule_search_locations))


def keep_code(*packages: str) -> None:
    """Read the code of these packages once from now on. Repeating it changes nothing."""
    if not any(isinstance(finder, KeptCode) and finder.covers(packages) for finder in sys.meta_path):
        sys.meta_path.insert(0, KeptCode(packages))
