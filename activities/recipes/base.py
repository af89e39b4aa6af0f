"""What the inventory's side of an operation is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import Connection, RowMapping, select

from activities.placement import Placement
from inventory import claims, operations, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.database import deployment_id
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import OnBusy, Request
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.steps import Begun, CommitInput, Limits, PlaceAgainInput
from shareflow.errors import InvalidState, NotFound

Input = TypeVar("Input", bound=Request)


class Recipe(ABC, Generic[Input]):
    """One operation's transactions. Each runs inside a write transaction that the caller opens and commits.

    ``begin`` checks, claims, reserves and changes; ``commit`` makes the outcome true; ``abort`` takes back what
    ``begin`` did. Reservations, claims and the operation's own row are settled by the caller.
    """

    kind: ClassVar[str]
    input_model: ClassVar[type[Request]]

    def __init__(self, limits: Limits, placement: Placement) -> None:
        self.limits = limits
        self.placement = placement
        self._deployment = ""

    def parse(self, operation: OpenOperation) -> Input:
        """The operation's input."""
        return cast("Input", self.input_model.model_validate(operation.request))

    @abstractmethod
    def begin(self, connection: Connection, operation: OpenOperation, request: Input) -> Begun:
        """Start the operation or join the line. Raises ShareflowError when it cannot be; then nothing is kept."""

    @abstractmethod
    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """Make the outcome true; returns the workflow's result."""

    @abstractmethod
    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """Take back what begin did to resource rows. Called only when begin has started the operation."""

    def started(self, connection: Connection, operation: OpenOperation, **values: Any) -> Begun:
        """A begun operation."""
        self._deployment = self._deployment or deployment_id(connection)  # it never changes
        return Begun(
            status=BeginStatus.STARTED,
            limits=self.limits,
            deployment=self._deployment,
            recovery=operation.recovery,
            **values,
        )


def waiting(ahead: Sequence[str]) -> Begun:
    """A place in the line."""
    return Begun(status=BeginStatus.WAITING, waiting_for=list(ahead[:20]))


def take_back_refused(
    connection: Connection, operation: OpenOperation, share_id: str, refusal: PlaceAgainInput
) -> Begun | None:
    """The rows of what a pool refused to make for a share go, with its room; the place in the line when there is one.

    The share is claimed for the moment, so that nobody changes what is placed.
    """
    answer = claims.request(connection, operation.id, [Want("share", share_id)])
    if not answer.granted:
        operations.note(connection, operation.id, waiting_for=list(answer.waiting_for[:20]))
        return waiting(answer.waiting_for)
    reservations.void(connection, operation.id, scope="pool", target=refusal.pool_id)
    resources.drop_instance(connection, refusal.instance)
    claims.let_go(connection, operation.id, refusal.instance)
    return None


def refused_so_far(operation: OpenOperation, refusal: PlaceAgainInput) -> dict[str, str]:
    """The pools that have refused, by their ids, each with its reason."""
    return {**(operation.placement or {}).get("excluded", {}), refusal.pool_id: refusal.reason}


Also = Callable[[Connection, str], list[Want]]
"""What is claimed together with a share, looked up while nobody can begin anything on it."""


def alone(_connection: Connection, _share_id: str) -> list[Want]:
    """The share and nothing else."""
    return []


def claimed_instances(connection: Connection, share_id: str) -> list[Want]:
    """For who has to wait until no migration has the share: the instances that one holds."""
    rows = resources.instances_of(connection, share_id)
    return [Want("instance", row["id"]) for row in rows if row["claimed_by"] and row["role"] != replicas.ROLE]


def moving_by(connection: Connection, share_id: str) -> str:
    """The migration that has a share, empty when none has."""
    return next(iter(nudges(connection, share_id)), "")


def nudges(connection: Connection, share_id: str) -> dict[str, str]:
    """Migrations of a share, each with the command that makes it end: before its switch, and after it."""
    ending = {"destination": names.CANCEL_MIGRATION, "retired": names.END_GRACE}
    return {
        row["claimed_by"]: ending[row["role"]]
        for row in resources.instances_of(connection, share_id)
        if row["claimed_by"] and row["role"] in ending
    }


