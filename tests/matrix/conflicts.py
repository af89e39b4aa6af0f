"""Conflicting requests: what comes while an operation is held in the middle of its backend step, and how it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shareflow import names
from tests.matrix.stage import GIB

DONE = "succeeded"


@dataclass(frozen=True)
class Conflict:
    """A request that collides with another one.

    Attributes:
        endings: error codes, or ``succeeded``, with which it may end.
        purge: it is a deletion, and is purged at once.
        under_test: how the operation under test ends, when it is not as without the other request.
    """

    kind: str
    fields: Mapping[str, Any]
    endings: tuple[str, ...]
    purge: bool = False
    under_test: str = ""


_HOME = {"share": "home"}
_CLONE = {"share": "home", "snapshot": "s1", "name": "another"}


def _delete(share: str, *endings: str) -> Conflict:
    return Conflict(names.DELETE_SHARE, {"share": share}, endings, purge=True)


_RESIZE = Conflict(names.RESIZE_SHARE, {**_HOME, "size": 4 * GIB}, (DONE,))
_IMPATIENT = Conflict(names.RESIZE_SHARE, {**_HOME, "size": 4 * GIB, "on_busy": "fail"}, ("Busy",))
_SNAPSHOT = Conflict(names.CREATE_SNAPSHOT, {**_HOME, "name": "another"}, (DONE,))
_REVERT = Conflict(names.REVERT_SHARE, {**_HOME, "snapshot": "s1"}, (DONE,))
_FORGET = Conflict(names.FORGET_SHARE, _HOME, (DONE,))
_DELETE_S1 = Conflict(names.DELETE_SNAPSHOT, {**_HOME, "snapshot": "s1"}, (DONE,))


def _gone(conflict: Conflict) -> Conflict:
    return Conflict(conflict.kind, conflict.fields, ("NotFound",), conflict.purge)


def _ends_it(conflict: Conflict) -> Conflict:
    """It makes the operation that is ahead give up."""
    return replace(conflict, under_test="cancelled")


_MADE = {"share": "new"}
_REPLICA = {**_HOME, "replica": "a2"}
_AWAY = {**_HOME, "grace": 0, "cutover_when": "immediately", "preserve_snapshots": True, "to_pool": "b2"}
CONFLICTS: Mapping[str, Mapping[str, Conflict]] = {
    "CreateShare": {
        "same-name": Conflict(names.CREATE_SHARE, {"name": "new", "size": GIB}, ("NameTaken",)),
        "delete": _delete("new", DONE),
        "snapshot": Conflict(names.CREATE_SNAPSHOT, {**_MADE, "name": "early"}, (DONE,)),
        "resize": Conflict(names.RESIZE_SHARE, {**_MADE, "size": GIB}, (DONE,)),
        "forget": Conflict(names.FORGET_SHARE, _MADE, (DONE,)),
    },
    "Clone": {
        "delete-source-snapshot": _DELETE_S1,
        "delete-source-share": _delete("home", DONE),
        "forget-source-share": _FORGET,
        "another-clone": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, _CLONE, (DONE,)),
        "same-name": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, {**_CLONE, "name": "copy"}, ("NameTaken",)),
        "revert-source": _REVERT,
    },
    "Copy": {"delete-source-snapshot": _DELETE_S1, "delete-source-share": _delete("home", DONE)},
    "CreateSnapshot": {
        "resize": _RESIZE,
        "resize-or-fail": _IMPATIENT,
        "revert": _REVERT,
        "same-name": Conflict(names.CREATE_SNAPSHOT, {**_HOME, "name": "new"}, ("NameTaken",)),
        "delete-it": Conflict(names.DELETE_SNAPSHOT, {**_HOME, "snapshot": "new"}, (DONE,)),
        "clone-it": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, {**_CLONE, "snapshot": "new"}, (DONE,)),
        "delete": _delete("home", DONE),
        "forget": _FORGET,
    },
    "DeleteSnapshot": {
        "clone-it": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, _CLONE, ("NotFound",)),
        "revert-to-it": _gone(_REVERT),
        "delete-it": _gone(_DELETE_S1),
        "delete": _delete("home", DONE),
        "resize": _RESIZE,
        "forget": _FORGET,
    },
    "RevertShare": {
        "snapshot": _SNAPSHOT,
        "resize": _RESIZE,
        "resize-or-fail": _IMPATIENT,
        "delete-the-snapshot": _DELETE_S1,
        "delete": _delete("home", DONE),
        "revert": Conflict(names.REVERT_SHARE, {**_HOME, "snapshot": "s2"}, (DONE,)),
    },
    "ResizeShare-grow": {
        "resize": _RESIZE,
        "resize-or-fail": _IMPATIENT,
        "snapshot": _SNAPSHOT,
        "delete": _delete("home", DONE),
        "forget": _FORGET,
    },
    "SetShareQos": {
        "resize": _RESIZE,
        "resize-or-fail": _IMPATIENT,
        "another-class": Conflict(names.SET_SHARE_QOS, {**_HOME, "qos": None}, (DONE,)),
        "snapshot": _SNAPSHOT,
        "delete": _delete("home", DONE),
        "forget": _FORGET,
    },
    "MigrateShare-driver": {
        "snapshot": _SNAPSHOT,
        "resize": _RESIZE,
        "revert": _REVERT,
        "delete-a-snapshot": _DELETE_S1,
        "clone": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, _CLONE, (DONE,)),
        "limits": Conflict(names.SET_SHARE_QOS, {**_HOME, "qos": "silver"}, (DONE,)),
        "delete": _ends_it(_delete("home", DONE)),
        "forget": _ends_it(_FORGET),
        "another-migration": Conflict(names.MIGRATE_SHARE, _AWAY, (DONE,)),
        "another-migration-or-fail": Conflict(names.MIGRATE_SHARE, {**_AWAY, "on_busy": "fail"}, ("Busy",)),
    },
    "MigrateShare-host": {
        "snapshot": _SNAPSHOT,
        "resize": _RESIZE,
        "delete-a-snapshot": _DELETE_S1,
        "delete": _ends_it(_delete("home", DONE)),
    },
    "MigrateShare-driver-fenced": {
        "snapshot": _SNAPSHOT,
        "resize": _RESIZE,
        "resize-or-fail": _IMPATIENT,
        "revert": _REVERT,
        "delete-a-snapshot": _DELETE_S1,
        "delete": _ends_it(_delete("home", DONE)),
        "another-migration": Conflict(names.MIGRATE_SHARE, _AWAY, (DONE,)),
    },
    "CreateReplica": {
        "snapshot": _SNAPSHOT,
        "resize": _RESIZE,
        "delete": _ends_it(_delete("home", DONE)),
        "promote": Conflict(names.PROMOTE_REPLICA, _HOME, ("NotFound",)),
    },
    "ResyncReplica": {
        "snapshot": _SNAPSHOT,
        "promote": Conflict(names.PROMOTE_REPLICA, _HOME, (DONE,)),
        "delete-the-replica": Conflict(names.DELETE_REPLICA, _REPLICA, (DONE,)),
        "resync-or-fail": Conflict(names.RESYNC_REPLICA, {**_REPLICA, "on_busy": "fail"}, ("Busy",)),
    },
    "PromoteReplica": {
        "resize": _RESIZE,
        "snapshot": _SNAPSHOT,
        "promote": Conflict(names.PROMOTE_REPLICA, _HOME, ("InvalidState",)),
        "resync": Conflict(names.RESYNC_REPLICA, _REPLICA, ("InvalidState",)),
        "delete-the-replica": Conflict(names.DELETE_REPLICA, _REPLICA, ("InvalidState",)),
    },
    "DeleteReplica": {
        "promote": Conflict(names.PROMOTE_REPLICA, _HOME, ("NotFound",)),
        "resync": Conflict(names.RESYNC_REPLICA, _REPLICA, ("NotFound",)),
        "snapshot": _SNAPSHOT,
    },
    "DeleteShare-purge": {
        "resize": _gone(_RESIZE),
        "snapshot": _gone(_SNAPSHOT),
        "delete": _delete("home", "NotFound"),
        "forget": _gone(_FORGET),
        "clone": Conflict(names.CREATE_SHARE_FROM_SNAPSHOT, _CLONE, ("NotFound",)),
        "same-name": Conflict(names.CREATE_SHARE, {"name": "home", "size": GIB}, (DONE, "NameTaken")),
    },
    "DeleteShare-restore": {"resize": _gone(_RESIZE), "delete": _delete("home", "NotFound")},
}
