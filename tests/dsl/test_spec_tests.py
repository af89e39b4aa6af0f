"""Tests of specs: their documents, what they expect, what they cover."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dsl.catalogue import CATALOGUE
from dsl.problems import Source, SpecProblems
from dsl.reading import read_kind
from dsl.spec_check import check
from dsl.spec_set import load_specs
from dsl.spec_tests import TEST_KINDS, Coverage, Result, Suite, coverage, read_tests, run_tests
from dsl.spec_tests.checking import check_tests
from dsl.yaml_tree import parse

HERE = Path(__file__).parent / "spec_tests"
SET = HERE / "set.yaml"
MESSAGES = sorted(path.name for path in (HERE / "messages").glob("*.test.yaml"))
HEADER = "apiVersion: shareflow/v1\nkind: PlacementTest\n"
RACKS = "[local/rack1, local/rack2]"


def _suite(tmp_path: Path, *tests: str, specs: Path = SET) -> Suite:
    """Tests without their header, beside a set."""
    file = tmp_path / "a.test.yaml"
    bodies = [test if test.startswith("name:") else f"name: t{number}\n{test}" for number, test in enumerate(tests)]
    file.write_text("---\n".join(HEADER + body + "\n" for body in bodies), encoding="utf-8")
    return read_tests([specs, file])


def _run(tmp_path: Path, *tests: str) -> list[Result]:
    suite = _suite(tmp_path, *tests)
    assert suite.usable, SpecProblems(suite.problems).render()
    assert suite.specs is not None
    return run_tests(suite.tests, suite.specs)


def _covered(tmp_path: Path, *tests: str) -> Coverage:
    suite = _suite(tmp_path, *tests)
    assert suite.specs is not None
    return coverage(run_tests(suite.tests, suite.specs), suite.specs)


@pytest.mark.parametrize("name", MESSAGES)
def test_broken_tests_give_exactly_these_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a test is told as one in a spec: code, place, reason, help."""
    monkeypatch.chdir(HERE / "messages")
    suite = read_tests([Path("../set.yaml"), Path(name)])
    assert not suite.usable
    assert suite.tests == ()
    text = SpecProblems([one for one in suite.problems if one.severity == "error"]).render() + "\n"
    expected = Path(name).with_suffix(".txt")
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_message_is_short_and_names_the_next_step(tmp_path: Path) -> None:
    """The bar is that of specs, and every code of tests is shown by a case."""
    found = [problem for name in MESSAGES for problem in read_tests([SET, HERE / "messages" / name]).problems]
    found += read_tests([tmp_path]).problems
    found += _suite(tmp_path).problems
    for problem in found:
        assert len(problem.message) <= 72, problem.message
        assert problem.hint
    assert {code for code in CATALOGUE if code.startswith("S26")} <= {problem.code for problem in found}


@pytest.mark.parametrize(
    "body",
    [
        "request: {size: 1 GiB}\nexpect: {pool: local/rack2}",
        "request: {size: 1 GiB}\nexpect: {none: lacks}",
        f"request: {{size: 1 GiB}}\nexpect: {{order: [{RACKS[1:-1].split(', ')[1]}, local/rack1]}}",
        f"request: {{size: 1 GiB}}\nexpect: {{order: {RACKS.replace(']', ', other/rack1]')}}}",
        "request: {size: 1 GiB}\nexpect: {fits: [local/rack1]}",
        "request: {size: 1 GiB}\nexpect: {fits: [local/rack1, local/rack2, other/rack1]}",
        "request: {size: 1 GiB}\nexpect: {rejects: {local/rack1: media}}",
        "request: {size: 1 GiB}\nexpect: {rejects: {other/rack1: lacks}}",
        "request: {size: 200 TiB}\nexpect: {none: zone}",
        "request: {size: 1 GiB}\nexpect: {pool: local/rack1, rejects: {local/rack2: true}}",
    ],
)
def test_expectation_that_is_not_met_fails_the_test(tmp_path: Path, body: str) -> None:
    """Each form can fail, and says where it stands."""
    (result,) = _run(tmp_path, body)
    assert not result.ok
    assert all(failure.place.startswith(str(tmp_path / "a.test.yaml")) for failure in result.failures)
    assert result.render().startswith("expected: ")


