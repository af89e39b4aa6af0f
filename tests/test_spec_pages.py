"""The pages about specs: every key is explained, every example is right, and the examples in `specs/` are good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from dsl.attributes import EVERY_POOL, REQUEST, SPEC
from dsl.documents import (
    BackendSpec,
    PlacementSpec,
    PoolSpec,
    QosClassSpec,
    QuotaLimits,
    QuotaSpec,
    ReplicaRules,
    ShareTypeSpec,
    SizeLimits,
    SnapshotPolicySpec,
    SnapshotRules,
    SnapshotTurn,
)
from dsl.driver_reports import REPORTS
from dsl.pool_picture import PoolPicture
from dsl.problems import SpecProblems
from dsl.qos import FORMS, QosBudget
from dsl.request_list import read_requests
from dsl.rules import Preference, Reserved, Rule, Spread
from dsl.share_request import NamedRequest
from dsl.snapshot import SavedInventory, SavedShare, read_inventory
from dsl.spec_check import check
from dsl.spec_set import load_specs
from dsl.spec_tests import coverage, read_tests, run_tests
from dsl.spec_tests.documents import Expectation, PlacedShare, PlacementTestSpec, PoolChange

ROOT = Path(__file__).parent.parent
SPECS = ROOT / "specs"
PAGES = (SPECS / "README.md", ROOT / "docs" / "specs.md")
MODELS: tuple[type[BaseModel], ...] = (
    *(ShareTypeSpec, Rule, Preference, Spread, SizeLimits, SnapshotRules, ReplicaRules),
    *(BackendSpec, PoolSpec, Reserved, QosBudget, PlacementSpec, SnapshotPolicySpec, SnapshotTurn),
    *(QuotaSpec, QuotaLimits, QosClassSpec),
    *(PlacementTestSpec, NamedRequest, PoolPicture, PoolChange, PlacedShare, Expectation),
    *(SavedInventory, SavedShare),
)
GROUPS = {"limits", "snapshots"}  # explained key by key


def _blocks(page: Path) -> Iterator[tuple[int, str]]:
    """The YAML examples of a page, with their lines."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text[: found.start()].count("\n") + 2, found[1]


EXAMPLES = [pytest.param(text, id=f"{page.name}:{line}") for page in PAGES for line, text in _blocks(page)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_readme_of_the_specs_names_every_key(model: type[BaseModel]) -> None:
    """A key that the tables do not explain does not exist for a reader."""
    readme = PAGES[0].read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:\w+\.)?(\w+)`", readme)) | set(re.findall(r"[{ ](\w+): ", readme))
    forms = tuple(form for form in FORMS if form)
    keys = {key for key in model.model_fields if not key.endswith(forms)}
    assert keys - named - GROUPS == set()


def test_readme_names_what_rules_can_always_name() -> None:
    """Also what drivers report; nobody has to read code to write a rule."""
    readme = PAGES[0].read_text(encoding="utf-8")
    reported = {name for report in REPORTS.values() for name in report} | {"qos_supported"}
    names = [*(f"pool.{one.name}" for one in EVERY_POOL), *(f"pool.{name}" for name in sorted(reported))]
    names += [*(f"request.{one.name}" for one in REQUEST), *(f"spec.{one.name}" for one in SPEC)]
    assert [name for name in names if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_on_a_page_is_right(text: str, tmp_path: Path) -> None:
    """Each block is read as what it is: a set without an error, tests that pass on `specs/`, requests, an inventory."""
    file = tmp_path / ("example.test.yaml" if "kind: PlacementTest" in text else "example.yaml")
    file.write_text(text, encoding="utf-8")
    if text.startswith("- "):
        _, problems = read_requests(file)
    elif "kind: SavedInventory" in text:
        _, problems = read_inventory(file)
    elif file.name.endswith(".test.yaml"):
        suite = read_tests([SPECS, file])
        problems = list(suite.problems)
        assert suite.specs is not None
        results = run_tests([test for test in suite.tests if test.at().startswith(str(file))], suite.specs)
        assert [result.render() for result in results if not result.ok] == []
        assert results
    else:
        _, problems = check([file])
    assert [problem.render() for problem in problems if problem.severity == "error"] == []


def test_pages_have_an_example_of_every_kind() -> None:
    """Whatever can be written is shown once in full."""
    text = "".join(block for _, block in _blocks(PAGES[0]))
    kinds = "ShareType Backend Placement SnapshotPolicy Quota QosClass PlacementTest SavedInventory"
    assert [kind for kind in kinds.split() if f"kind: {kind}\n" not in text] == []


def test_examples_in_specs_are_free_of_errors_and_warnings() -> None:
    """What people copy is right, and says nothing that needs an excuse."""
    found, problems = check([SPECS])
    assert found is not None
    assert problems == []


def test_examples_in_specs_have_what_they_promise() -> None:
    """The types that other pages use, and one of each sort that is worth copying."""
    specs = load_specs([SPECS])
    types = specs.share_types
    classes = {"gold", "silver", "bronze", "spread", "replicated", "compliance", "scratch"}
    assert {"standard", "fast", "archive", *classes} == set(types)
    assert {types[name].qos for name in ("gold", "silver", "bronze")} == {"gold", "silver", "bronze"}
    assert all(one.enforce == "best_effort" for one in specs.qos_classes.values()), "directories enforce nothing"
    assert types["spread"].spread is not None
    assert types["replicated"].replicas == ReplicaRules(apart="zone", interval=60, loss=300)
    assert types["compliance"].retention > 5 * 365 * 86_400
    assert types["compliance"].snapshots.policy in specs.snapshot_policies
    assert (types["scratch"].retention, types["scratch"].snapshots.allowed) == (0, False)
    assert specs.placement.require
    assert specs.backends["local"].attributes
    assert types["gold"].rules
    assert types["gold"].prefer


def test_examples_in_specs_are_tested_in_full() -> None:
    """Every test passes, and each rule of the set was seen true and false."""
    suite = read_tests([SPECS])
    assert suite.specs is not None, SpecProblems(suite.problems).render()
    results = run_tests(suite.tests, suite.specs)
    assert [result.render() for result in results if not result.ok] == []
    covered = coverage(results, suite.specs)
    assert covered.gaps == (), covered.render()
    asked = {result.test.request.type for result in results}
    assert asked == set(suite.specs.share_types)
