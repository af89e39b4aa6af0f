"""The replicas that a share type allows: values, versions, plans, and what the whole set says about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dsl import driver_reports
from dsl.documents import ShareTypeSpec
from dsl.formatting import format_text
from dsl.planning import Difference, Usage, plan
from dsl.problems import Problem
from dsl.replicas import ReplicaRules
from dsl.spec_check import check
from dsl.spec_set import from_records, load_specs

HEAD = "apiVersion: shareflow/v1\n"
TWO_ZONES = "[{name: p, zone: a}, {name: q, zone: b}]"


def _type(**keys: object) -> ShareTypeSpec:
    return ShareTypeSpec.model_validate({"name": "gold", **keys})


def _backend(name: str, driver: str = "btrfs", pools: str = TWO_ZONES) -> str:
    return f"{HEAD}kind: Backend\nname: {name}\ndriver: {driver}\npools: {pools}\n"


def _problems(tmp_path: Path, share_type: str, *backends: str) -> list[Problem]:
    """The problems of a set with one share type; it is never refused."""
    path = tmp_path / "specs.yaml"
    path.write_text("---\n".join([f"{HEAD}kind: ShareType\nname: gold\n{share_type}\n", *backends]))
    specs, problems = check([path])
    assert specs is not None
    return problems


def _codes(tmp_path: Path, share_type: str, *backends: str) -> list[str]:
    return [problem.code for problem in _problems(tmp_path, share_type, *backends)]


# -- one document


def test_type_says_nothing_of_replicas_unless_it_is_written() -> None:
    """Shares have none then; written without keys the rules have the documented defaults."""
    assert _type().replicas is None
    assert _type(replicas={}).replicas == ReplicaRules(type="dr", count=1, apart="backend", interval=300, loss=900)


def test_type_without_replicas_keeps_its_version_and_one_with_them_has_its_own() -> None:
    """Each value of the rules is content, and defaults written out are not."""
    assert _type().version == _type(replicas=None).version == "ed8a3eaddf9f"
    assert _type(replicas={}).version == "a82c059d6f4d"
    assert _type(replicas={"type": "dr", "count": 1, "loss": "15 m"}).version == "a82c059d6f4d"
    rules: list[dict[str, object]] = [
        {"type": "readable"},
        {"count": 2},
        {"apart": "zone"},
        {"interval": "1 m"},
        {"loss": "1 h"},
    ]
    assert len({_type(replicas=each).version for each in [*rules, {}, None]}) == len(rules) + 2


def test_recorded_documents_are_read_with_and_without_replicas(tmp_path: Path) -> None:
    """A record of an older release has no such key; one of this release gives the same rules with their places."""
    old = {"kind": "ShareType", "name": "gold", "require": {"media": ["ssd"]}, "places": {"": "types.yaml:1:1"}}
    assert ShareTypeSpec.from_record(old).replicas is None
    path = tmp_path / "a.yaml"
    path.write_text(f"{HEAD}kind: ShareType\nname: gold\nreplicas: {{apart: zone, interval: 1 h, loss: 1 d}}\n")
    spec = load_specs([path]).share_types["gold"]
    again = ShareTypeSpec.from_record(spec.record())
    assert again == spec
    assert again.version == spec.version
    assert again.replicas == ReplicaRules(apart="zone", interval=3600, loss=86_400)
    assert again.at("replicas", "apart") == f"{path}:4:19"


@pytest.mark.parametrize(
    "rules",
    [{"count": 1}, {"count": 8}, {"interval": 1}, {"interval": "15 m"}, {"interval": "1 h", "loss": "1 h"}],
)
def test_value_at_its_limit_is_taken(rules: dict[str, object]) -> None:
    """One to eight replicas, at least a second between rounds, a loss of just one round."""
    assert isinstance(_type(replicas=rules).replicas, ReplicaRules)


@pytest.mark.parametrize(
    "rules",
    [
        {"count": 0},
        {"count": 9},
        {"count": True},
        {"count": "2"},
        {"type": "sync"},
        {"apart": "rack"},
        {"interval": 0},
        {"interval": 901},
        {"interval": "10 m", "loss": "599 s"},
        {"interval": "0.5 s"},
        {"every": "1 m"},
        [],
        2,
    ],
)
def test_value_beyond_its_limit_is_refused(rules: object) -> None:
    """Also an interval that is longer than the loss that counts when none is written."""
    with pytest.raises(ValidationError):
        _type(replicas=rules)


def test_keys_are_formatted_in_the_order_of_the_table() -> None:
    """As everywhere; `replicas` stands behind `snapshots`."""
    text = "kind: ShareType\nname: gold\nzones: [a]\nreplicas: {loss: 1 h, apart: zone, type: dr}\nsnapshots: {}\n"
    assert format_text(text) == (
        "kind: ShareType\nname: gold\nsnapshots: {}\nreplicas: {type: dr, apart: zone, loss: 1 h}\nzones: [a]\n"
    )


def test_plan_shows_that_a_type_gets_or_loses_replicas() -> None:
    """Also when every value is its default, which is another content than no replicas at all."""
    plain, with_them = (
        from_records([ShareTypeSpec(name="gold", replicas=rules).record()]) for rules in (None, ReplicaRules())
    )
    (line,) = plan(plain, with_them, Usage()).lines
    assert line.differences == (Difference("replicas", None, {}),)
    (line,) = plan(with_them, plain, Usage()).lines
    assert line.differences == (Difference("replicas", {}, None),)


# -- the whole set


@pytest.mark.parametrize(
    ("driver", "kind", "codes"),
    [
        ("btrfs", "dr", []),
        ("btrfs", "readable", []),
        ("btrfs", "writable", ["S240"]),
        ("directory", "dr", []),
        ("directory", "readable", ["S240"]),
        ("directory", "writable", ["S240"]),
        ("fake", "writable", ["S240"]),
        ("vendor:Array", "writable", []),
        ("vendor:Array", "readable", []),
    ],
)
def test_type_of_replica_that_no_driver_can_hold_is_a_warning(
    tmp_path: Path, driver: str, kind: str, codes: list[str]
) -> None:
    """Only where every driver is known; of a foreign driver nothing is known before it is opened."""
    assert _codes(tmp_path, f"replicas: {{type: {kind}, apart: pool}}", _backend("one", driver)) == codes


def test_replica_for_recovery_needs_a_driver_that_can_withhold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every driver of ours can; one that only holds off writers is told to hold readable ones."""
    report = {**driver_reports.REPORTS["btrfs"], "access_modes": ("rw", "ro")}
    monkeypatch.setattr(driver_reports, "REPORTS", {**driver_reports.REPORTS, "shelf": report})
    (problem,) = _problems(tmp_path, "replicas: {apart: pool}", _backend("one", "shelf"))
    assert (problem.code, problem.severity) == ("S240", "warning")
    assert problem.hint == "write `type: readable`, or use a backend whose driver can"
    assert problem.note == "one (shelf) lacks access mode none"


