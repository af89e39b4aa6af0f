"""Mover steps and the fence on real directories, run as activities."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.backend_steps import BackendSteps
from activities.mover_steps import MoverSteps
from activities.settings import Services
from drivers.contract import BackendConfig, Call, ObjectRef, PoolConfig
from drivers.directory import DirectoryDriver
from inventory.database import Database, migrate
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import BackendAnswer, BackendCall

MIB = 1 << 20


class Scene:
    """One directory backend with a source and a destination share, and the steps that work on them."""

    def __init__(self, root: Path) -> None:
        (root / "state").mkdir()
        pool = PoolConfig("p", options={"path": str(root / "pool"), "initialize": True})
        self.driver = DirectoryDriver(BackendConfig("b", "d", [pool], root / "state"))
        self.database = Database(f"sqlite:///{root / 'inventory.db'}")
        migrate(self.database)
        services = Services(self.database, {"b": self.driver}, root / "state")
        self.steps = MoverSteps(services, "b", slots=2)
        self.backend = BackendSteps(services, "b", self.driver, slots=2)
        self.source, self.target = self._share(), self._share()

    def close(self) -> None:
        self.steps.close()
        self.backend.close()
        self.driver.close()
        self.database.close()

    def _share(self) -> ObjectPlace:
        identifier = str(uuid.uuid4())
        ref = ObjectRef("p", f"sf-{identifier}")
        self.driver.create_share(ref, MIB, Call("d", "op", f"create {identifier}", 1))
        return ObjectPlace(id=identifier, backend="b", pool="p", pool_id="", object=ref.name, size=MIB)

    def path(self, place: ObjectPlace) -> Path:
        return self.driver.data_path(ObjectRef(place.pool, place.object))

    def call(self, step: str, **options: Any) -> BackendCall:
        return BackendCall(
            operation="op",
            deployment="d",
            step=step,
            fences=[],
            target=self.target,
            other=self.source,
            epoch=1,
            **options,
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Closed at the end."""
    made = Scene(tmp_path)
    yield made
    made.close()


async def _run(step: Callable[[BackendCall], Awaitable[BackendAnswer]], call: BackendCall) -> BackendAnswer:
    answer: BackendAnswer = await ActivityEnvironment().run(step, call)
    return answer


async def test_passes_say_what_they_moved_and_the_verification_what_it_saw(scene: Scene) -> None:
    """Two live passes and a sampled verification, each a job of its own that leaves no record."""
    (scene.path(scene.source) / "file").write_bytes(b"x" * 1000)
    assert (await _run(scene.steps.copy, scene.call("pass-1", live=True))).moved == 1000
    (scene.path(scene.source) / "other").write_bytes(b"y" * 10)
    assert (await _run(scene.steps.copy, scene.call("pass-2", live=True))).moved == 10
    answer = await _run(scene.steps.verify, scene.call("verify-1", verify="sampled"))
    assert answer.note == "compared a sample: 2 of 2 names, 1010 B of 1010 B of content"


async def test_difference_ends_the_verification_for_good_and_the_next_pass_repairs(scene: Scene) -> None:
    """ContentDiffers with the name; not tried again by itself."""
    (scene.path(scene.source) / "file").write_bytes(b"x" * 1000)
    await _run(scene.steps.copy, scene.call("pass-1", live=True))
    (scene.path(scene.target) / "file").write_bytes(b"z" * 1000)
    with pytest.raises(ApplicationError, match=r"SF306 .*file: ") as caught:
        await _run(scene.steps.verify, scene.call("verify-1", verify="full"))
    assert (caught.value.type, caught.value.non_retryable) == ("ContentDiffers", True)
    await _run(scene.steps.copy, scene.call("pass-2", live=True))
    await _run(scene.steps.verify, scene.call("verify-2", verify="full"))


async def test_limit_can_be_set_for_a_copy_that_does_not_run_and_is_forgotten_with_it(
    scene: Scene, tmp_path: Path
) -> None:
    """A missing job is fine; no trace is left."""
    await _run(scene.steps.set_bandwidth, scene.call("pass-1", bandwidth=MIB))
    assert len(list((tmp_path / "state" / "mover-limits").iterdir())) == 1
    await _run(scene.steps.forget, scene.call("pass-1"))
    assert list((tmp_path / "state" / "mover-limits").iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "ignore", "leaks"),
    [
        ([], False, False),
        (["process 12 (vi) has a/b open for writing"], False, True),
        (["process 12 (vi) has a/b open for writing", "and 3 more open files"], True, False),
        (["clients can write: a write was tried and not refused"], True, True),
    ],
)
async def test_fence_holds_only_when_nobody_can_write(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, lines: list[str], ignore: bool, leaks: bool
) -> None:
    """Open files can be let pass, a client that can write cannot."""
    monkeypatch.setattr(scene.driver, "find_writers", lambda _: lines)
    call = scene.call("fence-1", mode="rw", ignore_open_files=ignore)
    if not leaks:
        await _run(scene.backend.fence, call)
        return
    with pytest.raises(ApplicationError, match="SF307") as caught:
        await _run(scene.backend.fence, call)
    assert (caught.value.type, caught.value.non_retryable) == ("FenceLeaks", True)
