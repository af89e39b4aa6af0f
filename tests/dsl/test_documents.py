"""The models of the kinds: values, defaults, versions, records."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import ValidationError

from dsl.documents import BackendSpec, PlacementSpec, PoolSpec, QuotaLimits, QuotaSpec, ShareTypeSpec, secret_reference
from dsl.rules import Reserved
from dsl.spec_set import load_specs

GIB = 2**30


def _type(**values: object) -> ShareTypeSpec:
    return ShareTypeSpec.model_validate({"name": "gold", **values})


def _pool(**values: object) -> PoolSpec:
    return PoolSpec.model_validate({"name": "rack1", **values})


def _first(tmp_path: Path, text: str) -> ShareTypeSpec:
    path = tmp_path / "a.yaml"
    path.write_text(f"apiVersion: shareflow/v1\nkind: ShareType\n{text}")
    return next(iter(load_specs([path]).share_types.values()))


def test_type_with_a_name_alone_has_the_documented_defaults() -> None:
    """Seven days of retention, snapshots allowed, any size from one byte, any zone, protocol path."""
    spec = _type()
    assert (spec.protocol, spec.retention, spec.snapshots.allowed, spec.zones) == ("path", 604_800, True, None)
    assert (spec.limits.min_size, spec.limits.max_size, spec.required_attributes) == (1, None, {})


def test_sizes_and_durations_are_bytes_and_seconds() -> None:
    """Text with units and whole numbers mean the same."""
    assert _type(limits={"min_size": "1 GiB", "max_size": 2 * GIB}).limits.min_size == GIB
    assert _type(retention="2 d").retention == _type(retention=172_800).retention == 172_800


def test_required_values_keep_their_type() -> None:
    """True is not 1 and not the text true; text with a size unit is bytes."""
    require = _type(require={"a": True, "b": 1, "c": "true", "d": ["4 KiB", "x"], "e": "10 GB"}).required_attributes
    assert dict(require) == {"a": (True,), "b": (1,), "c": ("true",), "d": (4096, "x"), "e": ("10 GB",)}
    assert type(require["a"][0]) is bool


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), None, {}, [], [[]], [None], "", "x" * 256, "a\nb", 2**61])
def test_value_that_is_no_attribute_is_refused(value: object) -> None:
    """An attribute is true or false, a bounded whole number, or one line of text."""
    with pytest.raises(ValidationError):
        _type(require={"a": value})


def test_size_is_refused_outside_the_limits_of_the_type() -> None:
    """The limits themselves are allowed; one byte beyond is refused with the limit named."""
    spec = _type(limits={"min_size": "1 GiB", "max_size": "2 GiB"})
    assert spec.size_refusal(GIB) is None
    assert spec.size_refusal(2 * GIB) is None
    assert spec.size_refusal(GIB - 1) == "type gold allows no share below 1 GiB"
    assert spec.size_refusal(2 * GIB + 1) == "type gold allows no share above 2 GiB"


def test_version_changes_with_the_content_and_with_nothing_else(tmp_path: Path) -> None:
    """Order, comments, spelling of a size and defaults written out are no content; each value is."""
    plain = _first(tmp_path, "name: gold\nretention: 2 d\nrequire: {media: [ssd, nvme], x: true}\n")
    other = _first(
        tmp_path,
        "# why\nrequire: {x: true, media: [nvme, ssd]}\nretention: 48 h\nprotocol: path\nsnapshots: {}\nname: gold\n",
    )
    assert plain.version == other.version
    assert len(plain.version) == 12
    changed = ["name: golt\n", "name: gold\n", "name: gold\nretention: 3 d\n", "name: gold\nrequire: {x: 1}\n"]
    versions = {_first(tmp_path, text).version for text in changed} | {plain.version}
    assert len(versions) == len(changed) + 1


def test_version_is_the_same_in_every_release() -> None:
    """A stored version can be compared with one made later: this digest never changes."""
    assert _type().version == "ed8a3eaddf9f"


def test_record_brings_content_and_places_back(tmp_path: Path) -> None:
    """What the inventory stores gives the same type, with the places of its rules."""
    spec = _first(tmp_path, "name: gold\nzones: [a]\nrequire:\n  media: ssd\n")
    with pytest.raises(ValidationError):
        ShareTypeSpec.from_record({"name": "gold", "colour": "red"})
    again = ShareTypeSpec.from_record(spec.record())
    assert again == spec
    assert again.version == spec.version
    assert again.at("require", "media") == spec.at("require", "media") == f"{tmp_path / 'a.yaml'}:6:10"
    assert again.at("zones", 0) == f"{tmp_path / 'a.yaml'}:4:9"
    assert ShareTypeSpec.from_record(spec.canonical()) == spec
    assert ShareTypeSpec.from_record(spec.canonical()).at("require") == ""


def test_backend_survives_its_canonical_form() -> None:
    """Exact ratios come back exactly; the order of pools is no content."""
    pools = [
        {"name": "b", "over_subscription": "1.3", "reserved_percent": Decimal("12.5"), "attributes": {"x": ["p", "q"]}},
        {"name": "a", "zone": "z", "options": {"path": "p", "n": 1.5}},
    ]
    spec = BackendSpec.model_validate({"name": "l", "driver": "directory", "pools": pools})
    turned = BackendSpec.model_validate({"name": "l", "driver": "directory", "pools": pools[::-1]})
    again = BackendSpec.from_record(spec.canonical())
    assert spec.version == turned.version == again.version
    pool = again.pool("b")
    assert pool is not None
    assert (pool.over_subscription, pool.reserved_percent.extend) == (Fraction(13, 10), Fraction(25, 2))
    assert pool.attributes["x"] == ("p", "q")
    assert again.pool("c") is None


def test_pool_says_how_its_capacity_is_handed_out_or_takes_the_defaults() -> None:
    """A number of percent counts for every purpose; a mapping has one for each; what is left out is the set's."""
    defaults = PlacementSpec.model_validate({"over_subscription": "1.5", "reserved_percent": {"create": 10}})
    said = _pool(over_subscription=Decimal("1.1"), reserved_percent="5 %").terms(defaults)
    assert said == (True, Fraction(11, 10), Reserved.model_validate({"create": 5, "from_snapshot": 5, "extend": 5}))
    silent = _pool().terms(defaults)
    assert silent == (True, Fraction(3, 2), Reserved.model_validate({"create": 10}))
    assert _pool(thin=False).terms(defaults).over_subscription == 1, "thick pools are never over-subscribed"
    assert _pool().terms(None) == (True, Fraction(1), Reserved())