def test_one_pool_that_can_hold_the_replicas_is_enough_unless_the_type_refuses_it(tmp_path: Path) -> None:
    """A driver counts only where shares of the type can be."""
    backends = [_backend("one", "directory"), _backend("two", "btrfs", "[{name: p}]")]
    assert _codes(tmp_path, "replicas: {type: readable}", *backends) == []
    refused = "require: not pool.quota_enforced\nreplicas: {type: readable, apart: pool}"
    assert _codes(tmp_path, refused, *backends) == ["S240"]


@pytest.mark.parametrize(
    ("apart", "backends", "codes"),
    [
        ("pool", [_backend("one")], []),
        ("pool", [_backend("one", pools="[{name: p}]")], ["S241"]),
        ("pool", [_backend("one", pools="[{name: p}]"), _backend("two", pools="[{name: p}]")], []),
        ("backend", [_backend("one")], ["S241"]),
        ("backend", [_backend("one"), _backend("two")], []),
        ("zone", [_backend("one")], []),
        ("zone", [_backend("one", pools="[{name: p, zone: a}, {name: q, zone: a}]")], ["S241"]),
        ("zone", [_backend("one", pools="[{name: p, zone: a}, {name: q}]")], ["S241"]),
        ("zone", [_backend("one", pools="[{name: p}, {name: q}]")], ["S241"]),
    ],
)
def test_copies_need_two_domains(tmp_path: Path, apart: str, backends: list[str], codes: list[str]) -> None:
    """A pool in no zone cannot be shown to be apart from another one; nothing is assumed of it."""
    assert _codes(tmp_path, f"replicas: {{apart: {apart}}}", *backends) == codes


