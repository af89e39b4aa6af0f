"""Access modes: what clients can do, whatever the access rules say."""

from __future__ import annotations

import pytest

from drivers.conformance.bench import Bench, needs
from drivers.contract import AccessMode, ObjectRef, SupportsHostAccess
from drivers.errors import DriverError, NotFound, Rejected

REFUSALS = (OSError, DriverError)


def assert_read_only(bench: Bench, ref: ObjectRef, kept: dict[str, bytes]) -> None:
    """Nothing in the object can be changed by a client, everything can be read."""
    assert bench.client.tree(ref) == kept
    with pytest.raises(REFUSALS):
        bench.client.write(ref, "new", b"x")
    with pytest.raises(REFUSALS):
        bench.client.write(ref, next(iter(kept)), b"changed")
    with pytest.raises(REFUSALS):
        bench.client.remove(ref, next(iter(kept)))
    assert bench.client.tree(ref) == kept


class TestAccessMode:
    """set_access_mode."""

    def test_every_declared_mode_can_be_set_ten_times(self, bench: Bench) -> None:
        """Setting the mode it has succeeds and changes nothing."""
        ref = bench.create()
        for mode in (*bench.capabilities.access_modes, AccessMode.RW):
            call = bench.call()
            bench.driver.set_access_mode(ref, mode, call)
            assert bench.state(ref).mode is mode
            with bench.unchanged():
                for driver in (bench.driver, bench.another()) * 5:
                    driver.set_access_mode(ref, mode, call)

    def test_undeclared_mode_is_refused(self, bench: Bench) -> None:
        """A mode that cannot be enforced is Rejected, not pretended."""
        ref = bench.create()
        for mode in set(AccessMode) - set(bench.capabilities.access_modes):
            with bench.unchanged(), pytest.raises(Rejected):
                bench.driver.set_access_mode(ref, mode, bench.call())
        assert bench.state(ref).mode is AccessMode.RW

    def test_mode_of_a_missing_share_is_not_found(self, bench: Bench) -> None:
        """There is nothing to open or close."""
        for mode in bench.capabilities.access_modes:
            with bench.unchanged(), pytest.raises(NotFound):
                bench.driver.set_access_mode(bench.ref(), mode, bench.call())

    @needs("mode:ro", "data")
    def test_read_only_share_cannot_be_written(self, bench: Bench) -> None:
        """``ro`` is enforced on every write, and taken back by ``rw``."""
        ref = bench.create()
        bench.client.write(ref, "d/f", b"before")
        bench.driver.set_access_mode(ref, AccessMode.RO, bench.call())
        assert_read_only(bench, ref, {"d/f": b"before"})
        bench.driver.set_access_mode(ref, AccessMode.RW, bench.call())
        bench.client.write(ref, "d/f", b"after")
        assert bench.client.tree(ref) == {"d/f": b"after"}

    @needs("mode:none", "data")
    def test_closed_share_cannot_be_reached(self, bench: Bench) -> None:
        """``none`` takes the share away from clients, ``rw`` gives it back as it was."""
        ref = bench.create()
        bench.client.write(ref, "f", b"data")
        bench.driver.set_access_mode(ref, AccessMode.NONE, bench.call())
        with pytest.raises(REFUSALS):
            bench.client.read(ref, "f")
        with pytest.raises(REFUSALS):
            bench.client.write(ref, "g", b"x")
        bench.driver.set_access_mode(ref, AccessMode.RW, bench.call())
        assert bench.client.tree(ref) == {"f": b"data"}

    @needs("mode:ro")
    def test_mode_survives_a_resize(self, bench: Bench) -> None:
        """Only set_access_mode changes the mode."""
        ref = bench.create()
        bench.driver.set_access_mode(ref, AccessMode.RO, bench.call())
        bench.driver.resize_share(ref, bench.size * 2, bench.call())
        assert bench.state(ref).mode is AccessMode.RO

    @needs("mode:ro")
    def test_repeated_create_does_not_open_a_closed_share(self, bench: Bench) -> None:
        """An adopted share keeps its mode."""
        ref = bench.create()
        bench.driver.set_access_mode(ref, AccessMode.RO, bench.call(2))
        bench.driver.create_share(ref, bench.size, bench.call(2))
        assert bench.state(ref).mode is AccessMode.RO

    def test_share_in_any_mode_can_be_deleted(self, bench: Bench) -> None:
        """A closed share is no obstacle to its delete."""
        for mode in bench.capabilities.access_modes:
            ref = bench.create()
            if bench.has("data"):
                bench.client.write(ref, "d/f", b"x")
            bench.driver.set_access_mode(ref, mode, bench.call())
            bench.delete(ref)
            assert bench.driver.observe(ref) is None


@needs("host_access")
class TestHostAccess:
    """data_path."""

    def test_data_path_is_one_directory_in_every_instance(self, bench: Bench) -> None:
        """The path is absolute, a directory, and stays."""
        ref, other = bench.create(), bench.create()
        paths = []
        for driver in (bench.driver, bench.another()) * 2:
            assert isinstance(driver, SupportsHostAccess)
            paths.append(driver.data_path(ref))
            assert driver.data_path(other) != paths[0]
        assert len(set(paths)) == 1, "the path changes"
        assert paths[0].is_absolute()
        assert paths[0].is_dir()

    def test_data_path_of_a_missing_object_is_not_found(self, bench: Bench) -> None:
        """No path is made up, neither before the create nor after the delete."""
        assert isinstance(bench.driver, SupportsHostAccess)
        with pytest.raises(NotFound):
            bench.driver.data_path(bench.ref())
        ref = bench.create()
        path = bench.driver.data_path(ref)
        bench.delete(ref)
        with pytest.raises(NotFound):
            bench.driver.data_path(ref)
        assert not path.exists()

    def test_data_path_stays_when_the_share_changes(self, bench: Bench) -> None:
        """Stable while the object exists: over resize and mode changes."""
        assert isinstance(bench.driver, SupportsHostAccess)
        ref = bench.create()
        path = bench.driver.data_path(ref)
        bench.driver.resize_share(ref, bench.size * 2, bench.call())
        for mode in (*bench.capabilities.access_modes, AccessMode.RW):
            bench.driver.set_access_mode(ref, mode, bench.call())
        assert bench.driver.data_path(ref) == path
        assert path.is_dir()
