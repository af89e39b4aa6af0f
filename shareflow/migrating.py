"""Starting migrations: where to in one word, and options as people say them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from shareflow import names
from shareflow.commands import build
from shareflow.contracts.migration import CopyMode, CutoverWhen, MigrateShareInput, MigrateShareResult, Verify
from shareflow.contracts.operations import OnBusy
from shareflow.contracts.reads import PoolView
from shareflow.errors import InvalidInput
from shareflow.operation import Operation
from shareflow.starting import Starts

PROMISES = ("writable", "preserve_metadata", "preserve_snapshots", "nondisruptive")
_SHOWN = 20


class Migrations(Starts):
    """Moving shares while they are used."""

    async def migrate(
        self,
        share: str,
        to: str | None = None,
        *,
        to_pool: str | None = None,
        to_backend: str | None = None,
        to_zone: str | None = None,
        to_type: str | None = None,
        same_domain: bool = False,
        mode: str = CopyMode.AUTO,
        promises: Collection[str] | Mapping[str, bool] = (),
        cutover_when: str | None = None,
        lag_below: str | int | None = None,
        window: tuple[datetime | str, datetime | str] | None = None,
        bandwidth: str | int | None = None,
        verify: str = Verify.SAMPLED,
        grace: str | int = 60,
        ignore_open_files: bool = False,
        dry_run: bool = False,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[MigrateShareResult]:
        """Move a share to another pool, backend, zone or type; it stays writable until the cutover.

        The operation copies, catches up, and waits for ``await operation.cutover()`` unless another time is asked for.

        - ``to``: ``"backend/pool"``, or the name of a pool, backend or zone; short for ``to_pool``, ``to_backend`` and
          ``to_zone``, which pin the destination. Without any of them the best fitting pool is taken.
        - ``to_type``: another share type, in its current version.
        - ``same_domain``: of a share with replicas: allow a failure domain that has one.
        - ``mode``: ``auto``, or ``driver`` (the backends copy) or ``host`` (the mover copies).
        - ``promises``: names of :data:`PROMISES` that must hold beside ``writable`` and ``preserve_metadata``, which
          must unless a mapping says ``False``. The start is refused when one cannot be kept.
        - ``cutover_when``: ``manual`` (the default), ``lag_below``, ``window`` or ``immediately``; the middle ones
          follow from giving one of the next two.
        - ``lag_below``: cut over once a pass moves at most so many bytes, or text such as ``"10 MiB"``.
        - ``window``: cut over between these times, aware or as ISO 8601 text with an offset.
        - ``bandwidth``: limit of the copy in bytes per second, or text such as ``"50 MiB/s"``.
        - ``verify``: what is compared before the switch: ``sampled`` or ``full``.
        - ``grace``: how long the old copy is kept after the switch, in seconds or as text such as ``"1 d"``.
        - ``ignore_open_files``: cut over although a process on the backend's host has files open for writing.
        - ``dry_run``: only plan; ``plan`` of the result says what would be done.

        Raises:
            InvalidInput: an option is refused, or ``to`` is unknown or means several things; nothing was started.
        """
        if to is not None and (to_pool, to_backend, to_zone) != (None, None, None):
            raise InvalidInput(
                f"to={to[:60]!r} is given together with to_pool, to_backend or to_zone", field="to",
                hint="give one or the other",
            )  # fmt: skip
        pinned = {"to_pool": to_pool, "to_backend": to_backend, "to_zone": to_zone}
        since, until = window or (None, None)
        when = cutover_time(cutover_when, lag_below, window) or CutoverWhen.MANUAL
        options: dict[str, Any] = {
            **self._common(on_busy, reason), **asked_promises(promises),
            "share": share, "to_type": to_type, "same_domain": same_domain, "mode": mode, "cutover_when": when,
            "lag_below": lag_below, "window_from": since, "window_until": until, "bandwidth": bandwidth,
            "verify": verify, "grace": grace, "ignore_open_files": ignore_open_files, "dry_run": dry_run,
        }  # fmt: skip
        build(MigrateShareInput, **options, **pinned)  # what is wrong in itself is said before anything is read
        if to is not None:
            pinned |= await self._where(to)
        request = build(MigrateShareInput, **options, **pinned)
        return await self._start(names.MIGRATE_SHARE, request, _summary(request), request_id)

    async def _where(self, to: str) -> dict[str, str]:
        """The pins that one word means, as the server knows pools, backends and zones."""
        backend, slash, pool = to.partition("/")
        if slash:
            return {"to_backend": backend, "to_pool": pool}
        return resolve(to, await self.pools())


def resolve(to: str, pools: Collection[PoolView]) -> dict[str, str]:
    """The pins that a name means among these pools.

    Raises:
        InvalidInput: nothing has that name, or several things that are not the same pools; names the choices.
    """
    meanings = [
        (f"pool {p.backend}/{p.name}", {"to_backend": p.backend, "to_pool": p.name}, {p.id})
        for p in pools
        if p.name == to
    ]
    meanings.append((f"backend {to}", {"to_backend": to}, {p.id for p in pools if p.backend == to}))
    meanings.append((f"zone {to}", {"to_zone": to}, {p.id for p in pools if p.zone == to}))
    found = [(words, pins, ids) for words, pins, ids in meanings if ids]
    if not found:
        raise _unknown(to, pools)
    if any(ids != found[0][2] for _, _, ids in found):
        raise InvalidInput(
            f"{to!r} means several things: {', '.join(words for words, _, _ in found[:_SHOWN])}", field="to",
            hint="write backend/pool, or name it with to_pool, to_backend or to_zone",
        )  # fmt: skip
    return found[0][1]


def _unknown(to: str, pools: Collection[PoolView]) -> InvalidInput:
    known = sorted({name for p in pools for name in (f"{p.backend}/{p.name}", p.name, p.backend, p.zone) if name})
    near = difflib.get_close_matches(to, known, n=3)
    places = sorted(f"{p.backend}/{p.name}" + (f" in zone {p.zone}" if p.zone else "") for p in pools)
    hint = f"did you mean {' or '.join(near)}?" if near else f"pools: {', '.join(places[:_SHOWN])}"
    return InvalidInput(f"{to[:60]!a} is no pool, backend or zone", field="to", hint=hint)


def asked_promises(promises: Collection[str] | Mapping[str, bool]) -> dict[str, bool]:
    """The promises as fields of a request. Raises InvalidInput for one that there is not."""
    asked = dict(promises) if isinstance(promises, Mapping) else dict.fromkeys(promises, True)
    unknown = next((name for name in asked if name not in PROMISES), None)
    if isinstance(promises, str) or unknown is not None:
        shown = promises if isinstance(promises, str) else unknown
        raise InvalidInput(f"{shown!r:.60} is no promise", field="promises", hint=f"a list of: {', '.join(PROMISES)}")
    return asked


def cutover_time(cutover_when: str | None, lag_below: object, window: object) -> str | None:
    """When to cut over; a threshold or a window given alone says it, too. None when nothing is said."""
    if cutover_when is not None:
        return cutover_when
    if window is not None:
        return CutoverWhen.WINDOW
    return None if lag_below is None else CutoverWhen.LAG_BELOW


def _summary(request: MigrateShareInput) -> str:
    place = "/".join(name for name in (request.to_backend, request.to_pool) if name)
    where = place or (f"zone {request.to_zone}" if request.to_zone else "the best pool")
    kind = f", type {request.to_type}" if request.to_type else ""
    return f"{'plan to migrate' if request.dry_run else 'migrate'} share {request.share} to {where}{kind}"
