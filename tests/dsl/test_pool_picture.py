"""Pools written down, saved inventories, lists of requests."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.backends import pool_row
from drivers.btrfs import BtrfsDriver
from drivers.contract import Driver
from drivers.directory import DirectoryDriver
from drivers.fake import FakeDriver
from dsl.attributes import extended, schema_of
from dsl.capacity import GIB, UNKNOWN, PoolFigures
from dsl.catalogue import CATALOGUE
from dsl.documents import BackendSpec, PlacementSpec, PoolSpec
from dsl.driver_reports import REPORTS, enforced_by
from dsl.fields import AttributeValue
from dsl.placement import PoolView
from dsl.pool_picture import PoolPicture, readable
from dsl.problems import Problem, SpecProblems
from dsl.qos import Budget, Floors, PoolQos
from dsl.request_list import read_requests
from dsl.share_request import NamedRequest
from dsl.snapshot import SavedShare, read_inventory, saved
from dsl.spec_set import load_specs
from shareflow.contracts.qos import KEYS

REPLAYS = Path(__file__).parent / "spec_tests" / "replays"
BACKEND = BackendSpec.model_validate(
    {"name": "x", "driver": "acme", "attributes": {"latency": "duration", "rank": "number"}, "pools": [{"name": "p"}]}
)
SCHEMA = schema_of([BACKEND])

amounts = st.sampled_from([UNKNOWN, "infinite", None]) | st.integers(0, 2**50)
views = st.builds(
    PoolView,
    id=st.uuids().map(str),
    backend=st.sampled_from(["x", "y-1"]),
    name=st.sampled_from(["p", "q", "rack-3"]),
    zone=st.none() | st.sampled_from(["a", "b"]),
    figures=st.builds(
        PoolFigures,
        amounts,
        amounts,
        st.integers(0, 2**50),
        st.integers(0, 100),
        st.integers(0, 100),
        st.integers(0, 100),
        st.integers(1, 20),
        st.booleans(),
    ),
    attributes=st.fixed_dictionaries(
        {"protocols": st.just(("path",)), "qos_supported": st.just(("max_iops",))},
        optional={
            "latency": st.sampled_from(["2 ms", "1 s"]),
            "rank": st.integers(0, 9),
            "other": st.sampled_from(["x", True, ("a", "b"), ()]),
            "driver": st.just("acme"),
        },
    ),
    available=st.booleans(),
    protocols=st.just(("path",)),
    excluded_reason=st.text(st.characters(categories=["L", "N"]), max_size=9),
    qos=st.builds(
        PoolQos,
        st.just(("max_iops",)),
        st.builds(Budget, st.none() | st.integers(1, 99), st.none() | st.integers(1, 99)),
        st.builds(Floors, st.integers(0, 99), st.integers(0, 99)),
    ),
)


def _written(view: PoolView, tmp_path: Path) -> PoolView:
    """A view after it was saved, written, read and seen again."""
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(saved([view]).to_json(), ensure_ascii=False), encoding="utf-8")
    inventory, problems = read_inventory(file)
    assert problems == []
    assert inventory is not None
    (again,) = inventory.views(extended(SCHEMA, [view]))
    return again


@settings(deadline=None, max_examples=200)
@given(views)
def test_saved_pool_is_the_same_pool_again(view: PoolView) -> None:
    """Figures, words in their place, attributes with their types, promises: nothing is lost on the way."""
    schema = extended(SCHEMA, [view])
    view = readable(view, schema)
    data = json.loads(json.dumps(PoolPicture.of(view).model_dump(mode="json", exclude_defaults=True)))
    assert PoolPicture.model_validate(data).to_view(schema) == view


def test_saved_inventory_is_read_again(tmp_path: Path) -> None:
    """Through a file, with its shares."""
    pool = PoolPicture(backend="x", name="p", attributes={"latency": "2 ms", "media": "größe"}).to_view(SCHEMA)
    assert _written(pool, tmp_path) == readable(pool, extended(SCHEMA, [pool]))
    share = SavedShare(name="home", type="standard", pool="x/p")
    inventory = saved([pool], [share], "by hand")
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(inventory.to_json()), encoding="utf-8")
    again, _ = read_inventory(file)
    assert again == inventory


def test_view_that_no_document_can_hold_is_refused() -> None:
    """It is not saved in part."""
    view = PoolView("id", "x", "p", None, PoolFigures(1, 1), {"x": "two\nlines"})
    with pytest.raises(ValidationError):
        saved([view])


@pytest.mark.parametrize(
    ("said", "total", "free"),
    [
        ({}, 100 * 2**40, 100 * 2**40),
        ({"total": 10 * GIB, "provisioned": 9 * GIB}, 10 * GIB, 10 * GIB),
        ({"total": 10 * GIB, "provisioned": 9 * GIB, "thin": False}, 10 * GIB, GIB),
        ({"total": 10 * GIB, "provisioned": 11 * GIB, "thin": False}, 10 * GIB, 0),
        ({"total": 10 * GIB, "free": 3 * GIB}, 10 * GIB, 3 * GIB),
        ({"total": "unknown"}, UNKNOWN, UNKNOWN),
        ({"total": "infinite", "free": "unreported"}, "infinite", None),
    ],
)
def test_free_is_all_of_a_thin_pool_and_the_rest_of_a_thick_one(
    said: Mapping[str, object], total: object, free: object
) -> None:
    """What a document leaves out about figures."""
    figures = PoolPicture.model_validate({"backend": "x", "name": "p", **said}).to_view(SCHEMA).figures
    assert (figures.total, figures.free) == (total, free)


def test_pool_that_says_nothing_takes_the_defaults_of_the_set() -> None:
    """Over-subscription only where it is thin."""
    defaults = PlacementSpec.model_validate({"over_subscription": 3, "reserved_percent": {"create": 10, "extend": 2}})
    thin = PoolPicture(backend="x", name="p").to_view(SCHEMA, defaults).figures
    thick = PoolPicture(backend="x", name="p", thin=False).to_view(SCHEMA, defaults).figures
    said = PoolPicture.model_validate({"backend": "x", "name": "p", "over_subscription": 2, "reserved_percent": 1})
    own = said.to_view(SCHEMA, defaults).figures
    assert (thin.over_subscription, thin.reserved_percent, thin.reserved_extend_percent) == (3, 10, 2)
    assert (thick.over_subscription, thick.reserved_percent) == (1, 10)
    assert (own.over_subscription, own.reserved_percent, own.reserved_extend_percent) == (2, 1, 1)
    assert PoolPicture(backend="x", name="p").to_view(SCHEMA).figures.over_subscription == 1


def test_rules_read_what_the_pool_is_beside_its_attributes() -> None:
    """Name, backend, zone, driver, protocols and figures are there; declared values have their types."""
    picture = PoolPicture(backend="x", name="p", zone="a", driver="btrfs", attributes={"latency": "2 ms"})
    values = picture.to_view(SCHEMA).values
    assert {name: values[name] for name in ("name", "backend", "zone", "driver", "thin", "latency")} == {
        "name": "p",
        "backend": "x",
        "zone": "a",
        "driver": "btrfs",
        "thin": True,
        "latency": 2000,
    }
    assert (values["total"], values["free"], values["provisioned"]) == (100 * 2**40, 100 * 2**40, 0)
    assert values["protocols"] == ("path",)
    assert "free" not in PoolPicture(backend="x", name="p", free="unknown").to_view(SCHEMA).values


@pytest.mark.parametrize("driver", [FakeDriver, DirectoryDriver, BtrfsDriver], ids=lambda cls: cls.name)
def test_built_in_drivers_report_what_tests_of_specs_take_for_granted(driver: type[Driver]) -> None:
    """The table agrees with what a worker writes into the inventory, attribute by attribute."""
    row = pool_row(PoolSpec(name="p"), object.__new__(driver), None)
    reported = dict(row.attributes)
    assert reported.pop("driver") == driver.name
    assert tuple(reported.pop("protocols")) == ("path",)
    assert tuple(reported.pop("qos_supported")) == enforced_by(driver.name)
    assert _plain(REPORTS[driver.name]) == reported


def _plain(values: Mapping[str, AttributeValue]) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def test_unknown_driver_is_taken_to_enforce_everything() -> None:
    """Of a foreign driver nothing is known before it is opened; a test says what it needs."""
    assert enforced_by("acme:Array") == enforced_by("") == KEYS


def _problems(name: str) -> list[Problem]:
    path = Path(name)
    return read_requests(path)[1] if name.startswith("requests") else read_inventory(path)[1]


REPLAY_FILES = sorted(path.name for path in REPLAYS.iterdir() if path.suffix in (".json", ".yaml"))


@pytest.mark.parametrize("name", REPLAY_FILES)
def test_broken_file_gives_exactly_these_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests and inventories are read as strictly as specs; no secret is shown."""
    monkeypatch.chdir(REPLAYS)
    problems = _problems(name)
    assert all(problem.hint and len(problem.message) <= 72 for problem in problems)
    text = SpecProblems(problems).render() + "\n"
    assert "hunter2" not in text
    expected = Path(f"{name}.txt")
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_code_of_replays_is_shown_by_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code without a reviewed message."""
    monkeypatch.chdir(REPLAYS)
    shown = {problem.code for name in REPLAY_FILES for problem in _problems(name)}
    assert {code for code in CATALOGUE if code.startswith("S27")} <= shown


def test_missing_file_is_a_problem_and_no_error(tmp_path: Path) -> None:
    """As everywhere."""
    assert [problem.code for problem in read_requests(tmp_path / "no")[1]] == ["S001"]
    assert [problem.code for problem in read_inventory(tmp_path / "no")[1]] == ["S001"]
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert [problem.code for problem in read_inventory(tmp_path / "binary")[1]] == ["S004"]
    (tmp_path / "broken").write_text("{")
    assert [problem.code for problem in read_requests(tmp_path / "broken")[1]] == ["S006"]
    assert [problem.code for problem in read_inventory(tmp_path / "broken")[1]] == ["S006"]
    (tmp_path / "empty").write_text("")
    assert [problem.code for problem in read_inventory(tmp_path / "empty")[1]] == ["S002"]


def test_requests_are_read_in_their_order(tmp_path: Path) -> None:
    """JSON and YAML are the same list; what is left out has the defaults of the command line."""
    (tmp_path / "r.json").write_text('[{"name": "home", "size": "1 GiB"}, {"size": 5, "type": "fast"}]')
    (tmp_path / "r.yaml").write_text("- {name: home, size: 1 GiB}\n- {size: 5, type: fast}\n")
    expected = [NamedRequest(name="home", size=GIB), NamedRequest(size=5, type="fast")]
    assert read_requests(tmp_path / "r.json") == read_requests(tmp_path / "r.yaml") == (expected, [])
    assert (expected[0].type, expected[0].project) == ("standard", "default")


def test_many_mistakes_in_a_large_file_are_bounded(tmp_path: Path) -> None:
    """The first ones tell the story."""
    (tmp_path / "r.yaml").write_text("- {size: x}\n" * 5000)
    assert len(read_requests(tmp_path / "r.yaml")[1]) == 50
    rows = "\n".join(f"  - {{name: s{n}, type: t, pool: x/{n}}}" for n in range(2000))
    head = "apiVersion: shareflow/v1\nkind: SavedInventory\npools: [{backend: x, name: p}]\nshares:\n"
    (tmp_path / "i.yaml").write_text(head + rows)
    assert len(read_inventory(tmp_path / "i.yaml")[1]) == 50


def test_inventory_of_many_pools_is_read(tmp_path: Path) -> None:
    """The bounds of spec files are not those of what a machine writes."""
    pool = PoolPicture(backend="x", name="p", zone="a", attributes=dict(REPORTS["btrfs"])).to_view(SCHEMA)
    rows = [PoolPicture.of(pool).model_dump(mode="json") | {"name": f"p{n}"} for n in range(1000)]
    document = {"apiVersion": "shareflow/v1", "kind": "SavedInventory", "pools": rows}
    (tmp_path / "i.json").write_text(json.dumps(document, indent=1))
    inventory, problems = read_inventory(tmp_path / "i.json")
    assert problems == []
    assert inventory is not None
    assert len(inventory.pools) == 1000


def test_set_of_specs_is_told_from_an_inventory(tmp_path: Path) -> None:
    """The pools of a backend document are no inventory."""
    specs = Path(__file__).parents[2] / "specs"
    assert load_specs([specs]).backends
    assert [problem.code for problem in read_inventory(specs / "quotas.yaml")[1]] == ["S101"]
