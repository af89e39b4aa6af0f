"""Random schedules: what happens to a replicated share, drawn from a seed and from nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass

MOVES = {
    "sync": 5,
    "resync": 2,
    "snapshot": 3,
    "promote": 4,
    "lose": 2,
    "disaster": 3,
    "cut": 2,
    "dark": 2,
    "heal": 4,
    "crash": 4,
    "glitch": 3,
    "late": 2,
}
"""Kinds of moves with their weights; see :mod:`tests.schedules.play` for what each does."""
POINTS = tuple(
    f"{step}.{moment}"
    for steps, moments in (
        (
            (
                "inventory.begin", "inventory.begin_round", "inventory.follow_replica", "inventory.end_round",
                "inventory.switch_replica", "inventory.commit",
            ),
            ("before_transaction", "before_commit", "after_commit"),
        ),
        (
            (
                "backend.create_snapshot", "backend.delete_snapshot", "backend.revert_share", "backend.fence",
                "backend.set_access_mode", "mover.receive", "mover.verify",
            ),
            ("before_call", "after_call"),
        ),
    )
    for step in steps
    for moment in moments
)  # fmt: skip
"""Where an attempt is lost, as if its worker had died."""
VERBS = ("set_access_mode", "create_snapshot", "delete_snapshot", "revert_share", "receive_snapshot")
GLITCHES = ("busy", "error_before_effect", "error_after_effect", "half")
SIDES = ("active", "replica", "other")


@dataclass(frozen=True, slots=True)
class Move:
    """One move; ``beside`` does not wait for its end, ``pause`` seconds pass before it.

    Attributes:
        side: whose backend it is about, by role when it happens.
        detail: what goes wrong, and where.
    """

    kind: str
    side: str = "replica"
    detail: str = ""
    beside: bool = False
    pause: float = 0.0

    def __str__(self) -> str:
        parts = [self.kind, self.side, self.detail, "beside" if self.beside else ""]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is played, and by which seed it was drawn.

    Attributes:
        replicas: how many there are.
        mode: ``driver``, or ``host`` when content goes through the mover.
    """

    seed: int
    moves: tuple[Move, ...]
    replicas: int = 1
    mode: str = "driver"


def drawn(seed: int) -> Schedule:
    """The schedule of a seed."""
    rng = random.Random(seed)
    moves = tuple(_move(rng) for _ in range(rng.randint(2, 6)))
    return Schedule(
        seed=seed,
        moves=moves,
        replicas=rng.choices((1, 2), (3, 1))[0],
        mode=rng.choices(("driver", "host"), (7, 1))[0],
    )


def _move(rng: random.Random) -> Move:
    kind = rng.choices(list(MOVES), list(MOVES.values()))[0]
    side = rng.choices(SIDES, (3, 3, 1))[0]
    choices: dict[str, tuple[tuple[str, ...], ...]] = {
        "resync": (("", "", "full"),),
        "lose": (("keep", "resync"),),
        "disaster": (("cut", "dark"), ("keep", "resync")),
        "crash": (POINTS,),
        "glitch": (GLITCHES, VERBS),
        "late": (VERBS,),
    }
    detail = " ".join(rng.choice(words) for words in choices.get(kind, ()))
    return Move(kind, side, detail, beside=rng.random() < 0.5, pause=rng.choice((0.0, 0.1, 0.3, 0.6)))