@pytest.mark.parametrize(
    "limit",
    ["zones: [a]", 'require: pool.zone == "a"', "require: {media: ssd}", "require: not pool.quota_enforced"],
)
def test_pool_that_the_type_refuses_is_no_domain(tmp_path: Path, limit: str) -> None:
    """By its zone, a rule, a value, or what its driver reports."""
    one = _backend("one", "directory", "[{name: p, zone: a, attributes: {media: ssd}}]")
    two = _backend("two", "btrfs", "[{name: q, zone: b, attributes: {media: hdd}}]")
    assert _codes(tmp_path, "replicas: {}", one, two) == []
    assert _codes(tmp_path, f"{limit}\nreplicas: {{}}", one, two) == ["S241"]


@pytest.mark.parametrize(
    "limit",
    [
        "require: {location: east}",
        "require: pool.free > 1 GiB",
        'require: request.project == "x"',
        'require: [{rule: pool.zone == "a", enforce: advise}]',
    ],
)
def test_pool_that_may_fit_counts(tmp_path: Path, limit: str) -> None:
    """What only the driver or the request knows, and what is only advice, excludes nothing."""
    one = _backend("one", pools="[{name: p, zone: a, attributes: {location: east}}]")
    two = _backend("two", "vendor:Array", "[{name: q, zone: b}]")
    assert _codes(tmp_path, f"{limit}\nreplicas: {{}}", one, two) == []


def test_protocol_excludes_the_pools_of_built_in_drivers_alone(tmp_path: Path) -> None:
    """They speak `path`; of others nobody knows."""
    wanted = "protocol: nfs\nreplicas: {}"
    assert _codes(tmp_path, wanted, _backend("one"), _backend("two")) == ["S241"]
    assert _codes(tmp_path, wanted, _backend("one", "x:A"), _backend("two", "x:B")) == []


def test_hint_names_a_domain_that_would_do(tmp_path: Path) -> None:
    """And none when there is none."""
    (problem,) = _problems(tmp_path, "replicas: {}", _backend("one"))
    assert problem.hint == "let a pool in a second backend satisfy the type, or write `apart: zone`"
    assert problem.note == "one/p fits; one/q fits"
    (problem,) = _problems(tmp_path, "replicas: {apart: zone}", _backend("one", pools="[{name: p}]"))
    assert problem.hint == "let a pool in a second zone satisfy the type"
    assert problem.note == "one/p fits, in no zone"


def test_set_that_says_more_important_things_says_nothing_of_replicas(tmp_path: Path) -> None:
    """Without backends nobody knows; a type that no pool satisfies is told that alone."""
    assert _codes(tmp_path, "replicas: {type: writable}") == []
    assert _codes(tmp_path, 'require: pool.zone == "c"\nreplicas: {}', _backend("one")) == ["S203"]


def test_message_about_the_longest_name_fits_into_a_line(tmp_path: Path) -> None:
    """Names have up to 31 characters."""
    path = tmp_path / "specs.yaml"
    name = "n" * 31
    share_type = f"{HEAD}kind: ShareType\nname: {name}\nreplicas: {{type: readable}}\n"
    path.write_text(f"{share_type}---\n{_backend('one', 'directory')}")
    problems = check([path])[1]
    assert {problem.code for problem in problems} == {"S240", "S241"}
    assert all(name in problem.message and len(problem.message) <= 72 for problem in problems)
