"""Named moments between a driver's record of an effect and the effect itself.

A driver calls :func:`window` at every moment at which a kill would leave something half made. Production code does
nothing there. Tests set :data:`hook` in a child process and kill it, then make the same call again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

WINDOWS: Final[dict[str, str]] = {
    "pool.layout": "directories of a new pool made, marker not written",
    "pool.marker": "marker of a new pool written, its id not yet remembered by this worker",
    "record.temporary": "new text of a record under its temporary name, old record still valid",
    "build.intent": "record of a new object written, nothing made",
    "build.staged": "staging container made, no data in it",
    "build.filled": "data complete in staging, its size not yet bounded",
    "build.bounded": "data complete and bounded in staging, not in its place",
    "receive.noted": "snapshots are noted as being sent, the transfer has not begun",
    "receive.started": "a transfer runs in a process of its own, its caller is gone",
    "build.placed": "object in its place, record still says half made",
    "resize.intent": "caller recorded, limit still the old one",
    "resize.limited": "new limit set, record still has the old size",
    "mode.intent": "wanted mode recorded, clients still have the old one",
    "mode.frozen": "write permission changed, container not moved",
    "mode.moved": "container moved, stable data path not yet pointing to it",
    "revert.intent": "revert recorded, nothing made",
    "revert.filled": "new content in staging, not bounded",
    "revert.bounded": "new content ready in staging, share still has the old one",
    "revert.parted": "old content moved aside, new one not in place (file systems that cannot exchange names)",
    "revert.switched": "contents exchanged, record still says that the revert is under way",
    "revert.cleared": "old content in the trash, record still says that the revert is under way",
    "delete.buried": "tombstone written, object still in place",
    "delete.trashed": "object in the trash, record still there",
    "delete.forgotten": "record removed, trash not emptied",
}
"""Every window with what is true in it."""

hook: Callable[[str], None] | None = None
"""Called with the name of each window that is passed; None outside tests."""


def window(name: str) -> None:
    """Pass a crash window.

    Raises:
        KeyError: the name is not in :data:`WINDOWS`, while a hook is set.
    """
    if hook is not None:
        WINDOWS[name]
        hook(name)
