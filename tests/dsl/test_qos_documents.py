"""QoS classes as documents: versions, records, references, and their part in placement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.attributes import schema_of
from dsl.decision import Kind
from dsl.documents import BackendSpec, QosClassSpec, ShareTypeSpec
from dsl.placement import Language, PlacementRequest, PoolView, Surroundings, place
from dsl.pool_picture import readable
from dsl.problems import Source
from dsl.qos import FORMS, NO_FLOORS, Budget, Floors, PoolQos, QosKeys
from dsl.qos.check import ENFORCED
from dsl.reading import read_document
from dsl.spec_check import check, render_decision
from dsl.spec_set import load_specs
from dsl.yaml_tree import parse
from shareflow.contracts.qos import KEYS

GIB = 2**30
HEAD = "apiVersion: shareflow/v1\nkind: QosClass\nname: gold\n"


def _class(**keys: object) -> QosClassSpec:
    return QosClassSpec.model_validate({"name": "gold", **keys})


def _load(tmp_path: Path, text: str) -> QosClassSpec:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    return load_specs([path]).qos_classes["gold"]


def test_version_changes_with_the_content_and_with_nothing_else(tmp_path: Path) -> None:
    """Order, units and defaults written out are no content; each value and each form is."""
    plain = _load(tmp_path, HEAD + "max_throughput: 1 GiB/s\nmin_iops_per_gib: 0.5\nlatency_target: 2 ms\n")
    other = _load(
        tmp_path,
        HEAD + "latency_target: 2000 us\nenforce: required\nmin_iops_per_gib: 0.50 IOPS\nmax_throughput: 1024 MiB/s\n",
    )
    assert plain.version == other.version
    keys: list[dict[str, Any]] = [
        {"max_iops": 1},
        {"max_iops": 2},
        {"max_iops_per_gib": 1},
        {"max_iops": 1, "enforce": "best_effort"},
    ]
    assert len({_class(**each).version for each in keys}) == len(keys)


def test_version_is_the_same_in_every_release() -> None:
    """A stored version can be compared with one made later: this digest never changes."""
    assert _class(max_iops=1).version == "8e947fd385a5"


def test_new_keys_changed_no_version_of_what_was_there_before() -> None:
    """A type without a class and a pool without a budget are what they were."""
    assert ShareTypeSpec.model_validate({"name": "gold"}).version == "ed8a3eaddf9f"
    plain = BackendSpec.model_validate({"name": "a", "driver": "fake", "pools": [{"name": "p"}]})
    empty = BackendSpec.model_validate({"name": "a", "driver": "fake", "pools": [{"name": "p", "qos": {}}]})
    assert plain.version == empty.version


def test_record_brings_every_value_back_exactly(tmp_path: Path) -> None:
    """What the inventory stores gives the same class, with the places of its keys."""
    text = HEAD + "max_iops_per_gib: 0.3\nmax_iops_at_least: 5\nlatency_target: 500 us\nio_size: 4 KiB\nscope: client\n"
    spec = _load(tmp_path, text)
    again = QosClassSpec.from_record(spec.record())
    assert again == spec
    assert again.version == spec.version
    assert again.at("max_iops_per_gib") == f"{tmp_path / 'a.yaml'}:4:19"


def test_class_that_a_type_names_has_to_be_in_the_set(tmp_path: Path) -> None:
    """The reference is checked with the whole set, wherever the class stands."""
    one, two = tmp_path / "types.yaml", tmp_path / "qos.yaml"
    one.write_text("apiVersion: shareflow/v1\nkind: ShareType\nname: fast\nqos: gold\n")
    specs, problems = check([one])
    assert specs is None
    assert [problem.code for problem in problems] == ["S202"]
    two.write_text(HEAD + "max_iops: 5\n")
    assert load_specs([one, two]).share_types["fast"].qos == "gold"


@pytest.mark.parametrize(
    ("driver", "pool", "keys", "codes"),
    [
        ("fake", "", "max_iops: 5\n", []),
        ("directory", "", "max_iops: 5\n", ["S254"]),
        ("vendor:Array", "", "max_iops: 5\n", []),
        ("fake", "", "min_iops: 5\n", ["S255"]),
        ("fake", ", qos: {iops: 9}", "min_iops: 5\n", []),
        ("fake", ", qos: {iops: 9}", "min_throughput: 5\n", ["S255"]),
        ("btrfs", "", "latency_target: 5 ms\n", []),
    ],
)
def test_class_that_nobody_keeps_is_a_warning(
    tmp_path: Path, driver: str, pool: str, keys: str, codes: list[str]
) -> None:
    """Only where every driver is known; of a foreign driver nothing is known before it is opened."""
    path = tmp_path / "a.yaml"
    backend = f"apiVersion: shareflow/v1\nkind: Backend\nname: b\ndriver: {driver}\npools: [{{name: p{pool}}}]\n"
    path.write_text(f"{HEAD}{keys}---\n{backend}")
    specs, problems = check([path])
    assert specs is not None
    assert [problem.code for problem in problems] == codes


def test_one_backend_that_can_is_enough(tmp_path: Path) -> None:
    """The class is for the shares that are placed there."""
    path = tmp_path / "a.yaml"
    backends = [
        f"apiVersion: shareflow/v1\nkind: Backend\nname: {driver}\ndriver: {driver}\npools: [{{name: p}}]\n"
        for driver in ENFORCED
    ]
    path.write_text("---\n".join([HEAD + "max_iops: 5\n", *backends]))
    assert check([path])[1] == []


_words = st.sampled_from(
    ["5", "-1", "0", "1.5", "5 IOPS", "1 MiB/s", "2 ms", "used", "client", "5 m", "'9'", "x: y", "[]"]
)
_fields = st.sampled_from(sorted([*QosKeys.model_fields, "nothing"]))


@given(st.dictionaries(_fields, _words | st.text(max_size=8), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_keys_with_any_values_end_in_a_class_or_in_problems(keys: dict[str, str]) -> None:
    """Never another exception, and every problem has a place and a next step."""
    source = Source("x.yaml", HEAD + "".join(f"{key}: {value}\n" for key, value in keys.items()))
    parsed = parse(source)
    for node in parsed.documents:
        document = read_document(node, source)
        if isinstance(document, list):
            assert document
            assert all(problem.hint and problem.line for problem in document)
        else:
            assert QosClassSpec.from_record(document.record()) == document


# -- placement


def _pool(name: str, qos: PoolQos) -> PoolView:
    return PoolView(f"id-{name}", "b", name, None, qos=qos)


def _decide(qos: QosClassSpec, *pools: PoolView, size: int = 10 * GIB) -> Any:
    return place(PlacementRequest(size, ShareTypeSpec.model_validate({"name": "t"}), qos=qos), pools)


def test_pool_that_cannot_enforce_a_required_key_is_rejected_with_the_key() -> None:
    """The reason names the key; a pool that can is taken."""
    qos = _class(max_iops=10, max_throughput="1 MiB/s")
    decision = _decide(qos, _pool("a", PoolQos(("max_iops",))), _pool("b", PoolQos(KEYS)))
    assert decision.ranked == ("id-b",)
    (failed,) = decision.verdicts[0].failed
    assert failed.kind is Kind.QOS
    assert failed.left == ("max_iops",)
    assert failed.right == ("max_iops", "max_throughput")
    assert "`max_throughput`: the driver does not enforce it" in decision.explanation()


def test_best_effort_rejects_no_pool() -> None:
    """It is reported in the verdict and that is all."""
    decision = _decide(_class(max_iops=10, enforce="best_effort"), _pool("a", PoolQos()))
    assert decision.ranked == ("id-a",)
    assert decision.verdicts[0].rules[-3].left == ()


def test_pool_takes_floors_to_the_last_of_its_budget() -> None:
    """One more is rejected with the arithmetic; the floor is that of the share's size."""
    qos = _class(min_iops_per_gib=10)
    full = _pool("a", PoolQos(KEYS, Budget(1000), Floors(901)))
    room = _pool("b", PoolQos(KEYS, Budget(1000), Floors(900)))
    none = _pool("c", PoolQos(KEYS))
    decision = _decide(qos, full, room, none)
    assert decision.ranked == ("id-b",)
    text = decision.explanation()
    assert "901 IOPS promised + 100 IOPS asked of 1000 IOPS, lacks 1 IOPS" in text
    assert "`min_iops`: the pool declares no budget of iops" in text
    assert "floors of iops <= budget" in render_decision(decision)
    assert decision.to_json()["request"]["qos"] == "gold"


