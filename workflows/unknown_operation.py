"""What a workflow type that does not exist gets: a clear failure, where its task alone would be retried for ever."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.steps import Failure
    from workflows.conduct import as_error


@workflow.defn(dynamic=True)
class UnknownOperation:
    """Refuse a misspelt workflow type. Nothing is changed."""

    @workflow.run
    async def run(self, _args: Sequence[RawValue]) -> None:
        """Name the types there are."""
        asked = workflow.info().workflow_type[:100]
        close = difflib.get_close_matches(asked, names.OPERATION_TYPES, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise as_error(
            Failure(
                type="InvalidInput",
                field="type",
                message=f"there is no operation {asked!a}",
                hint=f"{hint}Operations are {', '.join(names.OPERATION_TYPES)}",
            )
        )
