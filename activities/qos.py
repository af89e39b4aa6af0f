"""Quality of service in the inventory: what a class comes to for a share in a pool, and what is recorded of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from dsl.documents import QosClassSpec, ShareTypeSpec
from dsl.qos import Budget, Effective, Plan, PoolQos, effective, fits_budget, plan
from inventory import reservations, resources, tables
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.qos import (
    FLOORS,
    NO_FLOORS,
    Floors,
    QosAnswer,
    QosChange,
    QosKeyView,
    QosView,
    Verdict,
    format_limit,
)
from shareflow.errors import NoPoolFits, NotSupported


@lru_cache(maxsize=256)
def _class_spec(record: str) -> QosClassSpec:
    return QosClassSpec.from_record(json.loads(record))


def class_spec(row: RowMapping) -> QosClassSpec:
    """A class from its row, with the places of its keys in the spec files."""
    return _class_spec(json.dumps(row["document"], sort_keys=True))


def of_type(connection: Connection, share_type: ShareTypeSpec) -> QosClassSpec | None:
    """The class, in its current version, that new shares of a type get. Raises UnknownQos when the specs lost it."""
    return None if share_type.qos is None else class_spec(resources.qos_class(connection, share_type.qos))


def of_share(connection: Connection, share: RowMapping) -> QosClassSpec | None:
    """The class that a share has, in the version that was applied to it."""
    if not share["qos_class"]:
        return None
    return class_spec(resources.qos_class(connection, share["qos_class"], share["qos_version"]))


def of_migration(connection: Connection, operation: str) -> QosClassSpec | None:
    """The class that a share will have where an operation moves it to."""
    operations = tables.operations
    begun = connection.execute(select(operations.c.begun).where(operations.c.id == operation)).scalar()
    planned = ((begun or {}).get("qos") or {}).get("planned")
    return None if planned is None else class_spec(resources.qos_class(connection, planned["name"], planned["version"]))


def pool_qos(row: Mapping[str, Any] | RowMapping) -> PoolQos:
    """What a pool's row says about quality of service."""
    return PoolQos(
        supported=tuple(row["attributes"].get("qos_supported", ())),
        budget=Budget(row["iops_budget"], row["throughput_budget"]),
        committed=Floors(row["iops_promised"], row["throughput_promised"]),
    )


def floors_in(spec: QosClassSpec | None, size: int, pool: RowMapping) -> Floors:
    """What a pool has to promise for a new share."""
    return NO_FLOORS if spec is None else plan(spec, effective(spec, size), pool_qos(pool)).floors


def for_new_share(spec: QosClassSpec | None, size: int, pool: RowMapping) -> QosChange | None:
    """What a new share gets in the pool that was chosen for it."""
    if spec is None:
        return None
    values = effective(spec, size)
    made = plan(spec, values, pool_qos(pool))
    return _change(spec, values, made, before={}, floors_before=NO_FLOORS)


def change_of(
    connection: Connection, operation: str, share: RowMapping, place: ObjectPlace, spec: QosClassSpec | None, size: int,
    *, growth: int = 0, kept_back: int = 0,
) -> QosChange:  # fmt: skip
    """What a class comes to for an existing share of ``size`` bytes; what it needs more of its pool is reserved.

    ``growth`` bytes are reserved with it, by the same statement, without touching ``kept_back`` bytes of the pool.

    Raises:
        NotSupported: the pool cannot enforce a key that the class requires.
        NoPoolFits: the pool has no room for the growth, or no budget left for the floors. Nothing is reserved.
    """
    pool = resources.pool_row(connection, place.pool_id)
    instance = resources.instance_row(connection, place.id)
    held = resources.floors_of(instance)
    before = enforced_of(share)
    if spec is None:
        change = QosChange(before=before, apply=bool(before), floors_before=list(held))
    else:
        values = effective(spec, size, instance["used_bytes"] or 0)
        made = plan(spec, values, pool_qos(pool))
        if not made.judgement.ok:
            raise NotSupported(
                f"pool {place.pool!r} cannot keep QoS class {spec.name!r}: {made.judgement.reason}",
                field="qos",
                hint="choose another class, or one that is `enforce: best_effort`",
            )
        change = _change(spec, values, made, before=before, floors_before=held)
    more = Floors(*change.floors).beyond(held)
    if (growth > 0 or more != NO_FLOORS) and not reservations.reserve_capacity(
        connection, operation, place.pool_id, max(growth, 0), more, kept_back=kept_back
    ):
        raise _no_room(pool, place, growth, more, kept_back)
    return change


