"""Placement: the whole activity, the decision alone against hand-written Python, its memory, and reading specs."""

from __future__ import annotations

import gc
import json
import statistics
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

from activities import picture, placement
from activities.backends import catalogue_of, open_backend
from activities.inventory_steps import InventorySteps
from activities.placement import type_spec
from activities.settings import Services
from benchmarks.arrangement import write_specs
from benchmarks.pools import DOCUMENTS, GIB, RULES, SIZE, backends, predicate, rules_by_hand
from benchmarks.report import Report, Target
from dsl.documents import QosClassSpec
from dsl.expressions import Env, Expression
from dsl.placement import Decision, PlacementRequest, Pools, PoolView, Surroundings, place
from dsl.placement.rules import environment
from dsl.spec_set import SpecSet, load_specs
from inventory import catalogue, resources
from inventory.database import Database, deployment_id, migrate
from shareflow import names
from shareflow.contracts.operations import CreateShareInput
from shareflow.contracts.steps import BeginInput
from shareflow.process import keep_what_is_loaded

PROJECT = "bench"
SMALL, LARGE = 1_000, 10_000
DOCUMENT_COUNT = 1_000
REASONS = {SMALL: Target(5, "at most"), LARGE: Target(50, "at most")}
EVERYTHING = {SMALL: Target(20, "at most"), LARGE: Target(200, "at most")}
EVALUATION, EXPLANATION = Target(4, "at most"), Target(20, "at most")
READING = Target(2, "at most")
TEXTS = {
    "verdicts": "a verdict for each",
    "reasons": "and each reason",
    "new": "and each reason, a new size",
    "everything": "and every value",
}
COMMON = [SIZE + more * GIB for more in range(7)]
"""Sizes that are asked for again and again; two requests after each other never ask for the same."""
NEVER_ASKED = range(COMMON[-1] + GIB, 100 * GIB, GIB)
"""Sizes that are each asked for once."""
MANILA = (
    "for orientation: Manila 23 on 2 processors takes 149 ms and 1.4 s without expressions, 4.2 s and 44.6 s with two",
)

Ask = Callable[[Decision], object]


@dataclass(slots=True)
class _Sized:
    """An inventory with so many pools.

    Attributes:
        ask: what is asked of every decision before the best pool is reserved.
        sizes: what requests ask for, one after the other.
        seen: rows of pools that the picture took in, one number for each request.
    """

    database: Database
    steps: InventorySteps
    specs: SpecSet
    ask: Ask = bool
    sizes: Iterator[int] = field(default_factory=lambda: cycle(COMMON))
    seen: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """A create from request to reserved: one transaction, durable when it returns."""
        before = len(self.seen)
        name = f"n-{uuid.uuid4().hex}"
        request = CreateShareInput(project=PROJECT, name=name, size=next(self.sizes)).model_dump(mode="json")
        operation = f"create-share-{uuid.uuid4()}"
        self.steps.begin(BeginInput(operation=operation, kind=names.CREATE_SHARE, request=request))
        self.seen[before:] = [sum(self.seen[before:])]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While it is open, decisions and rows are looked at on their way."""
        with patch.object(placement, "place", self._place), patch.object(picture, "view", self._view):
            yield

    def _view(self, *arguments: Any) -> PoolView:
        self.seen.append(1)
        return view(*arguments)

    def _place(
        self, request: PlacementRequest, pools: Iterable[PoolView] | Pools, surroundings: Surroundings
    ) -> Decision:
        decision = place(request, pools, surroundings)
        self.ask(decision)
        return decision

    def decision(self) -> tuple[PlacementRequest, list[PoolView], Surroundings]:
        """What a decision is made of, as the activity has it."""
        pictures = placement.Placement(self.database).pictures
        with self.database.read() as connection:
            now = pictures.current(connection)
            spec = type_spec(resources.share_type(connection, "standard"))
        request = PlacementRequest(SIZE, spec, qos=self._qos(), project=PROJECT)
        return request, list(now.pools.views), Surroundings(now.language, now.defaults)

    def _qos(self) -> QosClassSpec:
        return self.specs.qos_classes["fast"]


view = picture.view


def _sized(directory: Path, count: int) -> _Sized:
    where = directory / str(count)
    where.mkdir()
    database = Database(f"sqlite:///{where / 'inventory.db'}")
    migrate(database)
    specs = load_specs([write_specs(where / "specs", DOCUMENTS)])
    with database.write() as connection:
        drivers = {name: open_backend(spec, deployment_id(connection), where) for name, spec in specs.backends.items()}
        found = catalogue_of(specs, drivers)
        rows = backends(found.backends[0], count)
        catalogue.apply(
            connection,
            catalogue.Catalogue(rows, found.types, found.quotas, found.qos_classes, found.digest, found.documents),
        )
    return _Sized(database, InventorySteps(Services(database=database, drivers=drivers, state_dir=where)), specs)


@contextmanager
def _both(directory: Path) -> Iterator[dict[int, _Sized]]:
    both = {count: _sized(directory, count) for count in (SMALL, LARGE)}
    yield both
    for sized in both.values():
        sized.database.close()


def _reasons(decision: Decision) -> object:
    """A verdict and a reason for every pool."""
    return decision.reasons


def _everything(decision: Decision) -> object:
    """Every compared value of every pool, as plain values."""
    return decision.to_json()


class _Spent(NamedTuple):
    """Milliseconds: on the clock, and of this process' processor time, which other programs hardly change."""

    clock: float
    processor: float


