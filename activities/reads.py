"""Reads: standalone activities, so that clients need Temporal alone. Each runs in one consistent read transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection
from temporalio import activity

from activities import placement
from activities.failures import translated
from activities.settings import Services
from dsl.placement import PlacementRequest
from inventory import queries, resources
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.reads import Page

Q = TypeVar("Q")
A = TypeVar("A")


class Reads:
    """The questions that clients can ask."""

    def __init__(self, services: Services) -> None:
        self._database = services.database

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register."""
        return [
            self.list_shares,
            self.get_share,
            self.list_snapshots,
            self.get_snapshot,
            self.list_operations,
            self.get_operation,
            self.explain_placement,
            self.list_pools,
            self.list_share_types,
            self.get_quota,
            self.list_findings,
            self.list_audit,
        ]

    def _answer(self, question: Callable[[Connection, Q], A], query: Q) -> A:
        with translated(), self._database.read() as connection:
            return question(connection, query)

    @activity.defn(name=names.LIST_SHARES)
    def list_shares(self, query: reads.ShareQuery) -> Page[reads.ShareView]:
        """A page of a project's shares."""
        return self._answer(queries.list_shares, query)

    @activity.defn(name=names.GET_SHARE)
    def get_share(self, query: reads.ShareRef) -> reads.ShareView:
        """One share."""
        return self._answer(queries.get_share, query)

    @activity.defn(name=names.LIST_SNAPSHOTS)
    def list_snapshots(self, query: reads.SnapshotQuery) -> Page[reads.SnapshotView]:
        """A page of a project's or a share's snapshots."""
        return self._answer(queries.list_snapshots, query)

    @activity.defn(name=names.GET_SNAPSHOT)
    def get_snapshot(self, query: reads.SnapshotRef) -> reads.SnapshotView:
        """One snapshot."""
        return self._answer(queries.get_snapshot, query)

    @activity.defn(name=names.LIST_OPERATIONS)
    def list_operations(self, query: reads.OperationQuery) -> Page[reads.OperationView]:
        """A page of a project's operations."""
        return self._answer(queries.list_operations, query)

    @activity.defn(name=names.GET_OPERATION)
    def get_operation(self, query: reads.OperationRef) -> reads.OperationView:
        """One operation."""
        return self._answer(queries.get_operation, query)

    @activity.defn(name=names.EXPLAIN_PLACEMENT)
    def explain_placement(self, query: reads.PlacementQuery) -> reads.PlacementView:
        """Where a share would go, with the verdict on every pool. Reserves nothing."""
        return self._answer(_explain, query)

    @activity.defn(name=names.LIST_POOLS)
    def list_pools(self, query: reads.ProjectRef) -> Page[reads.PoolView]:
        """All pools."""
        return self._answer(lambda connection, _query: queries.list_pools(connection), query)

    @activity.defn(name=names.LIST_SHARE_TYPES)
    def list_share_types(self, query: reads.ProjectRef) -> Page[reads.ShareTypeView]:
        """All share types."""
        return self._answer(lambda connection, _query: queries.list_share_types(connection), query)

    @activity.defn(name=names.GET_QUOTA)
    def get_quota(self, query: reads.ProjectRef) -> reads.QuotaView:
        """A project's limits and use."""
        return self._answer(queries.get_quota, query)

    @activity.defn(name=names.LIST_FINDINGS)
    def list_findings(self, query: reads.FindingQuery) -> Page[reads.FindingView]:
        """What the reconciler reports."""
        return self._answer(queries.list_findings, query)

    @activity.defn(name=names.LIST_AUDIT)
    def list_audit(self, query: reads.AuditQuery) -> Page[reads.AuditView]:
        """State changes."""
        return self._answer(queries.list_audit, query)


def _explain(connection: Connection, query: reads.PlacementQuery) -> reads.PlacementView:
    picture = list(resources.pools_picture(connection))
    placement.check_pins(picture, query.backend, query.pool)
    spec = placement.type_spec(resources.share_type(connection, query.type))
    request = PlacementRequest(size=query.size, type=spec, zone=query.zone, backend=query.backend, pool=query.pool)
    decision = placement.decide(picture, request)
    chosen = decision.ranked[0] if decision.ranked else ""
    return reads.PlacementView(chosen=chosen, summary=decision.explanation(), decision=decision.to_json())