@pytest.mark.parametrize(
    "values",
    [
        {"over_subscription": Decimal("0.99")},
        {"over_subscription": 1001},
        {"over_subscription": "1e3"},
        {"over_subscription": True},
        {"over_subscription": 2, "thin": False},
        {"reserved_percent": -1},
        {"reserved_percent": Decimal("100.1")},
        {"reserved_percent": "ten"},
        {"thin": 1},
        {"name": "../x"},
        {"name": ""},
        {"name": "a" * 32},
        {"zone": "Zone 1"},
        {"attributes": {"bad name": 1}},
    ],
)
def test_pool_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    """Ratios from 1, percentages from 0 to 100, over-subscription only on thin pools, names in ASCII."""
    with pytest.raises(ValidationError):
        _pool(**values)


@pytest.mark.parametrize("project", ["*", "a", "Team.One-2_x", "a" * 63])
def test_project_is_a_name_or_a_star(project: str) -> None:
    """The star stands for every project without limits of its own."""
    assert QuotaSpec(project=project, limits=QuotaLimits()).key == project


@pytest.mark.parametrize("project", ["", "**", "-a", "a b", "a/b", "a..b", "a" * 64, "\u0430"])
def test_project_that_is_no_name_is_refused(project: str) -> None:
    """Look-alike letters, slashes and leading dashes are no names."""
    with pytest.raises(ValidationError):
        QuotaSpec(project=project, limits=QuotaLimits())


def test_quota_without_a_limit_has_none() -> None:
    """Left out and null both mean: not limited."""
    limits = QuotaLimits.model_validate({"bytes": "1 TiB", "shares": None})
    assert (limits.shares, limits.bytes, limits.snapshots) == (None, 2**40, None)


def test_reference_to_a_secret_is_recognised() -> None:
    """Only a mapping with the single key env or file is one."""
    assert secret_reference({"env": "NAME"}) == ("env", "NAME")
    assert secret_reference({"file": "/run/x"}) == ("file", "/run/x")
    for value in ("x", {"env": 1}, {"env": "A", "file": "b"}, {}, {"other": "x"}, ["env"], None):
        assert secret_reference(value) is None
