"""What only the set can tell about a test: names that lead nowhere, values that are not of their attribute's type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from dsl.attributes import extended
from dsl.expressions import SIZE, Schema, convert_value
from dsl.fields import AttributeValue, Refusal
from dsl.problems import Problem, shown, suggest
from dsl.share_request import missing
from dsl.spec_set import SpecSet
from dsl.spec_tests.documents import EVERY_POOL, PlacedShare, PlacementTestSpec
from dsl.spec_tests.pools import pools_of, resolve
from dsl.yaml_tree import Path


def check_tests(tests: Sequence[PlacementTestSpec], specs: SpecSet) -> Iterator[Problem]:
    """The problems of tests that are each correct by themselves."""
    first: dict[str, PlacementTestSpec] = {}
    for test in tests:
        known = first.setdefault(test.name, test)
        if known is not test:
            message = f"the test `{shown(test.name)}` is there twice"
            yield test.problem(
                ("name",), "S201", message, hint="rename one of them", note=f"first at {known.at('name')}"
            )
        yield from _check(test, specs)


def _check(test: PlacementTestSpec, specs: SpecSet) -> Iterator[Problem]:
    pools = pools_of(test, specs)
    titles = [pool.title for pool in pools]
    if not titles:
        hint = "list the pools under `pools`"
        yield test.problem(("pools",), "S261", "the set declares no pools for the test", hint=hint)
        return
    mine = [share.name for share in test.shares if share.project in (None, test.request.project)]
    for lost in missing(test.request, specs, mine):
        yield test.problem(("request", *lost.path), "S202", lost.message[:72], hint=lost.hint)
    for path, name in _named_pools(test):
        if resolve(name, titles) is None:
            yield _no_pool(test, path, name, titles)
    yield from _repeated(test)
    yield from _values(test, extended(specs.schema(), pools))


def _named_pools(test: PlacementTestSpec) -> Iterator[tuple[Path, str]]:
    """Every pool that the test names, with its place."""
    if isinstance(test.pools, Mapping):
        yield from ((("pools", name), name) for name in test.pools if name != EVERY_POOL)
    for index, share in enumerate(test.shares):
        yield ("shares", index, "pool"), share.pool
    if test.request.pool is not None:
        yield ("request", "pool"), test.request.pool
    expect = test.expect
    if expect.pool is not None:
        yield ("expect", "pool"), expect.pool
    for key, names in (("order", expect.order), ("fits", expect.fits)):
        yield from ((("expect", key, index), name) for index, name in enumerate(names or ()))
    yield from ((("expect", "rejects", name), name) for name in expect.rejects or ())


def _no_pool(test: PlacementTestSpec, path: Path, name: str, titles: Collection[str]) -> Problem:
    several = sorted({title for title in titles if title.partition("/")[2] == name})
    if several:
        message = f"`{shown(name)}` is the name of several pools"
        return test.problem(path, "S261", message, hint=f"write {' or '.join(several[:3])}", at_key=_is_key(path))
    near = suggest(name, titles) or suggest(name, [title.partition("/")[2] for title in titles])
    listed = ", ".join(sorted(titles)[:6]) + (", ..." if len(titles) > 6 else "")
    hint = f"did you mean `{near}`?" if near else f"the pools are {listed}"
    return test.problem(path, "S261", f"the test has no pool `{shown(name)}`", hint=hint, at_key=_is_key(path))


def _is_key(path: Path) -> bool:
    return path[0] == "pools" or path[:2] == ("expect", "rejects")


def _repeated(test: PlacementTestSpec) -> Iterator[Problem]:
    """Pools and shares of the test that are there twice."""
    pools = test.pools if isinstance(test.pools, tuple) else ()
    named = [
        *((("pools", index, "name"), "pool", pool.title) for index, pool in enumerate(pools)),
        *((("shares", index, "name"), "share", _unique(share)) for index, share in enumerate(test.shares)),
    ]
    seen = Counter[tuple[str, str]]()
    for path, what, name in named:
        seen[what, name] += 1
        if seen[what, name] > 1:
            message = f"the {what} `{shown(name)}` is twice in the test"
            yield test.problem(path, "S201", message, hint="rename or remove one of them")


def _unique(share: PlacedShare) -> str:
    return share.name if share.project is None else f"{share.project}/{share.name}"


def _values(test: PlacementTestSpec, schema: Schema) -> Iterator[Problem]:
    for path, attributes in _attributes(test):
        for name, value in attributes.items():
            known = schema.pool.get(name)
            if known is None or (known.type == SIZE and isinstance(value, int) and not isinstance(value, bool)):
                continue  # sizes are bytes once a document is read
            try:
                convert_value(value, known.type)
            except Refusal as refused:
                note = f"`{name}` is {known.type.declared}, declared by {known.declared_at}"
                yield test.problem((*path, name), "S207", str(refused)[:72], hint=refused.hint, note=note)


def _attributes(test: PlacementTestSpec) -> Iterator[tuple[Path, Mapping[str, AttributeValue]]]:
    if isinstance(test.pools, tuple):
        yield from ((("pools", index, "attributes"), pool.attributes) for index, pool in enumerate(test.pools))
    elif isinstance(test.pools, Mapping):
        yield from ((("pools", name, "attributes"), change.attributes) for name, change in test.pools.items())
