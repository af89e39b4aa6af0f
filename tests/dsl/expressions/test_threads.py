"""Many threads, one compiled expression."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from dsl.expressions import Env, compile_expression, parsing
from tests.dsl.expressions.world import FULL, GIB, SCHEMA

THREADS = 16
RULE = (
    'pool.free - request.size >= 10 GiB and pool.media == "ssd" and pool.iops_free / request.size >= 30 IOPS/GiB'
    ' and (pool.zone in ["a", "b"] or "nfs" in pool.protocols) and pool.latency between 1 ms and 2 ms'
)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _in_threads(work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(THREADS)

    def guarded(number: int) -> None:
        gate.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to fail
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.usefixtures("hasty")
def test_sixteen_threads_on_one_expression_get_each_their_own_answer() -> None:
    """No evaluation sees another thread's pool, neither decided nor explained."""
    expression = compile_expression(RULE, SCHEMA)
    envs = [
        Env(
            pool={**FULL.pool, "free": number * 20 * GIB, "zone": "abc"[number % 3], "iops_free": number * 400},
            request={**FULL.request, "size": (number % 4 + 1) * 10 * GIB},
        )
        for number in range(THREADS)
    ]
    expected = [expression.explain(env) for env in envs]
    assert {one.verdict for one in expected} == {True, False}

    def work(number: int) -> None:
        for _ in range(300):
            assert expression.evaluate(envs[number]) is expected[number].verdict
            assert expression.explain(envs[number]) == expected[number]

    _in_threads(work)


@pytest.mark.usefixtures("hasty")
def test_sixteen_threads_that_compile_first_all_get_a_right_expression() -> None:
    """The parser is built once; no parse disturbs another."""
    parsing._built.cache_clear()

    def work(number: int) -> None:
        for count in range(4):
            rule = " and ".join([f"pool.free >= {number} GiB"] * (count + 1))
            expression = compile_expression(rule, SCHEMA)
            assert expression.text == rule
            assert len(expression.explain(FULL).comparisons) == count + 1
            assert expression.evaluate(Env(pool={"free": number * GIB}))
            assert expression.evaluate(Env(pool={"free": number * GIB - 1})) is False

    _in_threads(work)
    assert parsing._built.cache_info().misses == 1
