"""The pools as placement sees them: one consistent picture, kept in memory and brought up to date by what changed.

A worker keeps a picture of what is committed. Inside a transaction the rows that have changed since are laid over it,
so that a decision sees exactly what the transaction sees; such a picture is not kept, since the transaction may be
rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping

from activities.qos import pool_qos
from dsl.attributes import runtime_values
from dsl.capacity import UNKNOWN, Amount, PoolFigures, Purpose, kept_back
from dsl.documents import PlacementSpec
from dsl.expressions import Schema
from dsl.placement import Language, Pools, PoolView
from dsl.placement.language import NO_LANGUAGE
from dsl.spec_set import from_records
from inventory import catalogue, pool_history, resources
from inventory.database import Database
from inventory.pool_history import Moment

MOST_BEHIND = 8
"""So many changed rows are laid over the kept picture before it is read anew."""


def figures_of(row: Mapping[str, Any] | RowMapping) -> PoolFigures:
    """A pool's capacity from its row. What is reserved counts as handed out; a survey may not have seen it yet."""
    terms: Mapping[str, Any] = row["terms"] or {}
    thin, allocated, total = terms.get("thin", True), row["allocated_bytes"], row["total_bytes"]
    reserved = {purpose: _number(percent) for purpose, percent in terms.get("reserved", {}).items()}
    return PoolFigures(
        total=UNKNOWN if total is None else total,
        free=_free(row["free_bytes"], total, allocated, thin=thin),
        provisioned=allocated,
        reserved_percent=reserved.get("create", 0),
        reserved_from_snapshot_percent=reserved.get("from_snapshot", 0),
        reserved_extend_percent=reserved.get("extend", 0),
        over_subscription=_number(terms.get("over_subscription", 1)),
        thin=thin,
    )


@lru_cache(maxsize=256)  # a few percentages and ratios are all that there are
def _number(text: str | int) -> int | Fraction:
    """The number, as an int where it is one: placement calculates with it for every request."""
    number = Fraction(text)
    return number.numerator if number.denominator == 1 else number


def _free(reported: int | None, total: int | None, allocated: int, *, thin: bool) -> Amount:
    if total is None:
        return UNKNOWN if reported is None else reported
    left = max(total - allocated, 0)
    if reported is None:
        return left
    return reported if thin else min(reported, left)


def kept_back_in(row: RowMapping, purpose: Purpose) -> int:
    """Bytes of a pool's limit that requests of this purpose do not get."""
    figures = figures_of(row)
    return kept_back(row["total_bytes"], Fraction(figures.reserved(purpose)), thin=figures.is_thin)


def _excluded(row: Mapping[str, Any] | RowMapping) -> str:
    """Why nothing is placed in a pool; empty when something may be."""
    if not row["reachable"]:
        return f"backend {row['backend']} does not answer"
    return "it is drained (`drained: false` of DrainPool opens it)" if row["drained"] else ""


def view(row: Mapping[str, Any] | RowMapping, schema: Schema, before: PoolView | None = None) -> PoolView:
    """A pool's row as placement sees it.

    Args:
        row: of the inventory.
        schema: the attributes that rules may name.
        before: the pool as it was, by the same schema: what it reports mostly stays the same.
    """
    attributes: Mapping[str, Any] = row["attributes"]
    figures = figures_of(row)
    every = {
        "name": row["name"],
        "backend": row["backend"],
        "zone": row["zone"] or None,
        "driver": row["driver"],
        "thin": figures.is_thin,
        "total": row["total_bytes"],
        "free": None if figures.free == UNKNOWN else figures.free,
        "provisioned": row["allocated_bytes"],
    }
    same = before is not None and before.attributes == attributes
    reported = before.values if before is not None and same else runtime_values(attributes, schema)
    values = {name: value for name, value in reported.items() if name not in every}
    return PoolView(
        id=row["id"],
        backend=row["backend"],
        name=row["name"],
        zone=row["zone"] or None,
        figures=figures,
        attributes=attributes,
        values=values | runtime_values(every, schema),
        available=row["reachable"] and not row["drained"],
        protocols=tuple(attributes.get("protocols", ())),
        excluded_reason=_excluded(row),
        qos=pool_qos(row),
    )


@dataclass(frozen=True)
class Picture:
    """All declared pools at one revision, and the rules that they are asked by.

    Attributes:
        revision: the last change of a pool that it holds.
        specs: the revision of the specs.
        pools: as placement sees them; they remember what rules said of them.
        rows: by pool id.
        language: compiles rules.
        defaults: the set's defaults of placement.
    """

    revision: int = -1
    specs: int = -1
    pools: Pools = field(default_factory=lambda: Pools.of(()))
    rows: Mapping[str, RowMapping] = field(default_factory=dict)
    language: Language = NO_LANGUAGE
    defaults: PlacementSpec = field(default_factory=PlacementSpec)

    def with_changes(self, rows: Sequence[RowMapping], revision: int) -> Picture:
        """The picture with rows that have changed since; retired pools leave it."""
        retired = {row["id"] for row in rows if row["retired"]}
        there = {row["id"]: row for row in rows if not row["retired"]}
        schema, before = self.language.schema, self.pools
        pools = before.with_changes([view(row, schema, before.get(id_)) for id_, row in there.items()], retired)
        known = {**self.rows, **there}
        for pool in retired:
            known.pop(pool, None)
        return Picture(revision, self.specs, pools, known, self.language, self.defaults)


def picture_at(connection: Connection, revision: int, specs: int) -> Picture:
    """The picture that a decision of these revisions saw. Raises KeyError when the specs' revision is unknown."""
    return _of_specs(connection, specs).with_changes(pool_history.at(connection, revision), revision)


def _of_specs(connection: Connection, specs: int) -> Picture:
    """A picture without pools."""
    row = catalogue.set_at(connection, specs)
    if row is None:
        raise KeyError(specs)
    spec_set = from_records(row["documents"])
    return Picture(specs=specs, language=Language(spec_set.schema()), defaults=spec_set.placement)


class Pictures:
    """Keeps a worker's picture. Usable from any number of threads: pictures are never changed, only replaced."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = Picture()
        self._behind = 0

    def current(self, connection: Connection, moment: Moment | None = None) -> Picture:
        """The picture as the transaction sees it. A changed set of specs, or the first call, reads all pools.

        Args:
            connection: of the transaction.
            moment: what it sees, when that is known already.
        """
        found, self._behind = self._laid_over(connection, moment or pool_history.moment(connection))
        return found

    def catch_up(self) -> None:
        """Keep what is committed now, when many rows had to be laid over the kept picture. Outside transactions."""
        if self._behind > MOST_BEHIND:
            with self._database.read() as connection:
                self._kept, self._behind = self._laid_over(connection, pool_history.moment(connection))[0], 0

    def _laid_over(self, connection: Connection, moment: Moment) -> tuple[Picture, int]:
        kept = self._kept
        if kept.specs != moment.specs:
            empty = _of_specs(connection, moment.specs) if moment.specs else Picture(specs=0)
            whole = empty.with_changes(resources.pools_picture(connection), moment.pools)
            return whole, MOST_BEHIND + 1
        if kept.revision == moment.pools:
            return kept, 0
        rows = pool_history.changed_since(connection, kept.revision)
        return kept.with_changes(rows, moment.pools), len(rows)
