"""Operations that are killed in every window they pass, and then made again; for any driver of the recorded family.

A test module imports these tests and gives them a fixture ``make_bed`` that makes beds on fresh pools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from drivers import crash
from drivers.contract import AccessMode, ObjectKind, ObjectRef, SupportsTransfer
from drivers.recorded import RecordedDriver, places
from tests.drivers.bed import POOL, SIZE, Bed, call, content, done, killed_at, occurrences, ref, watched, write

MakeBed = Callable[[], Bed]
OLD, NEW = {"f": "old", "gone": "x"}, {"f": "new"}


@dataclass
class Scene:
    """What an operation works on."""

    share: ObjectRef = field(default_factory=ref)
    snapshot: ObjectRef = field(default_factory=ref)
    target: ObjectRef = field(default_factory=ref)

    def prepare(self, driver: RecordedDriver) -> None:
        """A share with new content and a snapshot of its old content."""
        driver.create_share(self.share, SIZE, call("create"))
        for name, text in OLD.items():
            write(driver, self.share, name, text)
        done(lambda: driver.create_snapshot(self.share, self.snapshot, call("snapshot")))
        write(driver, self.share, "f", "new")
        (driver.data_path(self.share) / "gone").unlink()


class Operation:
    """One call, what must hold after a kill in it, and what must hold when it was made again."""

    exchange = True
    transfers = False

    def ready(self, driver: RecordedDriver, scene: Scene) -> None:
        """What must be there before the call, besides the scene."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        """The call."""
        raise NotImplementedError

    def after_kill(self, driver: RecordedDriver, scene: Scene) -> None:
        """Share and snapshot are whole whatever happened."""
        assert content(driver, scene.share) == NEW
        assert content(driver, scene.snapshot) == OLD

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        """The effect, exactly once."""
        self.after_kill(driver, scene)

    def objects(self, scene: Scene) -> set[ObjectRef]:
        """What there is at the end."""
        return {scene.share, scene.snapshot}


class Create(Operation):
    """A share is made."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        driver.create_share(scene.target, SIZE, call("target"))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        super().after(driver, scene)
        assert content(driver, scene.target) == {}

    def objects(self, scene: Scene) -> set[ObjectRef]:
        return {scene.share, scene.snapshot, scene.target}


class Snapshot(Create):
    """A snapshot is taken."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        done(lambda: driver.create_snapshot(scene.share, scene.target, call("target")))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        Operation.after(self, driver, scene)
        assert content(driver, scene.target) == NEW


class Clone(Create):
    """A larger share is made from a snapshot."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        done(lambda: driver.clone_snapshot(scene.snapshot, scene.target, 2 * SIZE, call("target")))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        Operation.after(self, driver, scene)
        assert content(driver, scene.target) == OLD
        assert driver.create_share(scene.target, 2 * SIZE, call("adopt")).size == 2 * SIZE


class Revert(Operation):
    """A share goes back, keeping its mode and size."""

    mode = AccessMode.RW

    def ready(self, driver: RecordedDriver, scene: Scene) -> None:
        driver.set_access_mode(scene.share, self.mode, call("mode"))

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        done(lambda: driver.revert_share(scene.share, scene.snapshot, call("revert")))

    def after_kill(self, driver: RecordedDriver, scene: Scene) -> None:
        state = driver.observe(scene.share)
        assert state is not None
        assert state.complete
        if self.exchange:
            assert content(driver, scene.share) in (OLD, NEW)
        assert content(driver, scene.snapshot) == OLD

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        assert content(driver, scene.share) == OLD
        assert content(driver, scene.snapshot) == OLD
        state = driver.observe(scene.share)
        assert state is not None
        assert (state.mode, state.size) == (self.mode, SIZE)
        driver.set_access_mode(scene.share, AccessMode.RW, call("mode-again"))
        write(driver, scene.share, "since", "x")
        self.act(driver, scene)
        assert content(driver, scene.share) == {**OLD, "since": "x"}


class RevertWithoutExchange(Revert):
    """The same where names cannot be exchanged."""

    exchange = False


class RevertClosed(Revert):
    """The same for a closed share."""

    mode = AccessMode.NONE


class RevertReadOnly(Revert):
    """The same for a read-only share."""

    mode = AccessMode.RO


