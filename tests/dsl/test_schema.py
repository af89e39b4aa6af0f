"""The JSON Schema of documents. ``SHAREFLOW_UPDATE_SNAPSHOTS=1`` writes the copy in ``specs/`` anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dsl.documents import API_VERSION
from dsl.kinds import WRITTEN
from dsl.problems import Source
from dsl.reading import read_kind
from dsl.schema import DIALECT, schema, schema_text
from dsl.yaml_tree import parse, to_plain

ROOT = Path(__file__).parents[2]
COPY = ROOT / "specs" / "schema.json"
SPECS = sorted(ROOT.glob("specs/**/*.yaml"))
SNAPSHOTS = sorted((Path(__file__).parent / "snapshots").glob("*.yaml"))
VALIDATOR = Draft202012Validator(schema())

POOLS = "pools: [{name: p1}]"
ACCEPTED = [
    "kind: ShareType, name: a",
    'kind: ShareType, name: a, limits: {min_size: 0, max_size: "1.5 TiB"}',
    "kind: ShareType, name: a, limits: {min_size: 10GiB, max_size: null}",
    'kind: ShareType, name: a, limits: {max_size: "1_000 MiB"}',
    "kind: ShareType, name: a, retention: 3600",
    "kind: ShareType, name: a, retention: 2w",
    "kind: ShareType, name: a, retention: 0.5 h",
    "kind: ShareType, name: a, require: {media: ssd, fast: true, iops: 5, kinds: [a, 5, false]}",
    "kind: ShareType, name: a, require: {block: 4 KiB}",
    "kind: ShareType, name: a, zones: [a, b], snapshots: {allowed: false}",
    "kind: ShareType, name: a, replicas: {}",
    "kind: ShareType, name: a, replicas: {type: readable, count: 8, apart: zone, interval: 1, loss: 1 h}",
    "kind: ShareType, name: a, zones: null, description: größe, protocol: nfs",
    "kind: Backend, name: a, driver: my.driver:v2, slots: 1000, " + POOLS,
    "kind: Backend, name: a, driver: d, options: {any: [thing, {at: all}], n: 1.5}, " + POOLS,
    "kind: Backend, name: a, driver: d, pools: [{name: p, over_subscription: 1.5, reserved_percent: 12.5}]",
    'kind: Backend, name: a, driver: d, pools: [{name: p, over_subscription: "2", reserved_percent: 10 %}]',
    "kind: Backend, name: a, driver: d, pools: [{name: p, attributes: {a: x, b: true, c: 5, d: [x, y]}, zone: z}]",
    'kind: Quota, project: "*", limits: {}',
    "kind: Quota, project: a.b, limits: {shares: 0, bytes: 5 PiB, snapshots: null}",
    "kind: PlacementTest, name: a b, request: {size: 1}, expect: {none: true}",
    "kind: PlacementTest, name: a, pools: specs, request: {size: 1 GiB, affinity: [x]}, expect: {rejects: {p: full}}",
    'kind: PlacementTest, name: a, pools: {"*": {free: unknown}}, request: {size: 1}, expect: {pool: p}',
    "kind: PlacementTest, name: a, pools: [{backend: b, name: p, driver: d}], request: {size: 1}, expect: {fits: [p]}",
]
BROKEN = [
    "kind: ShareType",
    "kind: Sharetype, name: a",
    "name: a",
    "kind: ShareType, name: a, colour: red",
    "kind: ShareType, name: Gold",
    "kind: ShareType, name: 5",
    "kind: ShareType, name: a, description: 5",
    "kind: ShareType, name: a, limits: {min_size: 10 GB}",
    "kind: ShareType, name: a, limits: {min_size: -5}",
    "kind: ShareType, name: a, limits: {min_size: 1.5}",
    "kind: ShareType, name: a, limits: {min_size: true}",
    "kind: ShareType, name: a, limits: {smallest: 1}",
    "kind: ShareType, name: a, limits: 10 GiB",
    "kind: ShareType, name: a, retention: 7 days",
    "kind: ShareType, name: a, retention: 9999999999",
    "kind: ShareType, name: a, require: {Media: ssd}",
    "kind: ShareType, name: a, require: {media: []}",
    "kind: ShareType, name: a, require: {media: 1.5}",
    'kind: ShareType, name: a, require: {media: ""}',
    "kind: ShareType, name: a, require: {media: {a: b}}",
    "kind: ShareType, name: a, zones: a",
    "kind: ShareType, name: a, zones: []",
    "kind: ShareType, name: a, snapshots: yes",
    'kind: ShareType, name: a, snapshots: {allowed: "true"}',
    "kind: ShareType, name: a, replicas: 2",
    "kind: ShareType, name: a, replicas: {type: sync}",
    "kind: ShareType, name: a, replicas: {count: 9}",
    "kind: ShareType, name: a, replicas: {apart: rack}",
    "kind: ShareType, name: a, replicas: {interval: 5 minutes}",
    "kind: Backend, name: a, driver: d",
    "kind: Backend, name: a, driver: d, pools: []",
    "kind: Backend, name: a, driver: d, pools: [p1]",
    "kind: Backend, name: a, driver: my driver, " + POOLS,
    "kind: Backend, name: a, driver: d, slots: 0, " + POOLS,
    'kind: Backend, name: a, driver: d, slots: "8", ' + POOLS,
    "kind: Backend, name: a, driver: d, pools: [{name: p, over_subscription: 0.5}]",
    "kind: Backend, name: a, driver: d, pools: [{name: p, over_subscription: much}]",
    "kind: Backend, name: a, driver: d, pools: [{name: p, reserved_percent: 101}]",
    "kind: Backend, name: a, driver: d, pools: [{name: p, thin: no}]",
    "kind: Backend, name: a, driver: d, pools: [{name: p, attributes: {a: [1]}}]",
    "kind: Backend, name: a, driver: d, pools: [{zone: z}]",
    "kind: Quota, project: p",
    "kind: Quota, project: a..b, limits: {}",
    "kind: Quota, project: p, limits: {shares: -1}",
    "kind: Quota, project: p, limits: {bytes: ten}",
    "kind: Quota, project: p, limits: {share: 5}",
    "kind: PlacementTest, name: a, request: {size: 1}",
    "kind: PlacementTest, name: a, request: {}, expect: {pool: p}",
    "kind: PlacementTest, name: a, request: {size: 1}, expect: {pools: p}",
    "kind: PlacementTest, name: a, request: {size: 1}, expect: {none: false}",
    "kind: PlacementTest, name: a, pools: spec, request: {size: 1}, expect: {pool: p}",
    "kind: PlacementTest, name: a, pools: {p: {fre: 1}}, request: {size: 1}, expect: {pool: p}",
    "kind: PlacementTest, name: a, pools: [{name: p}], request: {size: 1}, expect: {pool: p}",
    "kind: PlacementTest, name: a, pools: [{backend: b, name: p, free: some}], request: {size: 1}, expect: {pool: p}",
]


def _document(body: str) -> tuple[Any, bool]:
    """A document as JSON data, and whether we accept it."""
    source = Source("x.yaml", f"{{apiVersion: {API_VERSION}, {body}}}")
    (node,) = parse(source).documents
    return to_plain(node), not isinstance(read_kind(node, source, WRITTEN), list)


def _documents(path: Path) -> Iterator[tuple[Any, bool]]:
    source = Source(path.name, path.read_text(encoding="utf-8"))
    for node in parse(source).documents:
        yield to_plain(node), not isinstance(read_kind(node, source, WRITTEN), list)


def _keys(made: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every mapping in the schema."""
    for name, definition in made["$defs"].items():
        for key, value in definition["properties"].items():
            yield f"{name}.{key}", value