@pytest.mark.parametrize(
    "body",
    [
        "request: {size: 1 GiB}\nexpect: {pool: local/rack1}",
        f"request: {{size: 1 GiB}}\nexpect: {{order: {RACKS}}}",
        "request: {size: 1 GiB}\nexpect: {fits: [rack2, local/rack1]}",
        "request: {size: 1 GiB}\nexpect: {rejects: {other/rack1: attribute ABSENT}}",
        "request: {size: 1 GiB}\nexpect: {rejects: {other/rack1: 'media in [ssd, hdd]'}}",
        "request: {size: 200 TiB}\nexpect: {none: 2 pools lack 100 TiB}",
        "request: {size: 200 TiB}\nexpect: {none: capacity}",
        "request: {size: 200 TiB}\nexpect: {none: true, rejects: {rack2: true}}",
        "request: {size: 1 GiB, zone: b}\nexpect: {fits: [local/rack2]}",
        "request: {size: 1 GiB, backend: other}\nexpect: {none: absent}",
        "request: {size: 1 GiB, pool: rack2}\nexpect: {pool: local/rack2}",
        "request: {size: 1 GiB, qos: gold}\nexpect: {none: the driver does not enforce it}",
    ],
)
def test_expectation_that_is_met_passes(tmp_path: Path, body: str) -> None:
    """Reasons are parts of a rule, of its reason or kind, in any case of letters; a pool's name is enough."""
    (result,) = _run(tmp_path, body)
    assert result.render() == ""
    assert result.ok


def test_failing_test_shows_what_came_and_the_rules_of_the_pools_concerned(tmp_path: Path) -> None:
    """Nobody has to run anything again to see why."""
    (result,) = _run(tmp_path, "request: {size: 1 GiB, type: fast}\nexpect: {pool: local/rack2}")
    text = result.render()
    assert text.startswith(
        "expected: the best pool is local/rack2\n"
        'got:      local/rack1 is the best of 1 pool that fits; 1 pool fails `pool.media == "ssd"`: it has hdd; '
    )
    assert "\n\nlocal/rack1: kept, rank 1 (" in text
    assert "\n\nlocal/rack2: dropped (" in text
    assert 'pool.media == "ssd"' in text
    assert "set.yaml" in text


def test_pools_of_the_set_are_all_free_unless_said(tmp_path: Path) -> None:
    """`*` changes every pool, a name one of them on top of that; attributes are added to those declared."""
    pools = (
        'pools: {"*": {total: 1 TiB, provisioned: 1000 GiB}, local/rack1: {free: 10 GiB}, '
        "other/rack1: {attributes: {media: hdd}}}"
    )
    thin = f"request: {{size: 20 GiB, zone: a}}\n{pools}\nexpect: {{none: lacks 10 GiB}}"
    thick = f"request: {{size: 30 GiB, pool: rack2}}\n{pools}\nexpect: {{none: lacks 6 GiB}}"
    other = f"request: {{size: 24 GiB, backend: other}}\n{pools}\nexpect: {{pool: other/rack1}}"
    assert [result.render() for result in _run(tmp_path, thin, thick, other)] == ["", "", ""]


def test_listed_pools_replace_those_of_the_set(tmp_path: Path) -> None:
    """An attribute that no backend declares has the type of its first value."""
    pools = "pools: [{backend: x, name: y, attributes: {media: ssd, colour: red}}]"
    (result,) = _run(tmp_path, f"request: {{size: 1 GiB}}\n{pools}\nexpect: {{order: [x/y]}}")
    assert result.ok
    assert [verdict.title for verdict in result.decision.verdicts] == ["x/y"]


def test_set_without_backends_is_tested_with_listed_pools(tmp_path: Path) -> None:
    """Types can live in a repository of their own; their rules are read against the pools of the test."""
    types = tmp_path / "types.yaml"
    types.write_text("apiVersion: shareflow/v1\nkind: ShareType\nname: standard\nrequire: pool.racks >= 3\n")
    listed = "pools: [{backend: x, name: y, attributes: {racks: 4}}, {backend: x, name: z, attributes: {racks: 2}}]"
    suite = _suite(tmp_path, f"request: {{size: 1 GiB}}\n{listed}\nexpect: {{order: [y], rejects: {{z: it has 2}}}}")
    suite = read_tests([tmp_path])
    assert suite.specs is not None
    assert [result.render() for result in run_tests(suite.tests, suite.specs)] == [""]
    bare = _suite(tmp_path, "request: {size: 1 GiB}\nexpect: {none: true}", specs=types)
    assert [problem.code for problem in bare.problems] == ["S261"]