class Receive(Create):
    """A snapshot comes from another pool, or from this one."""

    transfers = True

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        assert isinstance(driver, SupportsTransfer)
        there = partial(driver.receive_snapshot, driver, scene.snapshot, scene.target, scene.share)
        done(lambda: there(call("target")))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        Operation.after(self, driver, scene)
        assert content(driver, scene.target) == OLD


class Resize(Operation):
    """A share grows."""

    size = 2 * SIZE

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        driver.resize_share(scene.share, self.size, call("resize", 2))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        super().after(driver, scene)
        state = driver.observe(scene.share)
        assert state is not None
        assert (state.size, state.epoch) == (self.size, 2)


class Shrink(Resize):
    """A share gets smaller."""

    size = SIZE // 2


class Close(Operation):
    """A share is taken away from its clients."""

    before, mode = AccessMode.RW, AccessMode.NONE

    def ready(self, driver: RecordedDriver, scene: Scene) -> None:
        driver.set_access_mode(scene.share, self.before, call("before"))

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        driver.set_access_mode(scene.share, self.mode, call("mode"))

    def after(self, driver: RecordedDriver, scene: Scene) -> None:
        super().after(driver, scene)
        state = driver.observe(scene.share)
        assert state is not None
        assert state.mode is self.mode
        assert driver.export_path(scene.share).is_dir() == (self.mode is not AccessMode.NONE)


class Open(Close):
    """A closed share is given back."""

    before, mode = AccessMode.NONE, AccessMode.RW


class CloseWithoutExchange(Close):
    """A share is closed where names cannot be exchanged."""

    exchange = False


class OpenWithoutExchange(Open):
    """A share is opened where names cannot be exchanged."""

    exchange = False


class ReadOnly(Close):
    """A share becomes read-only."""

    mode = AccessMode.RO


class ReadOnlyFromClosed(Close):
    """A closed share becomes read-only."""

    before, mode = AccessMode.NONE, AccessMode.RO