def _medians(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, _Spent]:
    """What each takes, in alternating rounds after one that does not count, with the garbage collected before."""
    spent: dict[str, list[_Spent]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            gc.collect()
            clock, processor = time.perf_counter(), time.process_time()
            action()
            found = _Spent(1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - processor))
            if number:
                spent[name].append(found)
    return {name: _Spent(*map(statistics.median, zip(*found, strict=True))) for name, found in spent.items()}


def _activity(report: Report, both: dict[int, _Sized], rounds: int) -> None:
    report.head("from request to reserved, SQLite: 2 expressions and 6 other rules, a create with a class of QoS")
    for count, sized in both.items():
        asks: dict[str, Ask] = {"verdicts": bool, "reasons": _reasons, "new": _reasons, "everything": _everything}
        sizes = dict.fromkeys(asks, sized.sizes) | {"new": iter(NEVER_ASKED)}

        def begin(name: str, sized: _Sized = sized) -> None:
            sized.ask, sized.sizes = asks[name], sizes[name]  # noqa: B023 - called before the next round of the loop
            sized.begin()

        with sized.watched():
            found = _medians({name: lambda name=name: begin(name) for name in asks}, rounds)  # type: ignore[misc]
        rows = max(sized.seen[1:])  # the first request reads all of them
        if rows >= count / 10:
            raise RuntimeError(f"a request took in {rows} rows of {count} pools: the picture is read whole")
        targets = {"reasons": REASONS[count], "new": REASONS[count], "everything": EVERYTHING[count]}
        for name, spent in found.items():
            text = f"{count:,} pools, {TEXTS[name]}"
            report.add(text, spent.clock, "ms", target=targets.get(name), of_them_processor=spent.processor)
        report.note(f"{rows} rows of pools at most were read for one request")


def _ratios(report: Report, both: dict[int, _Sized], rounds: int) -> None:
    report.head("against the same by hand in Python, over the same pools, processor time")
    for count, sized in both.items():
        request, views, surroundings = sized.decision()
        suits, alone, rules = predicate(request.type, request.size), rules_by_hand(SIZE), _rules(request, surroundings)
        kept = Pools.of(views)  # as the activity keeps them
        if sum(map(suits, views)) != len(place(request, views, surroundings).ranked):
            raise RuntimeError("the hand-written predicate keeps other pools than the rules do")
        if sum(map(alone, views)) != sum(map(rules, views)):
            raise RuntimeError("the hand-written rules are true of other pools than the expressions are")
        found = _medians(_compared_with_hand(request, views, kept, surroundings, (suits, alone, rules)), rounds)
        spent = {name: one.processor for name, one in found.items()}
        by_hand, by_hand_alone = spent["by hand"], spent["rules by hand"]
        rows = [
            ("evaluation: the compiled expressions alone", "rules", by_hand_alone, EVALUATION),
            ("the decision, pools that were asked before", "remembered", by_hand, EVALUATION),
            ("the decision, pools that nobody has asked", "decided", by_hand, EVALUATION),
            ("explanation: all rules of each pool", "explained", by_hand, EXPLANATION),
        ]
        for text, name, hand, target in rows:
            report.add(f"{count:,} pools, {text}", spent[name] / hand, "x", target=target, hand_ms=hand, ms=spent[name])