def test_latency_target_prefers_the_pools_that_keep_it_and_rejects_none(tmp_path: Path) -> None:
    """Above the target, or silent about it, is the same: nothing is added. The scores name the line of the class."""
    qos = _load(tmp_path, HEAD + "max_iops: 10\nlatency_target: 2 ms\n")
    pools = [
        PoolView(
            f"id-{name}", "b", name, None, values={} if latency is None else {"latency": latency}, qos=PoolQos(KEYS)
        )
        for name, latency in (("a", None), ("b", 2001), ("c", 2000), ("d", 5))
    ]
    decision = _decide(qos, *pools)
    assert decision.ranked == ("id-c", "id-d", "id-a", "id-b")
    assert [verdict.score for verdict in decision.verdicts] == [0, 0, 50, 50]
    (scored,) = decision.verdicts[1].scores
    assert (scored.preference, scored.raw, scored.weighted) == ("pool.latency <= 2 ms", "false", 0)
    assert scored.position.endswith(":5:17")
    assert decision.verdicts[0].scores[0].raw == "unknown"


@pytest.mark.parametrize(
    ("declared", "scores"), [({}, [0, 50]), ({"latency": "duration"}, [0, 50]), ({"latency": "text"}, [])]
)
def test_latency_of_pools_is_a_duration_unless_a_backend_says_otherwise(
    declared: dict[str, str], scores: list[int]
) -> None:
    """Nobody need declare it; what a backend declares as something else is compared with nothing."""
    pools = [{"name": name, "attributes": {"latency": text}} for name, text in (("a", "3 ms"), ("b", "1 ms"))]
    backend = BackendSpec.model_validate({"name": "b", "driver": "fake", "attributes": declared, "pools": pools})
    schema = schema_of([backend])
    views = [
        readable(PoolView(pool.name, "b", pool.name, None, attributes=pool.attributes, qos=PoolQos(KEYS)), schema)
        for pool in backend.pools
    ]
    request = PlacementRequest(
        GIB, ShareTypeSpec.model_validate({"name": "t"}), qos=_class(max_iops=1, latency_target="2 ms")
    )
    decision = place(request, views, Surroundings(Language(schema)))
    assert [scored.weighted for verdict in decision.verdicts for scored in verdict.scores] == scores


