"""Random schedules of writes, rounds, partitions, promotions, losses, crashes and heals, each judged by its history.

A schedule that fails prints its seed, its history and the command that plays it again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.matrix import invariants
from tests.plugins.clean_exit import SUMMARY
from tests.schedules.plan import Move, Schedule, drawn
from tests.schedules.runner import Report, Runner

FEW, MANY = 200, 1000


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "seed", [*range(FEW), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(FEW, MANY))]
)
async def test_acknowledged_writes_are_lost_only_as_announced_and_never_are_two_active(
    runner: Runner, seed: int
) -> None:
    """Whatever happens, in whatever order; when all is healed every replica converges, and nothing is stuck."""
    report = await runner.report(drawn(seed))
    assert not report.problems, str(report)


async def test_the_schedules_have_promoted_lost_and_written(
    runner: Runner, record_property: Callable[[str, object], None]
) -> None:
    """Histories without events would prove nothing; and the world is sound when all of them have ended."""
    if len(runner.reports) < FEW:
        pytest.skip("only a part of the schedules was selected")
    record_property(SUMMARY, runner.line())
    promotions = [one for report in runner.reports for one in report.history.promotions]
    assert sum(not one.lost for one in promotions) >= len(runner.reports) // 10
    assert sum(one.lost for one in promotions) >= len(runner.reports) // 10
    assert all(report.history.writes for report in runner.reports)
    assert [text for text in invariants.whole_world(runner.world) if not text.startswith("I10")] == []


# -- the checker finds what is wrong with a backend ------------------------------------------------------------------


async def _played(runner: Runner, *moves: Move) -> Report:
    return await runner.play(Schedule(seed=-1, moves=moves))


FENCE_LIE = Move("lie", "active", "set_access_mode find_writers")


@pytest.mark.timeout(300)
async def test_the_checker_finds_the_two_actives_of_a_backend_that_lies_about_its_fence(runner: Runner) -> None:
    """Nobody writes while it is promoted: otherwise the comparison of both sides may find it, and refuse."""
    report = await _played(runner, Move("hush"), FENCE_LIE, Move("promote", pause=0.3), Move("hush", detail="over"))
    assert [one for one in report.problems if one.startswith("I7") and "writable at the same time" in one], str(report)
    assert "python -m tests.schedules" in str(report)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("side", "verb"), [("replica", "revert_share"), ("active", "is_unchanged")])
async def test_the_checker_finds_the_loss_of_a_backend_that_lies_about_content(
    runner: Runner, side: str, verb: str
) -> None:
    """The replica has the content of a round, or the share has not changed since: more is lost than announced."""
    report = await _played(runner, Move("calm"), Move("heal", pause=1.0), Move("calm"), Move("lie", side, verb),
                           Move("sync"), Move("calm"), Move("lose", detail="resync"))  # fmt: skip
    assert [one for one in report.problems if one.startswith("acknowledged write") and "is lost" in one], str(report)
