"""What can make shares move without naming a destination: another type, a drained pool, an evacuation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

from shareflow import names
from shareflow.commands import build
from shareflow.contracts.evacuation import EvacuateBackendInput, EvacuatePoolInput, EvacuationResult
from shareflow.contracts.migration import MigrateShareResult, RetypeShareInput
from shareflow.contracts.operations import OnBusy
from shareflow.migrating import Migrations, asked_promises, cutover_time
from shareflow.operation import Operation


class CopyOptions(TypedDict, total=False):
    """How shares are copied and cut over, as :meth:`Migrations.migrate` takes it, and what every start takes."""

    mode: str
    promises: Collection[str] | Mapping[str, bool]
    cutover_when: str | None
    lag_below: str | int | None
    window: tuple[datetime | str, datetime | str] | None
    bandwidth: str | int | None
    verify: str
    grace: str | int
    ignore_open_files: bool
    request_id: str | None
    on_busy: str
    reason: str


class Relocations(Migrations):
    """Another type, drained pools, evacuations."""

    async def retype(
        self,
        share: str,
        type: str,  # noqa: A002 - the word for it everywhere
        *,
        dry_run: bool = False,
        **options: Unpack[CopyOptions],
    ) -> Operation[MigrateShareResult]:
        """Give a share another type: in place where its pool satisfies it, else by a migration with these options.

        ``outcome`` of the result is ``in_place`` or ``migrated``; with ``dry_run`` only ``plan`` says which it would
        be, and ``plan.reason`` why.
        """
        request = build(RetypeShareInput, **self._fields(options), share=share, type=type, dry_run=dry_run)
        summary = f"{'plan to give' if dry_run else 'give'} share {request.share} type {request.type}"
        return await self._start(names.RETYPE_SHARE, request, summary, options.get("request_id"))

    async def evacuate(
        self,
        backend: str,
        pool: str | None = None,
        *,
        to_pool: str | None = None,
        to_backend: str | None = None,
        to_zone: str | None = None,
        same_domain: bool = False,
        concurrency: int = 4,
        drain: bool = True,
        undrain_on_cancel: bool = False,
        dry_run: bool = False,
        **options: Unpack[CopyOptions],
    ) -> Operation[EvacuationResult]:
        """Move all shares, of all projects, out of a pool, or without ``pool`` off the whole backend.

        Each is a migration of its own, ``<operation>/<share id>`` in its own project, that cuts over as soon as it can
        unless another time is asked for; ``bandwidth`` is of all together.

        - ``same_domain``: copies of shares with replicas may go to a failure domain that has another copy.
        - ``concurrency``: so many shares move at once, 1 to 32.
        - ``drain``: mark the pools first, so that nothing new is placed there. A cancel leaves the marks unless
          ``undrain_on_cancel``.
        - ``dry_run``: only ``plan``: how much there is, and where the first shares would go.

        ``outcome`` of the result is ``evacuated``, or ``incomplete`` with the shares in ``not_moved``; started again,
        an evacuation goes on with those.
        """
        fields = {
            **self._fields(options), "backend": backend, "to_pool": to_pool, "to_backend": to_backend,
            "to_zone": to_zone, "same_domain": same_domain, "concurrency": concurrency, "drain": drain,
            "undrain_on_cancel": undrain_on_cancel, "dry_run": dry_run,
        }  # fmt: skip
        kind = names.EVACUATE_BACKEND if pool is None else names.EVACUATE_POOL
        request: EvacuateBackendInput | EvacuatePoolInput
        if pool is None:
            request = build(EvacuateBackendInput, **fields)
        else:
            request = build(EvacuatePoolInput, **fields, pool=pool)
        place = f"{backend}/{pool}" if pool else f"backend {backend}"
        summary = f"{'plan to evacuate' if dry_run else 'evacuate'} {place}"
        return await self._start(kind, request, summary, options.get("request_id"))

    def _fields(self, options: CopyOptions) -> dict[str, Any]:
        """The fields of a request; what is not given keeps its default."""
        given: dict[str, Any] = dict(options)
        given.pop("request_id", None)
        common = self._common(given.pop("on_busy", OnBusy.QUEUE), given.pop("reason", ""))
        promises = asked_promises(given.pop("promises", ()))
        window = given.pop("window", None)
        when = cutover_time(given.pop("cutover_when", None), given.get("lag_below"), window)
        if when is not None:
            given["cutover_when"] = when
        if window is not None:
            given["window_from"], given["window_until"] = window
        return {**common, **promises, **given}
