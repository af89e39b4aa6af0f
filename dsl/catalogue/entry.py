"""What is said of a code."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One code: what it is about, why it comes up, what to do."""

    title: str
    cause: str
    fix: str