class DeleteShare(Operation):
    """A share is deleted; its snapshot stays."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        done(lambda: driver.delete_share(scene.share, call("delete", 2)))

    def after_kill(self, driver: RecordedDriver, scene: Scene) -> None:
        assert content(driver, scene.snapshot) == OLD

    def objects(self, scene: Scene) -> set[ObjectRef]:
        return {scene.snapshot}


class DeleteSnapshot(Operation):
    """A snapshot is deleted; its share stays."""

    def act(self, driver: RecordedDriver, scene: Scene) -> None:
        done(lambda: driver.delete_snapshot(scene.snapshot, call("delete", 2)))

    def after_kill(self, driver: RecordedDriver, scene: Scene) -> None:
        assert content(driver, scene.share) == NEW

    def objects(self, scene: Scene) -> set[ObjectRef]:
        return {scene.share}


OPERATIONS: tuple[type[Operation], ...] = (
    Create, Snapshot, Clone, Revert, RevertWithoutExchange, RevertClosed, RevertReadOnly, Resize, Shrink, Close, Open,
    CloseWithoutExchange, OpenWithoutExchange, ReadOnly, ReadOnlyFromClosed, DeleteShare, DeleteSnapshot, Receive,
)  # fmt: skip


def no_exchange(*_: object) -> bool:
    """A file system that cannot exchange names."""
    return False


def windows_of(bed: Bed, operation: Operation) -> list[tuple[str, int]]:
    """The windows that an operation passes on this bed."""
    driver, scene, passed = bed.open(), Scene(), list[str]()
    scene.prepare(driver)
    operation.ready(driver, scene)
    with watched(passed):
        operation.act(driver, scene)
    return occurrences(passed, first_only="inline_limit" in bed.options or operation.transfers)


def acted(operation: Operation, bed: Bed, scene: Scene) -> None:
    """The call, made by a process of its own."""
    operation.act(bed.open(), scene)


def created(bed: Bed, share: ObjectRef) -> None:
    """The first use of a pool."""
    bed.open().create_share(share, SIZE, call())


def assert_whole(bed: Bed, driver: RecordedDriver, expected: set[ObjectRef]) -> None:
    """Exactly these objects, all complete, and nothing half made anywhere."""
    listing = driver.list_objects(POOL)
    assert listing.complete
    assert {state.ref for state in listing.objects} == expected
    assert all(state.complete for state in listing.objects), listing
    assert bed.residue() == []


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.__name__)
def operation(request: pytest.FixtureRequest, make_bed: MakeBed, monkeypatch: pytest.MonkeyPatch) -> Operation:
    """Each operation that this driver can do."""
    chosen: Operation = request.param()
    able = make_bed().open().capabilities()
    if chosen.transfers and not able.transfer:
        pytest.skip("the driver does not exchange snapshots")
    modes = able.access_modes
    for mode in (getattr(chosen, "mode", AccessMode.RW), getattr(chosen, "before", AccessMode.RW)):
        if mode not in modes:
            pytest.skip(f"the driver has no mode {mode}")
    if not chosen.exchange:
        monkeypatch.setattr(places, "exchange", no_exchange)
    return chosen


def test_killed_in_any_window_and_made_again_has_its_effect_once(make_bed: MakeBed, operation: Operation) -> None:
    """Every crash window is healed by making the same call again, and nothing is left over."""
    for window, occurrence in windows_of(make_bed(), operation):
        bed, scene = make_bed(), Scene()
        driver = bed.open()
        scene.prepare(driver)
        operation.ready(driver, scene)
        assert killed_at(window, occurrence, partial(acted, operation, bed, scene)), window
        survivor = bed.open()
        operation.after_kill(survivor, scene)
        operation.act(survivor, scene)
        operation.after(survivor, scene)
        assert_whole(bed, survivor, operation.objects(scene))
        bed.close()


@pytest.mark.parametrize(
    "kind", [Create, Snapshot, Clone, Revert, RevertWithoutExchange, Close, CloseWithoutExchange, Receive]
)
def test_killed_in_any_window_and_deleted_leaves_nothing(
    make_bed: MakeBed, kind: type[Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed call left is removed by deleting its objects, by another operation, in another process."""
    operation = kind()
    if operation.transfers and not make_bed().open().capabilities().transfer:
        pytest.skip("the driver does not exchange snapshots")
    if not operation.exchange:
        monkeypatch.setattr(places, "exchange", no_exchange)
    for window, occurrence in windows_of(make_bed(), operation):
        bed, scene = make_bed(), Scene()
        driver = bed.open()
        scene.prepare(driver)
        operation.ready(driver, scene)
        assert killed_at(window, occurrence, partial(acted, operation, bed, scene)), window
        survivor = bed.open()
        for name in (scene.target, scene.share, scene.snapshot):
            state = survivor.observe(name)
            frozen = state is not None and state.kind is ObjectKind.SNAPSHOT
            done(partial(survivor.delete_snapshot if frozen else survivor.delete_share, name, call("wipe", 9)))
        assert_whole(bed, survivor, set())
        meta = bed.root / ".shareflow"
        for folder in (bed.root / "shares", bed.root / "snapshots", meta / "at", meta / "withheld", meta / "objects"):
            assert list(folder.iterdir()) == []
        bed.close()


def test_first_use_killed_in_any_window_makes_one_pool(make_bed: MakeBed) -> None:
    """A pool whose first use was killed is finished by the next use, under one id."""
    passed: list[str] = []
    with watched(passed):
        make_bed().open().create_share(ref(), SIZE, call())
    for window in ("pool.layout", "pool.marker"):
        assert window in passed
        bed, share = make_bed(), ref()
        assert killed_at(window, 1, partial(created, bed, share))
        survivor = bed.open()
        survivor.create_share(share, SIZE, call())
        assert_whole(bed, survivor, {share})
        bed.close()


def test_every_window_is_passed(make_bed: MakeBed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that no operation passes is one that no test kills in."""
    passed: list[str] = []
    with watched(passed):
        make_bed().open().create_share(ref(), SIZE, call())
    transfers = bool(make_bed().open().capabilities().transfer)
    kinds = (
        Create,
        Clone,
        Revert,
        RevertWithoutExchange,
        Resize,
        Close,
        DeleteShare,
        *([Receive] if transfers else []),
    )
    for kind in kinds:
        with monkeypatch.context() as patch:
            if not kind.exchange:
                patch.setattr(places, "exchange", no_exchange)
            passed += [name for name, _ in windows_of(make_bed(), kind())]
    assert set(passed) == {name for name in crash.WINDOWS if transfers or not name.startswith("receive.")}
