"""What the steps of evacuations and failovers have in common."""

from __future__ import annotations

from shareflow.contracts.base import StrictModel


class NamedShare(StrictModel):
    """A share whose turn comes."""

    id: str
    name: str
    project: str


class ChildState(StrictModel):
    """The operation of one share, as the inventory knows it; ``state`` is empty when it has not begun yet.

    ``trouble`` is what it waits for an operator for, or why it failed.
    """

    share: NamedShare
    state: str = ""
    trouble: str = ""


class FanOutMemory(StrictModel):
    """What must not be forgotten when the workflow is continued or restarted; kept with its operation."""

    paused: bool = False


class RunningShare(StrictModel):
    """A share that is on its way: its operation, and what that waits for an operator for."""

    share_id: str
    name: str
    project: str
    operation: str
    trouble: str = ""


class FollowFanOut(StrictModel):
    """Look at the next shares, at their operations, at what has been done so far.

    Attributes:
        after, limit: the shares behind this one that have had no operation yet, at most so many; 0 for none.
        watched: ids of shares whose operations are looked at.
        take_up: look also at what an earlier run has done.
    """

    operation: str
    after: str = ""
    limit: int = 0
    watched: list[str] = []
    take_up: bool = False
