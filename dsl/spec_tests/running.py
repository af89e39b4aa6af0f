"""Runs tests of specs: each asks placement once, and compares the decision with what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dsl.attributes import extended
from dsl.decision import Decision, PoolVerdict
from dsl.expressions import Schema
from dsl.placement import Language, PoolView, place
from dsl.share_request import Placed, prepared
from dsl.spec_check import render_decision
from dsl.spec_set import SpecSet
from dsl.spec_tests.documents import PlacementTestSpec
from dsl.spec_tests.pools import pools_of, resolve

_MAX_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met.

    Attributes:
        expected, got: one line each.
        place: ``file:line:column`` of the expectation.
        pools: the pools whose rules tell why, at most three.
    """

    expected: str
    got: str
    place: str
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one test."""

    test: PlacementTestSpec
    decision: Decision
    failures: tuple[Failure, ...]

    @property
    def ok(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures

    @property
    def place(self) -> str:
        """``file:line:column`` of the test's name."""
        return self.test.at("name")

    def render(self) -> str:
        """The failures, and the rules of the pools concerned; empty when there are none."""
        lines = [line for one in self.failures for line in (f"expected: {one.expected}", f"got:      {one.got}")]
        pools = list(dict.fromkeys(pool for one in self.failures for pool in one.pools))
        table = render_decision(self.decision, pools).partition("\n\n")[2] if pools else ""
        return "\n".join(lines) + (f"\n\n{table}" if table else "\n") if lines else ""

    def to_json(self) -> dict[str, object]:
        """Plain values; the decision in its bounded form."""
        return {
            "name": self.test.name,
            "place": self.place,
            "ok": self.ok,
            "failures": [{"expected": one.expected, "got": one.got, "place": one.place} for one in self.failures],
            "decision": self.decision.summary(),
        }


class Runner:
    """Runs the tests of one set."""

    def __init__(self, specs: SpecSet) -> None:
        self._specs = specs
        self._schema = specs.schema()
        self._language = Language(self._schema)

    def run(self, test: PlacementTestSpec) -> Result:
        """What comes of a test that :func:`~dsl.spec_tests.checking.check_tests` has nothing against."""
        pictures = pools_of(test, self._specs)
        schema = extended(self._schema, pictures)
        views = {picture.title: picture.to_view(schema, self._specs.placement) for picture in pictures}
        request, surroundings = prepared(test.request, self._specs, self._for(schema), list(_shares(test, views)))
        decision = place(request, views.values(), surroundings)
        return Result(test, decision, tuple(_Judge(test, decision, list(views)).failures()))

    def _for(self, schema: Schema) -> Language:
        return self._language if schema is self._schema else Language(schema)


def run_tests(tests: Sequence[PlacementTestSpec], specs: SpecSet) -> list[Result]:
    """The results of tests, in their order."""
    runner = Runner(specs)
    return [runner.run(test) for test in tests]


def _shares(test: PlacementTestSpec, views: Mapping[str, PoolView]) -> Iterator[Placed]:
    asked = test.request
    for share in test.shares:
        title = resolve(share.pool, views)
        if title is not None:
            yield Placed(share.name, share.type or asked.type, share.project or asked.project, views[title])


class _Judge:
    """Compares one decision with what is expected of it."""

    def __init__(self, test: PlacementTestSpec, decision: Decision, titles: Sequence[str]) -> None:
        self._test, self._decision, self._titles = test, decision, titles
        self._verdicts = {verdict.title: verdict for verdict in decision.verdicts}
        by_id = {verdict.pool: verdict.title for verdict in decision.verdicts}
        self._ranked = [by_id[pool] for pool in decision.ranked]

    def failures(self) -> Iterator[Failure]:
        """Every expectation that is not met, in the order of their keys."""
        expect = self._test.expect
        if expect.pool is not None:
            yield from self._best(self._title(expect.pool))
        if expect.none is not None:
            yield from self._nowhere(expect.none)
        if expect.order is not None:
            yield from self._in_order([self._title(name) for name in expect.order])
        if expect.fits is not None:
            yield from self._fitting([self._title(name) for name in expect.fits])
        for name, reason in (expect.rejects or {}).items():
            yield from self._rejected(name, reason)

    def _best(self, wanted: str) -> Iterator[Failure]:
        if self._ranked[:1] != [wanted]:
            yield self._failure("pool", f"the best pool is {wanted}", self._decision.explanation(), wanted)

    def _nowhere(self, reason: str) -> Iterator[Failure]:
        because = f", because of `{reason}`" if reason else ""
        explained = self._decision.explanation()
        if self._ranked:
            yield self._failure("none", f"no pool fits{because}", explained)
        elif not (_within(reason, explained) or any(_tells(one, reason) for one in self._verdicts.values())):
            nearest = [verdict.title for verdict in self._decision.nearest(_MAX_SHOWN)]
            yield self._failure("none", f"no pool fits{because}", explained, *nearest)

    def _in_order(self, wanted: list[str]) -> Iterator[Failure]:
        if self._ranked != wanted:
            differing = [title for title in wanted if title not in self._ranked]
            found = ", ".join(self._ranked) or self._decision.explanation()
            yield self._failure("order", f"these fit, in this order: {', '.join(wanted)}", found, *differing, *wanted)

    def _fitting(self, wanted: list[str]) -> Iterator[Failure]:
        lost = [title for title in wanted if title not in self._ranked]
        more = [title for title in self._ranked if title not in wanted]
        if lost or more:
            parts = [f"{title} does not: {self._verdicts[title].reason}" for title in lost[:_MAX_SHOWN]]
            parts += [f"{title} fits too" for title in more[:_MAX_SHOWN]]
            yield self._failure("fits", f"exactly these fit: {', '.join(wanted)}", "; ".join(parts), *lost, *more)

    def _rejected(self, name: str, reason: str) -> Iterator[Failure]:
        title = self._title(name)
        verdict = self._verdicts[title]
        because = f", because of `{reason}`" if reason else ""
        if verdict.kept or not _tells(verdict, reason):
            got = "it fits" if verdict.kept else f"it does not fit: {verdict.reason}"
            yield self._failure(("rejects", name), f"{title} does not fit{because}", got, title)

    def _failure(self, key: str | tuple[str, str], expected: str, got: str, *pools: str) -> Failure:
        path = ("expect", key) if isinstance(key, str) else ("expect", *key)
        shown = list(dict.fromkeys([*pools, *self._ranked[:1]]))[:_MAX_SHOWN]
        return Failure(expected, got, self._test.at(*path), tuple(shown))

    def _title(self, name: str) -> str:
        title = resolve(name, self._titles)
        if title is None:
            raise KeyError(name)
        return title


def _tells(verdict: PoolVerdict, reason: str) -> bool:
    """Whether a rule that failed says so."""
    return any(_within(reason, text) for rule in verdict.failed for text in (rule.kind.value, rule.rule, rule.reason))


def _within(part: str, text: str) -> bool:
    return part.casefold() in text.casefold()
