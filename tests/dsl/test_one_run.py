"""One run tells every mistake, and nothing that only follows from another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.problems import Problem, Source, Span, SpecProblems
from dsl.records import checked
from dsl.spec_set import read_sources
from dsl.yaml_tree import Entries, Items, Node, Scalar, parse

GOOD = """\
apiVersion: shareflow/v1
kind: Backend
name: ceph
driver: fake
slots: 4
options: {place: here, deep: {er: 1}}
attributes:
  media: {type: enum, values: [ssd, hdd]}
  firmware: version
  speed: {type: number, unit: MiB/s}
  tiers: {type: set, of: text}
pools:
  - {name: p1, zone: a, thin: true, over_subscription: 2, attributes: {media: ssd, firmware: "9.1", rack: r1}}
  - {name: p2, zone: b, reserved_percent: {create: 5}, attributes: {media: hdd, speed: 5 MiB/s, latency: 2 ms}}
  - {name: p3, zone: c, qos: {iops: 900, throughput: 1 GiB/s}, attributes: {tiers: [x, z], rack: r2, media: ssd}}
---
apiVersion: shareflow/v1
kind: Backend
name: other
driver: fake
attributes: {vendor: text}
pools: [{name: q1, zone: d, attributes: {vendor: acme, media: ssd, level: 5}}]
---
apiVersion: shareflow/v1
kind: ShareType
name: gold
description: the best
protocol: path
retention: 7 d
require:
  - pool.media == "ssd"
  - {rule: pool.firmware >= "9.0" and pool.rack == "r1", enforce: advise, message: newer is better}
  - '"x" in pool.tiers or pool.speed > 1 MiB/s or pool.level > 3 or pool.vendor == "acme"'
prefer:
  - {when: pool.latency <= 5 ms, weight: 50}
  - {score: pool.free / pool.total, weight: -5}
