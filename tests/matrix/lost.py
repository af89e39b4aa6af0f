"""A worker dies right after a commit, and before its task comes to another worker, a cancel does.

The operation then decides anew from a history that knows nothing of the commit. That moment is made here without a
death: the inventory step is carried out beside the workflow, by the same code, and the cancel is sent.
"""

from __future__ import annotations

import threading

from activities.migration_steps import MigrationSteps
from drivers.contract import ObjectRef
from drivers.fake import FakeDriver
from inventory import operations
from shareflow import names
from shareflow.contracts.migration_steps import SwitchInput
from shareflow.contracts.steps import BeginInput, Begun, CommandStep, CommitInput
from tests.matrix.cells import Cell
from tests.matrix.injections import Injection
from tests.matrix.situations import Handle
from tests.matrix.stage import Stage, soon

HELD = 240.0


class LostBegin(Injection):
    """The operation was begun by an attempt of which only the inventory knows, and is cancelled at once."""

    def arm(self) -> None:
        """See base class."""
        stage, scenario = self.stage, self.scenario
        recipe = stage.steps.recipe(scenario.kind)
        request = recipe.input_model.model_validate(scenario.request(stage)).model_dump(mode="json")
        stage.steps.begin(BeginInput(operation=stage.operation, kind=scenario.kind, request=request))
        self.fired = True

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        await handle.cancel()


class LostCommit(Injection):
    """The step after the backend's is committed by an attempt that only the inventory knows of; then comes a cancel."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.reached, self.release = threading.Event(), threading.Event()

    def arm(self) -> None:
        """See base class."""

        def hold() -> None:
            self._commit()
            self.reached.set()
            self.release.wait(HELD)

        self.at_point(hold)

    def _commit(self) -> None:
        stage = self.stage
        if self.scenario.kind == names.DELETE_SHARE:
            stage.steps.soft_deleted(CommandStep(operation=stage.operation))
            return
        with stage.world.database.write() as connection:  # it locks the row
            row = operations.get(connection, stage.operation)
        begun = Begun.model_validate(row.begun, strict=False)
        place = begun.instance
        assert place is not None
        driver = stage.drivers[place.backend]
        assert isinstance(driver, FakeDriver)
        paths = driver._exports(ObjectRef(place.pool, place.object))
        stage.steps.commit(CommitInput(operation=stage.operation, export_paths=list(paths)))

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        try:
            await soon(self.reached.is_set, "the point")
            await handle.cancel()
        finally:
            self.release.set()


class LostSwitch(LostCommit):
    """The same with the switch of a migration."""

    def _commit(self) -> None:
        stage = self.stage
        begun = stage.begun()
        assert begun.migration is not None
        memory = begun.migration.memory
        step = SwitchInput(operation=stage.operation, export_paths=memory.export_paths, memory=memory)
        MigrationSteps(stage.world.process.services).switch(step)
