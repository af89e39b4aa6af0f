"""Finding drivers by name, own ones and foreign ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.contract import BackendConfig, PoolConfig
from drivers.directory import DirectoryDriver
from drivers.errors import Rejected
from drivers.registry import OWN, driver_class, driver_names, open_driver
from dsl.qos.check import ENFORCED

Offer = Callable[[str, str], None]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Offer]:
    """Install a distribution that offers drivers, as pip would leave it, for the length of a test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def install(entry_points: str, module: str) -> None:
        folder = tmp_path / "vendor_array-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor-array\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[shareflow.drivers]\n{entry_points}\n")
        (tmp_path / "vendor_array.py").write_text(module)

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("vendor_array"):
            del sys.modules[name]


@pytest.mark.parametrize("name", sorted(OWN))
def test_own_driver_is_found_under_its_name(name: str) -> None:
    """The name in the registry is the name of the class."""
    assert driver_class(name).name == name
    assert name in driver_names()


@pytest.mark.parametrize("name", sorted(OWN))
def test_specs_know_which_keys_own_drivers_enforce(name: str) -> None:
    """A check of specs opens no driver, so it has a table of its own; this keeps it right."""
    found = driver_class(name)
    assert set(found.capabilities(found.__new__(found)).qos_supported) == ENFORCED[name]


def test_driver_is_opened_with_its_configuration(tmp_path: Path) -> None:
    """An instance is made with the backend's configuration; wrong options are refused by the driver."""
    driver = open_driver(BackendConfig("b", "dep", (PoolConfig("p", {"path": "x"}),), tmp_path), "directory")
    assert isinstance(driver, DirectoryDriver)
    assert driver.pools()[0].name == "p"
    driver.close()
    with pytest.raises(Rejected, match="'path' is missing"):
        open_driver(BackendConfig("b", "dep", (PoolConfig("p"),), tmp_path), "directory")


@pytest.mark.parametrize(
    ("name", "hint"), [("brtfs", "'btrfs'"), ("dirctory", "'directory'"), ("zzz", "known drivers")]
)
def test_unknown_driver_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    """A typing error gets the right name, anything else the list."""
    with pytest.raises(Rejected, match=repr(name)) as refused:
        driver_class(name)
    assert hint in refused.value.hint


def test_foreign_driver_is_found_through_its_entry_point(offer: Offer) -> None:
    """Installing a package is all that a foreign driver needs."""
    offer(
        "array = vendor_array:Array",
        "from drivers.directory import DirectoryDriver\nclass Array(DirectoryDriver):\n    name = 'array'\n",
    )
    assert driver_class("array").name == "array"
    assert "array" in driver_names()
    with pytest.raises(Rejected) as refused:
        driver_class("aray")
    assert "'array'" in refused.value.hint


def test_foreign_driver_cannot_take_an_own_name(offer: Offer) -> None:
    """A package that offers ``directory`` changes nothing."""
    offer("directory = vendor_array:Array", "class Array: pass\n")
    assert driver_class("directory") is DirectoryDriver


@pytest.mark.parametrize(
    ("module", "said"),
    [("raise RuntimeError('boom')", "boom"), ("Other = 1", "Array"), ("class Array: pass", "not a subclass")],
)
def test_foreign_driver_that_cannot_be_used_is_refused_with_the_reason(offer: Offer, module: str, said: str) -> None:
    """A broken package breaks its own driver only, and says how."""
    offer("array = vendor_array:Array", module)
    with pytest.raises(Rejected, match=said):
        driver_class("array")
    assert driver_class("directory") is DirectoryDriver