def _no_room(pool: RowMapping, place: ObjectPlace, growth: int, more: Floors, kept_back: int) -> NoPoolFits:
    state = pool_qos(pool)
    verdict = fits_budget(state.budget, state.committed, more)
    if growth > 0 and verdict.fits:
        return resources.no_room(pool, growth, kept_back)
    reason = verdict.reason if not verdict.fits else "no spec declares it any more"
    return NoPoolFits(
        f"pool {place.pool!r} cannot promise that: {reason}",
        field="qos",
        hint="choose a class with lower floors, or raise the pool's budget in its spec",
    )


def _change(
    spec: QosClassSpec, values: Effective, made: Plan, *, before: dict[str, int | str], floors_before: Floors
) -> QosChange:
    keys = [
        QosKeyView(
            key=key,
            asked=asked,
            verdict=made.verdicts[key].verdict,
            enforced=made.verdicts[key].value,
            shown=format_limit(key, asked),
            arithmetic=values.arithmetic(key),
            reason=made.verdicts[key].reason,
        )
        for key, asked in values.limits.items()
    ]
    return QosChange(
        limits=dict(made.limits),
        before=before,
        apply=bool(made.limits or before),
        required=spec.enforce == "required",
        planned=QosView(
            name=spec.name, version=spec.version, enforce=spec.enforce, keys=keys, latency_target=spec.latency_target
        ),
        floors=list(made.floors),
        floors_before=list(floors_before),
    )


def enforced_of(share: RowMapping) -> dict[str, int | str]:
    """What the backend was asked to enforce for a share when its quality of service was last set."""
    if share["qos"] is None:
        return {}
    view = QosView.model_validate(share["qos"])
    return {key.key: key.asked for key in view.keys if key.verdict is not Verdict.UNSUPPORTED}


def recorded(change: QosChange | None, answers: Mapping[str, QosAnswer]) -> dict[str, Any]:
    """The columns of a share once its quality of service is set, with the backend's own verdicts."""
    if change is None or change.planned is None:
        return {"qos_class": "", "qos_version": "", "qos": None}
    keys = [_answered(key, answers.get(key.key)) for key in change.planned.keys]
    view = change.planned.model_copy(update={"keys": keys})
    return {"qos_class": view.name, "qos_version": view.version, "qos": view.model_dump(mode="json")}


def _answered(key: QosKeyView, answer: QosAnswer | None) -> QosKeyView:
    if answer is None:
        return key
    found = {"verdict": answer.verdict, "enforced": answer.value, "reason": answer.reason}
    return key.model_copy(update=found)


def settle_floors(
    connection: Connection, place: ObjectPlace, change: QosChange, answers: Mapping[str, QosAnswer]
) -> None:
    """The instance carries the floors that are enforced; what it carried more before goes back to the pool."""
    held, now = Floors(*change.floors_before), kept_floors(change, answers)
    reserved = Floors(*change.floors)
    resources.set_instance(connection, place.id, iops_floor=now.iops, throughput_floor=now.throughput)
    # What was reserved is beyond what was held; both are in the pool's sum, and only what is kept may stay there.
    in_sum = Floors(max(held.iops, reserved.iops), max(held.throughput, reserved.throughput))
    reservations.give_back_capacity(connection, place.pool_id, 0, in_sum.beyond(now))


def kept_floors(change: QosChange, answers: Mapping[str, QosAnswer]) -> Floors:
    """The floors that the backend enforces; one that it said it cannot is not promised."""
    refused = {key for key, answer in answers.items() if answer.verdict is Verdict.UNSUPPORTED}
    return Floors(*(0 if key in refused else floor for key, floor in zip(FLOORS, change.floors, strict=True)))
