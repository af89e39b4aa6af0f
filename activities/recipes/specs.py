"""ApplySpecs in the inventory: one transaction that checks the plan and makes the set the one that counts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from activities import specs
from activities.recipes.base import Recipe
from activities.specs import Planned
from inventory import catalogue
from inventory.database import Turn
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import ApplySpecsInput
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import RemovalNeedsAllow, SpecsMoved, StaleClaim

AGAIN = "plan again: shareflow spec plan"


class ApplySpecs(Recipe[ApplySpecsInput]):
    """Another set of specs counts from now on. It ends where it begins, so there is nothing to undo."""

    kind = names.APPLY_SPECS
    input_model = ApplySpecsInput

    def begin(self, connection: Connection, operation: OpenOperation, request: ApplySpecsInput) -> Begun:
        """Check the plan, apply, end. The turn lets no other apply, and no worker that starts, come between.

        Raises:
            SpecError: the set is refused.
            SpecsMoved: it is not what the plan was made on any more.
            RemovalNeedsAllow: something in use would go that was not named.
        """
        Turn.ACCOUNTS.take(connection)
        found = specs.planned(connection, request.documents)
        _check_token(found, request)
        _check_allowed(found, frozenset(request.allow))
        rows = specs.away_from_drivers(connection, found)
        catalogue.apply(connection, rows, managed=True, operation=operation.id, by=request.by)
        changed, left_off = specs.result_lines(found.plan)
        result = {
            "operation": operation.id,
            "state": "succeeded",
            "specs_revision": catalogue.current_revision(connection),
            "digest": found.new.digest,
            "changed": changed,
            "left_off": left_off,
        }
        return Begun(status=BeginStatus.ENDED, result=result)

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class; never due."""
        raise StaleClaim(f"operation {operation.id} has nothing to commit")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class; what was not applied left nothing."""


def _check_token(found: Planned, request: ApplySpecsInput) -> None:
    asked, token = request.plan, found.token
    if token.new != asked.new:
        message = f"the plan is for the set {asked.new[:12]}, these documents are {token.new[:12]}"
        raise SpecsMoved(message, field="plan", hint=AGAIN)
    if (token.specs_revision, token.current) != (asked.specs_revision, asked.current):
        message = (
            f"the plan was made on specs revision {asked.specs_revision} ({asked.current[:12] or 'none'}), "
            f"now it is {token.specs_revision} ({token.current[:12] or 'none'})"
        )
        raise SpecsMoved(message, field="plan", hint=AGAIN)
    if token.counts != asked.counts:
        lines = ", ".join(f"{line.id} ({line.in_use} shares)" for line in found.plan.destructive[:5]) or "nothing"
        raise SpecsMoved(
            f"what is removed in use is not as it was planned; now it is {lines}", field="plan", hint=AGAIN
        )


def _check_allowed(found: Planned, allowed: frozenset[str]) -> None:
    missing = [line for line in found.plan.destructive if not line.allowed_by(allowed)]
    if missing:
        shown = ", ".join(f"{line.id} ({line.in_use} shares)" for line in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise RemovalNeedsAllow(
            f"in use and to be removed: {shown}{more}",
            field="allow",
            hint=" ".join(f"--allow {line.name}" for line in missing[:5]),
        )