def test_latency_target_weighs_against_the_preferences_of_the_type() -> None:
    """It is one of several wishes: 50 points, and a type may wish more for something else."""
    quick, near = (
        PoolView(f"id-{name}", "b", name, None, values={"latency": latency, "name": name}, qos=PoolQos(KEYS))
        for name, latency in (("quick", 100), ("near", 9000))
    )
    for weight, best in ((49, "id-quick"), (51, "id-near")):
        spec = {"name": "t", "prefer": [{"when": 'pool.name == "near"', "weight": weight}]}
        asked = PlacementRequest(GIB, ShareTypeSpec.model_validate(spec), qos=_class(max_iops=1, latency_target="2 ms"))
        assert place(asked, [quick, near]).ranked[0] == best


def test_type_without_a_class_asks_nothing_of_a_pool() -> None:
    """No rule is added, so nothing is compared in vain."""
    decision = place(
        PlacementRequest(GIB, ShareTypeSpec.model_validate({"name": "t"})),
        [_pool("a", PoolQos((), Budget(5), NO_FLOORS))],
    )
    assert all(rule.kind is not Kind.QOS for rule in decision.verdicts[0].rules)


def test_readme_of_the_specs_names_every_key_of_a_class() -> None:
    """A key that the table does not explain does not exist for a reader; the forms are explained once."""
    readme = (Path(__file__).parent.parent.parent / "specs" / "README.md").read_text()
    section = readme.partition("## QosClass")[2].partition("\n## ")[0]
    fields = [field for field in QosClassSpec.model_fields if not field.endswith(FORMS[1:])]
    assert [name for name in (*fields, *FORMS[1:]) if f"`{name}`" not in section] == []


def test_example_in_the_readme_is_a_class() -> None:
    """What a reader copies works."""
    readme = (Path(__file__).parent.parent.parent / "specs" / "README.md").read_text()
    example = readme.partition("## QosClass")[2].partition("```yaml\n")[2].partition("```")[0]
    source = Source("README.md", example)
    (node,) = parse(source).documents
    document = read_document(node, source)
    assert isinstance(document, QosClassSpec)
    assert document.limits == ("max_iops", "min_throughput", "burst_iops")
