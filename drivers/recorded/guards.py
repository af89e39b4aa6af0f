"""The questions that every call answers before it does anything."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from drivers.contract import Call, ObjectKind
from drivers.errors import Conflict, DriverError, PoolFull, Rejected, StaleEpoch, Unknown
from drivers.recorded.pool import Pool
from drivers.sidecar import Record, Tombstone
from shareflow.contracts.units import MAX_BYTES, format_size

Args = ParamSpec("Args")
Result = TypeVar("Result")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def full(error: OSError) -> bool:
    """Whether the storage said that there is no room."""
    return error.errno in _FULL


def answers(method: Callable[Args, Result]) -> Callable[Args, Result]:
    """Make a method raise the four answers only: no room is PoolFull, everything unexpected is Unknown."""

    @functools.wraps(method)
    def answered(*args: Args.args, **kwargs: Args.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except DriverError:
            raise
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "no number")
            if full(error):
                raise PoolFull(f"the pool has no room: {error} ({name})") from error
            raise Unknown(f"{error} ({name})", hint="look at the storage and the rights of this worker") from error
        except Exception as error:
            raise Unknown(f"{type(error).__name__}: {error}", hint="this is a defect of the driver") from error

    return answered


def check_fence(name: str, call: Call, record: Record | None, tombstone: Tombstone | None) -> None:
    """Refuse a call that is older than the newest one seen on the object. Raises StaleEpoch."""
    newest = max(record.epoch if record else 0, tombstone.epoch if tombstone else 0)
    if call.epoch < newest:
        raise StaleEpoch(f"epoch {call.epoch} of {call.key!r} is older than {newest}, the newest seen on {name}")


def check_owner(record: Record, call: Call) -> None:
    """Refuse a call of another deployment. Raises Conflict."""
    if record.deployment != call.deployment:
        raise Conflict(
            f"{record.name} belongs to deployment {record.deployment!r}, not {call.deployment!r}",
            hint="use another pool, or the deployment that made it",
        )


def check_kind(record: Record, kind: ObjectKind) -> None:
    """Refuse a call for another kind of object. Raises Conflict."""
    if record.kind is not kind:
        raise Conflict(f"{record.name} is a {record.kind}, not a {kind}")


def check_size(pool: Pool, size: int, *, room: bool = True) -> None:
    """Refuse a size that cannot be, or that the pool can never hold. Raises Rejected, PoolFull."""
    if type(size) is not int or size < 1:
        raise Rejected(f"the size is {size!r}", hint="give at least 1 byte")
    total = pool.volumes.total() if room else None
    if size > MAX_BYTES or (total is not None and size > total):
        raise PoolFull(
            f"{format_size(min(size, 2**70))} do not fit into pool {pool.name!r}"
            + (f", which has {format_size(total)}" if total is not None else "")
        )