def test_pool_with_a_built_in_driver_enforces_what_the_driver_does(tmp_path: Path) -> None:
    """With another one it enforces all, unless the test says what."""
    request = "request: {size: 1 GiB, qos: gold}\n"
    pools = "pools: [{{backend: x, name: y, attributes: {{media: ssd}}{more}}}]\n"
    kept = [pools.format(more=more) for more in ("", ", driver: fake", ", driver: acme, qos_supported: [max_iops]")]
    dropped = [pools.format(more=more) for more in (", driver: btrfs", ", qos_supported: []")]
    results = _run(
        tmp_path,
        *(f"{request}{one}expect: {{pool: x/y}}" for one in kept),
        *(f"{request}{one}expect: {{none: max_iops}}" for one in dropped),
    )
    assert [result.render() for result in results] == [""] * 5


def test_shares_that_are_there_count_for_spread_and_affinity(tmp_path: Path) -> None:
    """Those of the type and project for the spread, those of the project for affinity."""
    shares = "shares: [{name: a, pool: local/rack1}, {name: b, pool: local/rack2, type: fast}]\n"
    near = f"request: {{size: 1 GiB, affinity: [a]}}\n{shares}expect: {{fits: [local/rack1]}}"
    apart = f"request: {{size: 1 GiB, anti_affinity: [b], affinity_by: zone}}\n{shares}expect: {{fits: [local/rack1]}}"
    flash = "attributes: {media: ssd, latency: 1 ms}"
    listed = f"pools: [{{backend: x, name: p, zone: a, {flash}}}, {{backend: x, name: q, zone: b, {flash}}}]\n"
    there = "shares: [{name: a, pool: p}, {name: b, pool: q, type: standard}, {name: c, pool: q, project: them}]\n"
    spread = f"request: {{size: 1 GiB, type: fast}}\n{listed}{there}expect: {{fits: [x/q]}}"
    assert [result.render() for result in _run(tmp_path, near, apart, spread)] == ["", "", ""]


def test_only_files_of_tests_are_named_and_the_set_is_beside_them(tmp_path: Path) -> None:
    """`spec test specs/fast.test.yaml` needs no second path; a directory has both; other tests are left out."""
    (tmp_path / "specs.yaml").write_bytes(SET.read_bytes())
    for name in ("a", "b"):
        body = f"name: {name}\nrequest: {{size: 1 GiB}}\nexpect: {{pool: local/rack1}}\n"
        (tmp_path / f"{name}.test.yaml").write_text(HEADER + body)
    alone, both = read_tests([tmp_path / "a.test.yaml"]), read_tests([tmp_path])
    assert alone.specs == both.specs
    assert [[test.name for test in suite.tests] for suite in (alone, both)] == [["a"], ["a", "b"]]


def test_refused_set_and_refused_tests_are_told_together(tmp_path: Path) -> None:
    """Also what is wrong with the other half; nothing is told twice."""
    (tmp_path / "a.yaml").write_text("apiVersion: shareflow/v1\nkind: Nope\n")
    (tmp_path / "a.test.yaml").write_text(HEADER + "name: x\n")
    suite = read_tests([tmp_path, tmp_path / "missing"])
    assert suite.specs is None
    assert [(Path(problem.file).name, problem.code) for problem in suite.problems] == [
        ("a.test.yaml", "S103"),
        ("a.test.yaml", "S103"),
        ("a.yaml", "S101"),
        ("missing", "S001"),
    ]


def test_test_in_a_spec_file_says_where_it_belongs(tmp_path: Path) -> None:
    """`spec check` does not know the kind, and names the ending that tests have."""
    path = tmp_path / "a.yaml"
    path.write_text(HEADER + "name: x\n")
    _, (problem,) = check([path])
    assert (problem.code, problem.message) == ("S101", "a PlacementTest cannot stand in this file")
    assert ".test.yaml" in problem.hint


def test_coverage_names_what_no_test_has_seen(tmp_path: Path) -> None:
    """Each rule has two outcomes; a rule of a type that no test asks for was never asked."""
    gaps = {(rule.owner, rule.text): rule.gap for rule in _covered(tmp_path, _ask("standard")).rules}
    assert gaps == {
        ("ShareType fast", 'pool.media == "ssd"'): "never asked",
        ("ShareType fast", "pool.latency <= 1 ms"): "never asked",
        ("ShareType fast", 'pool.zone == "a"'): "never asked",
        ("ShareType fast", "zone in [a, b]"): "never asked",
        ("ShareType fast", "spread by zone, max_skew 1"): "never asked",
        ("ShareType standard", "media in [ssd, hdd]"): "",
    }
    covered = _covered(tmp_path, _ask("standard"))
    assert covered.percent == pytest.approx(100 / 6)
    assert f"{SET}:29:8: ShareType fast: `zone in [a, b]` was never asked" in covered.render()


