"""Options of a backend and its pools, checked when the driver is constructed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from drivers.errors import Rejected
from shareflow.contracts.units import MAX_BYTES, parse_size


class Options:
    """The options at one place of a spec; every message names the place, the option, the value and what is allowed.

    Raises:
        Rejected: an option is not among ``known``.
    """

    def __init__(self, place: str, values: Mapping[str, object], known: Iterable[str]) -> None:
        self.place = place
        self._values = values
        names = sorted(known)
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                allowed = f"known options are {', '.join(names)}" if names else "there are none"
                raise Rejected(
                    f"{place}: unknown option {name!r}", hint=f"did you mean {near[0]}?" if near else allowed
                )

    def path(self, name: str, base: Path) -> Path:
        """A required path; a relative one is below ``base``. Raises Rejected."""
        value = self._values.get(name)
        if not isinstance(value, str | Path) or not str(value):
            fact = f"is {value!r}" if name in self._values else "is missing"
            raise Rejected(f"{self.place}: option {name!r} {fact}", hint="give the path of a directory")
        path = Path(value)
        if "\0" in str(value) or ".." in path.parts:
            raise Rejected(f"{self.place}: option {name!r} is {str(value)!r}", hint="leave out '..' and NUL")
        return path if path.is_absolute() else base.absolute() / path

    def size(self, name: str, default: int | None = None) -> int | None:
        """A size in bytes, at least 0; ``default`` when it is not given. Raises Rejected."""
        value = self._values.get(name)
        if value is None:
            return default
        try:
            size = parse_size(value)
        except ValueError as error:
            raise Rejected(f"{self.place}: option {name!r}: {error}") from None
        if not 0 <= size <= MAX_BYTES:
            raise Rejected(f"{self.place}: option {name!r} is {value!r}", hint="give a size from 0 B to 1024 PiB")
        return size

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false. Raises Rejected."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise Rejected(f"{self.place}: option {name!r} is {value!r}", hint="write true or false")
        return value
