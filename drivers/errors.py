"""The four answers to "may the backend have acted?".

    DriverError
    +-- Rejected   no, and it never will for this request
    +-- Busy       no, another operation holds it; try later
    +-- Unknown    maybe: observe before acting
    +-- Broken     yes, partly; here is what is left

Every driver raises exactly these. Anything else that escapes a driver is treated as :class:`Unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str, limit: int = 500) -> str:
    """Backend text made safe for logs and terminals: no control characters, bounded length."""
    clean = "".join(ch if ch.isprintable() else " " for ch in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


class DriverError(Exception):
    """Base of the four answers.

    Attributes:
        code: stable code, ``D`` and three digits.
        reason: the fact, with the value that was wrong.
        hint: the next step for the operator, or empty.
    """

    code = "D000"

    def __init__(self, reason: str, *, hint: str = "") -> None:
        self.reason = printable(reason)
        self.hint = printable(hint)
        super().__init__(f"{self.code} {self.reason}" + (f" ({self.hint})" if self.hint else ""))


class Rejected(DriverError):
    """The backend did nothing and never will for this request.

    Attributes:
        pool_specific: another pool may accept the same request (pool full, pool read-only, pool lacks a feature).
    """

    code = "D100"

    def __init__(self, reason: str, *, hint: str = "", pool_specific: bool = False) -> None:
        super().__init__(reason, hint=hint)
        self.pool_specific = pool_specific


class StaleEpoch(Rejected):
    """A call with an older epoch came after one with a newer epoch. Nothing was changed."""

    code = "D101"


class Conflict(Rejected):
    """An object of that name exists and is not the one asked for (another size, source or owner)."""

    code = "D102"


class OverUsed(Rejected):
    """A shrink below the bytes in use was asked for.

    Attributes:
        used: bytes in use now.
    """

    code = "D103"

    def __init__(self, reason: str, *, used: int, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.used = used


class NotFound(Rejected):
    """The object that the call needs (share to resize, snapshot to clone) is not on the backend."""

    code = "D104"


class PoolFull(Rejected):
    """The pool cannot hold the request; another pool may."""

    code = "D105"

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason, hint=hint, pool_specific=True)


class Busy(DriverError):
    """Nothing was done because something else holds the object; the same call may be made again later.

    Attributes:
        retry_after: seconds after which a new try makes sense.
    """

    code = "D200"

    def __init__(self, reason: str, *, retry_after: float = 1.0, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.retry_after = retry_after


class Unknown(DriverError):
    """The backend may or may not have acted (time-out, lost connection). Observe before acting."""

    code = "D300"


class Broken(DriverError):
    """The backend acted in part.

    Attributes:
        residue: names of the objects that are left.
    """

    code = "D400"

    def __init__(self, reason: str, *, residue: Sequence[str], hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.residue = tuple(residue)