spread: {by: rack, max_skew: 2}
limits: {min_size: 1 GiB, max_size: 2 GiB}
snapshots: {allowed: true, policy: daily}
replicas: {type: readable, count: 1, apart: zone, interval: 5 m, loss: 15 m}
zones: [a, b, c, d]
qos: fast
---
apiVersion: shareflow/v1
kind: ShareType
name: plain
require: {media: [ssd, hdd], level: 5}
---
apiVersion: shareflow/v1
kind: QosClass
name: fast
min_iops: 50
max_iops_per_gib: 3
max_iops_at_least: 200
max_iops_at_most: 5000
max_throughput: 100 MiB/s
burst_throughput: 200 MiB/s
burst_for: 5 m
sized_by: used
io_size: 16 KiB
latency_target: 2 ms
enforce: required
---
apiVersion: shareflow/v1
kind: SnapshotPolicy
name: daily
schedule: [{every: 1 d, keep: 7}, {every: 1 h, keep: 24}]
---
apiVersion: shareflow/v1
kind: Quota
project: "*"
limits: {shares: 5, bytes: 1 TiB}
---
apiVersion: shareflow/v1
kind: Placement
require: [pool.rack != "r9"]
prefer: [{when: pool.thin, weight: 1}]
over_subscription: 1.5
reserved_percent: 5
"""


def _problems(text: str) -> list[Problem]:
    return read_sources([Source("a.yaml", text)])[1]


def _replaced(text: str, span: Span, new: str) -> str:
    lines = text.split("\n")
    line = lines[span.line - 1]
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return "\n".join(lines)


def _nodes(node: Node, path: str = "") -> Iterator[tuple[str, Scalar, Node]]:
    """Every key and its value, and every item, with a readable path."""
    if isinstance(node, Entries):
        for key, value in node.entries:
            yield f"{path}.{key.text}", key, value
            yield from _nodes(value, f"{path}.{key.text}")
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from _nodes(item, f"{path}[{index}]")


EVERY = {
    f"{number}{path}": (key, value)
    for number, node in enumerate(parse(Source("", GOOD)).documents)
    for path, key, value in _nodes(node)
}


def test_the_set_that_is_broken_here_is_correct() -> None:
    """Otherwise the tests below would show nothing."""
    assert _problems(GOOD) == []


@pytest.mark.parametrize("path", [path for path, (_, value) in EVERY.items() if isinstance(value, Scalar)])
def test_value_that_cannot_be_read_is_the_only_thing_that_is_told(path: str) -> None:
    """Whatever refers to it, counts on it or is compared with it: only the mistake itself is told."""
    found = _problems(_replaced(GOOD, EVERY[path][1].span, "*alias"))
    assert [(problem.code, problem.line) for problem in found] == [("S007", EVERY[path][1].span.line)]


CHOSEN = (".attributes.", ".options.", "3.require.")


@pytest.mark.parametrize("path", [path for path in EVERY if not any(part in path for part in CHOSEN)])
def test_mistyped_key_is_the_only_thing_that_is_told(path: str) -> None:
    """A key with a letter too many is read as the key that was meant, or what it would have said is not missed."""
    key = EVERY[path][0]
    found = _problems(_replaced(GOOD, key.span, f"{key.text}x"))
    assert [(problem.code, problem.line) for problem in found] in ([("S104", key.span.line)], [("S103", key.span.line)])


@pytest.mark.parametrize(
    "path", [path for path, (_, value) in EVERY.items() if isinstance(value, Scalar) and ".options" not in path]
)
def test_value_of_another_sort_is_the_only_thing_that_is_told(path: str) -> None:
    """A mapping where one value belongs."""
    found = _problems(_replaced(GOOD, EVERY[path][1].span, "{no: such}"))
    assert [problem.line for problem in found] == [EVERY[path][1].span.line]


DOCUMENTS = GOOD.split("---\n")


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_document_that_cannot_be_read_is_the_only_thing_that_is_told(number: int) -> None:
    """Its names are not missed by the others, which are read and checked."""
    broken = [text + "x: [\n" * (index == number) for index, text in enumerate(DOCUMENTS)]
    text = "---\n".join(broken)
    line = text.split("\n").index("x: [") + 1
    assert [(problem.code, problem.line) for problem in _problems(text)] == [("S006", line)]
    other = text.replace("protocol: path", "protocol: Path").replace("keep: 24", "keep: many")
    lost = {2: {"S105"}, 5: {"S106"}}.get(number, {"S105", "S106"})
    assert {problem.code for problem in _problems(other)} == {"S006"} | lost


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_file_that_cannot_be_read_hides_nothing_in_the_others(number: int) -> None:
    """As many files as documents, and one of them is no text."""
    files = [Source(f"{index}.yaml", text) for index, text in enumerate(DOCUMENTS) if index != number]
    lost = Problem("S001", "cannot be read", f"{number}.yaml", hint="check the path")
    assert read_sources(files, [lost])[1] == [lost]


MISTAKES = {
    **{(key.span.line, key.span.column): (key.span, f"{key.text}x") for key, _ in (
        EVERY[path] for path in EVERY if not any(part in path for part in CHOSEN)
    )},
    **{(value.span.line, value.span.column): (value.span, value.text.replace("pool.", "pol."))
       for _, value in EVERY.values() if isinstance(value, Scalar) and "pool." in value.text},
}  # fmt: skip


def test_records_are_refused_with_all_their_mistakes() -> None:
    """What comes from a client as JSON is told whole as well."""
    records: list[dict[str, object]] = [
        {"kind": "ShareType", "name": 7, "colour": 1},
        {"kind": "Quot"},
        {"kind": "Quota", "project": "p"},
    ]
    with pytest.raises(SpecProblems) as caught:
        checked(records)
    told = [(problem.file, problem.code) for problem in caught.value.problems]
    assert told == [("document 1", "S104"), ("document 1", "S106"), ("document 2", "S101"), ("document 3", "S103")]


@given(st.sets(st.sampled_from(sorted(MISTAKES)), min_size=2, max_size=12))
@settings(max_examples=150, deadline=None)
def test_mistakes_hide_no_other_mistakes(places: set[tuple[int, int]]) -> None:
    """Typos in keys and in rules, as many as one likes: every line with one is told, and no other line."""
    text = GOOD
    for place in sorted(places, reverse=True):
        span, new = MISTAKES[place]
        text = _replaced(
            text, span, f"'{new}'" if '"' in new and text.split("\n")[span.line - 1][span.column - 1] == "'" else new
        )
    assert {problem.line for problem in _problems(text)} == {line for line, _ in places}