def _rules(request: PlacementRequest, surroundings: Surroundings) -> Callable[[PoolView], bool]:
    """The expressions of the type, compiled, with nothing around them."""
    beside, runs = environment(request), []
    for rule in request.type.rules:
        expression = surroundings.language.rule(rule.rule)
        if not isinstance(expression, Expression):
            raise TypeError(expression)
        runs.append(expression.evaluate)
    first, second = runs
    asked, spec = beside["request"], beside["spec"]

    def hold(pool: PoolView) -> bool:
        env = Env(pool.values, asked, {}, spec)
        return first(env) is True and second(env) is True

    return hold


Test = Callable[[PoolView], bool]


def _compared_with_hand(
    request: PlacementRequest, views: list[PoolView], kept: Pools, around: Surroundings, tests: tuple[Test, Test, Test]
) -> dict[str, Callable[[], object]]:
    suits, alone, rules = tests

    def explained() -> None:
        for verdict in place(request, views, around).verdicts:
            _ = verdict.rules

    return {
        "by hand": lambda: [suits(view) for view in views],
        "rules by hand": lambda: [alone(view) for view in views],
        "rules": lambda: [rules(view) for view in views],
        "remembered": lambda: place(request, kept, around),
        "decided": lambda: place(request, views, around),
        "explained": explained,
    }


def _memory(report: Report, sized: _Sized) -> None:
    report.head(f"memory at {LARGE:,} pools, as Python counts what it allocates")
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    request, views, surroundings = sized.decision()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    decision = place(request, views, surroundings)
    decided, _ = tracemalloc.get_traced_memory()
    size = len(json.dumps(decision.summary()))
    tracemalloc.reset_peak()
    _everything(decision)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    mib = 2**20
    report.add("the picture", (held - before) / mib, "MiB", bytes_a_pool=(held - before) / LARGE)
    report.add("a decision", (decided - held) / mib, "MiB", kept_with_the_operation_KiB=size / 1024)
    report.add("a decision with every value", (peak - held) / mib, "MiB")


def _documents() -> Iterator[Mapping[str, Any]]:
    """A set in the usual mixture: mostly types with rules, backends, classes, quotas."""
    yield from DOCUMENTS[:2]
    for number in range(DOCUMENT_COUNT - 2):
        match number % 10:
            case 0:
                yield {**DOCUMENTS[0], "name": f"backend{number}"}
            case 1:
                yield {**DOCUMENTS[1], "name": f"class{number}", "max_iops": 1000 + number}
            case 2:
                yield {"kind": "Quota", "project": f"project{number}", "limits": {"shares": 100, "bytes": "10 TiB"}}
            case _:
                yield {
                    **DOCUMENTS[2],
                    "name": f"type{number}",
                    "require": [RULES[0], f'pool.total >= {number + 1} * request.size or pool.tier in ["gold"]'],
                    "prefer": [{"score": "pool.free / pool.total", "weight": 10}],
                }


def _write(directory: Path) -> Path:
    directory.mkdir()
    documents = [yaml.safe_dump({"apiVersion": "shareflow/v1", **one}, sort_keys=False) for one in _documents()]
    for start in range(0, DOCUMENT_COUNT, 20):
        (directory / f"{start:04d}.yaml").write_text("---\n".join(documents[start : start + 20]))
    return directory


def _reading(report: Report, directory: Path, *, quick: bool) -> None:
    report.head(f"a set of {DOCUMENT_COUNT:,} documents in {DOCUMENT_COUNT // 20} files, read and checked whole")
    where = _write(directory / "many")
    found = _medians({"read": lambda: load_specs([where])}, 1 if quick else 3)
    report.add(
        "read and check",
        found["read"].clock / 1000,
        "s",
        target=READING,
        of_them_processor=found["read"].processor / 1000,
    )


def placements(report: Report, directory: Path, *, quick: bool) -> None:
    """Everything about placement. Raises RuntimeError when a request reads all pools, or a verdict is wrong."""
    keep_what_is_loaded()  # as a worker does
    with _both(directory) as both:
        _activity(report, both, 5 if quick else 15)
        _ratios(report, both, 7 if quick else 21)
        _memory(report, both[LARGE])
    _reading(report, directory, quick=quick)
    for line in MANILA:
        report.note(line)