def claim(
    connection: Connection, operation: OpenOperation, request: Request, wants: Sequence[Want]
) -> tuple[Fence, ...] | Begun:
    """The fences of everything wanted, or the answer that says whom to wait for.

    Raises Busy when the caller asked not to wait.
    """
    _require_same(connection, operation, wants)
    answer = claims.request(connection, operation.id, wants, fail_if_busy=request.on_busy is OnBusy.FAIL)
    if not answer.granted:
        return waiting(answer.waiting_for)
    return answer.fences


def claim_with(
    connection: Connection, operation: OpenOperation, request: Request, share_id: str, also: Also
) -> tuple[Fence, ...] | Begun:
    """The fences of a share of the project and of all that belongs to it, or whom to wait for.

    Raises NotFound as :func:`claim_share` does.
    """
    if also is alone:
        return claim(connection, operation, request, [Want("share", share_id)])
    while True:
        claims.hold_still(connection, "share", share_id)
        found = also(connection, share_id)
        try:
            return claim(connection, operation, request, [Want("share", share_id), *found])
        except NotFound:
            # PostgreSQL: a snapshot was deleted, or an instance, between the look and the lock; then there are others
            # now. If there are not, looking again finds the same for ever: the share itself is gone, or it is not the
            # one waited for.
            resources.find_share(connection, operation.project, share_id)
            if also(connection, share_id) == found:
                raise


def claim_share(
    connection: Connection, operation: OpenOperation, request: Request, reference: str, *, also: Also = alone
) -> tuple[RowMapping, tuple[Fence, ...]] | Begun:
    """An available share of the project with its fences, held alone; or the answer that says whom to wait for.

    Raises:
        NotFound: the project has no such share, or it went while the operation stood in line.
        InvalidState: it is not available.
        Busy: the caller asked not to wait.
    """
    share = resources.find_share(connection, operation.project, reference)
    fences = claim_with(connection, operation, request, share["id"], also)
    if isinstance(fences, Begun):
        return fences
    share = resources.find_share(connection, operation.project, share["id"])
    require_status(share, "share", "available")
    return share, fences


def _require_same(connection: Connection, operation: OpenOperation, wants: Sequence[Want]) -> None:
    """Raise NotFound when a name got another bearer while the operation stood in line: it asked for the first one."""
    kind = "share" if any(want.kind == "share" for want in wants) else "snapshot"
    table = tables.claims
    before = connection.execute(
        select(table.c.resource_id).where(table.c.operation == operation.id, table.c.resource_kind == kind)
    )
    known: set[str] = set(before.scalars())
    if known and not known & {want.id for want in wants}:
        raise NotFound(
            f"the {kind} that this operation waited for is gone",
            field=kind,
            hint="another one has its name now; ask again if you mean that one",
        )


def require_status(row: RowMapping, kind: str, *allowed: str) -> None:
    """Raise InvalidState unless the resource is in one of the states allowed."""
    if row["status"] not in allowed:
        raise InvalidState(
            f"{kind} {row['name']!r} is {row['status']}, not {' or '.join(allowed)}",
            field=kind,
            hint="look at it again",
        )


def fence_of(fences: Sequence[Fence], resource: str) -> Fence:
    """The fence of one resource."""
    return next(fence for fence in fences if fence.id == resource)


def share_result(connection: Connection, operation: OpenOperation, share_id: str) -> dict[str, Any]:
    """A ``ShareResult`` as JSON data."""
    share = resources.share_row(connection, share_id)
    place = resources.instance_place(connection, share_id)
    locations = tables.export_locations
    paths = connection.execute(
        locations.select().where(locations.c.instance_id == place.id).order_by(locations.c.preferred.desc())
    ).mappings()
    return share_answer(operation, share, place, [row["path"] for row in paths])


def share_answer(
    operation: OpenOperation, share: RowMapping, place: ObjectPlace, paths: Sequence[str]
) -> dict[str, Any]:
    """A ``ShareResult`` as JSON data, from what its operation knows already; the preferred path first."""
    return {
        "operation": operation.id,
        "state": "succeeded",
        "share_id": share["id"],
        "name": share["name"],
        "size": share["size"],
        "pool": place.pool,
        "backend": place.backend,
        "export_locations": list(paths),
    }
