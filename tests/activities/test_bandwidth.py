"""Limits of copies that were changed while they ran."""

from __future__ import annotations

import os
import time
from pathlib import Path

from activities.bandwidth import OLDEST, BandwidthBook


def test_a_limit_that_came_too_late_for_its_copy_goes_in_the_end(tmp_path: Path) -> None:
    """Nobody forgets it; the next limit of any copy does, when no copy can be that old."""
    book = BandwidthBook(tmp_path / "limits")
    book.set("late", 5)
    book.set("young", 6)
    (late,) = (path for path in (tmp_path / "limits").iterdir() if path.read_text(encoding="ascii") == "5")
    before = time.time() - OLDEST - 60
    os.utime(late, (before, before))
    book.set("other", None)
    assert not late.exists()
    assert (book.of("late", 9), book.of("young", 9), book.of("other", 9)) == (9, 6, None)