def test_committed_copy_is_current() -> None:
    """Editors see the schema of this version."""
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        COPY.write_text(schema_text(), encoding="utf-8")
    assert COPY.read_text(encoding="utf-8") == schema_text()


def test_schema_is_a_schema_of_every_kind() -> None:
    """It is valid by its own dialect, and has each kind once, with its kind and the version as constants."""
    made = schema()
    assert made["$schema"] == DIALECT
    Draft202012Validator.check_schema(made)
    kinds = [made["$defs"][choice["$ref"].rpartition("/")[2]]["properties"] for choice in made["oneOf"]]
    assert [properties["kind"]["const"] for properties in kinds] == list(WRITTEN)
    assert {properties["apiVersion"]["const"] for properties in kinds} == {API_VERSION}


@pytest.mark.parametrize("kind", sorted(WRITTEN))
def test_schema_of_one_kind_takes_only_that_kind(kind: str) -> None:
    """`spec schema KIND` refuses the documents of other kinds."""
    validator = Draft202012Validator(schema(kind))
    for body in ACCEPTED:
        document, _ = _document(body)
        assert validator.is_valid(document) == (document["kind"] == kind)


def test_every_key_is_described_and_no_mapping_takes_other_keys() -> None:
    """Whoever points at a key reads what it means; a mistyped key is underlined."""
    made = schema()
    assert [name for name, key in _keys(made) if not key.get("description", "").endswith(".")] == []
    assert [name for name, key in _keys(made) if "title" in key or "`None`" in key["description"]] == []
    assert [name for name, found in made["$defs"].items() if found["additionalProperties"] is not False] == []
    assert [name for name, found in made["$defs"].items() if "Attributes:" in found["description"]] == []


@pytest.mark.parametrize("path", [*SPECS, *SNAPSHOTS], ids=lambda path: path.name)
def test_what_we_accept_the_schema_accepts(path: Path) -> None:
    """No document of the repository that is valid is underlined in an editor."""
    for document, accepted in _documents(path):
        if accepted:
            VALIDATOR.validate(document)


def test_there_are_valid_documents_to_try() -> None:
    """The test above is about documents of all kinds."""
    found = [document for path in [*SPECS, *SNAPSHOTS] for document, accepted in _documents(path) if accepted]
    assert len(found) > 10
    assert {document["kind"] for document in found} == set(WRITTEN)


@pytest.mark.parametrize("body", ACCEPTED)
def test_every_form_of_a_value_is_accepted(body: str) -> None:
    """Sizes, durations, ratios, percentages, attributes: as numbers, and as text with units."""
    document, accepted = _document(body)
    assert accepted
    VALIDATOR.validate(document)


@pytest.mark.parametrize("body", BROKEN)
def test_broken_document_is_refused_by_the_schema_as_well(body: str) -> None:
    """What `spec check` refuses for its form is underlined while it is written."""
    document, accepted = _document(body)
    assert not accepted
    assert not VALIDATOR.is_valid(document)


def test_version_is_checked() -> None:
    """A document of another version, or of none, is refused."""
    for version in ({"apiVersion": "shareflow/v2"}, {}):
        assert not VALIDATOR.is_valid({"kind": "ShareType", "name": "a", **version})


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_document_names_the_schema(path: Path) -> None:
    """Editors look for the line in each document of a file, and find the file that it names."""
    documents = path.read_text(encoding="utf-8").split("\n---\n")
    relative = os.path.relpath(COPY, path.parent)
    assert [text.split("\n")[0] for text in documents] == [f"# yaml-language-server: $schema={relative}"] * len(
        documents
    )