def _ask(kind: str, more: str = "") -> str:
    return f"request: {{size: 1 GiB, type: {kind}}}\n{more}expect: {{none: true}}"


def test_coverage_counts_both_outcomes_of_every_form(tmp_path: Path) -> None:
    """Rules, watched rules, required attributes, zones, spread and preferences; an absent attribute is false."""
    one = "pools: [{backend: x, name: p, zone: a, attributes: {media: ssd, latency: 2 ms}}]\n"
    first = _covered(tmp_path, _ask("fast", one))
    assert {rule.text: rule.gap for rule in first.rules if rule.owner == "ShareType fast"} == {
        'pool.media == "ssd"': "never false",
        "pool.latency <= 1 ms": "never true",
        'pool.zone == "a"': "never false",
        "zone in [a, b]": "never false",
        "spread by zone, max_skew 1": "never false",
    }
    three = (
        "pools: [{backend: x, name: p, zone: a, attributes: {media: ssd, latency: 2 ms}}, "
        "{backend: x, name: q, zone: b, attributes: {media: ssd, latency: 1 ms}}, {backend: x, name: r, zone: c}]\n"
    )
    taken = "shares: [{name: s, pool: p}]\n"
    whole = _covered(tmp_path, _ask("fast", three), _ask("fast", three + taken), _ask("standard"))
    assert whole.gaps == ()
    assert whole.percent == 100
    assert whole.render() == "coverage: 100 % of 6 rules, each of them both true and false"


def test_set_without_rules_is_covered(tmp_path: Path) -> None:
    """Nothing was left out."""
    types = tmp_path / "types.yaml"
    types.write_text("apiVersion: shareflow/v1\nkind: ShareType\nname: standard\n")
    assert coverage([], load_specs([types])).percent == 100


def test_result_as_data_holds_failures_and_the_decision(tmp_path: Path) -> None:
    """Programs get what people see, in plain values."""
    (result,) = _run(tmp_path, "name: x\nrequest: {size: 1 GiB}\nexpect: {pool: local/rack2}")
    data = result.to_json()
    assert (data["name"], data["ok"]) == ("x", False)
    assert data["place"] == f"{tmp_path / 'a.test.yaml'}:3:7"
    assert data["failures"] == [
        {
            "expected": "the best pool is local/rack2",
            "got": result.decision.explanation(),
            "place": f"{tmp_path / 'a.test.yaml'}:5:16",
        }
    ]
    assert data["decision"] == result.decision.summary()


TEXTS = [path.read_text(encoding="utf-8") for path in sorted((HERE.parents[2] / "specs").glob("*.test.yaml"))]
PIECES = (
    *"[]{}:,-\"'*/ \n",
    "null",
    "true",
    "-1",
    "1e30",
    "10 GB",
    "unknown",
    "expect: ",
    "pools: ",
    "local/rack1",
    "é",
)


def _mutated(text: str, chance: random.Random) -> str:
    """A text with a few cuts, doublings and insertions."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text))
        end = start + chance.randint(0, 12)
        middle = chance.choice(["", text[start:end] * 2, chance.choice(PIECES), text[end : end + 40]])
        text = text[:start] + middle + text[end:]
    return text


@pytest.mark.parametrize("seed", range(60))
def test_broken_tests_end_in_problems_and_never_in_an_error(seed: int) -> None:
    """Whatever is in the file: problems with their places, or tests that can be run and shown."""
    chance = random.Random(seed)
    source = Source("x.test.yaml", _mutated(chance.choice(TEXTS), chance))
    specs = load_specs([HERE.parents[2] / "specs"])
    found = [read_kind(node, source, TEST_KINDS) for node in parse(source).documents]
    tests = [one for one in found if not isinstance(one, list)]
    problems = [*check_tests(tests, specs), *(problem for one in found if isinstance(one, list) for problem in one)]
    assert all(problem.place.startswith("x.test.yaml:") and problem.hint for problem in problems)
    refused = {id(test) for test in tests if any(check_tests([test], specs))}
    for result in run_tests([test for test in tests if id(test) not in refused], specs):
        assert result.ok == (result.render() == "")
