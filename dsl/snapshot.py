"""A saved inventory: pools as they were at one moment, and the shares on them, as a document of its own kind.

It is JSON or YAML, with ``apiVersion`` and ``kind`` like every document, and read as strictly as specs are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dsl.document import Document, SpecModel
from dsl.documents import API_VERSION
from dsl.expressions import Schema
from dsl.fields import Name, Project, Text
from dsl.placement import PoolView
from dsl.pool_picture import PoolPicture
from dsl.problems import Problem, shown, suggest
from dsl.reading import read_kind
from dsl.share_request import PoolName, ShareName
from dsl.spec_set import read_file
from dsl.yaml_tree import LARGE_FILE, parse

_MAX_PROBLEMS = 50


class SavedShare(SpecModel):
    """A share of a saved inventory.

    Attributes:
        pool: where it is, as ``backend/name``.
    """

    name: ShareName
    type: Name
    pool: PoolName
    project: Project = "default"


class SavedInventory(Document):
    """The inventory of one moment.

    Attributes:
        taken: when, and of what; for people.
        pools: every pool.
        shares: shares that count for spread and affinity; their sizes are in ``provisioned`` of the pools.
    """

    kind = "SavedInventory"

    taken: Text = ""
    pools: Annotated[tuple[PoolPicture, ...], Field(strict=False, min_length=1, max_length=100_000)]
    shares: Annotated[tuple[SavedShare, ...], Field(strict=False, max_length=1_000_000)] = ()

    @property
    def key(self) -> str:
        """Always the same: a file holds one."""
        return "inventory"

    def views(self, schema: Schema) -> list[PoolView]:
        """The pools as placement sees them."""
        return [pool.to_view(schema) for pool in self.pools]

    def to_json(self) -> dict[str, object]:
        """The document as plain values; :func:`read_inventory` reads what is made of it."""
        return {"apiVersion": API_VERSION, "kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}


def saved(views: Iterable[PoolView], shares: Iterable[SavedShare] = (), taken: str = "") -> SavedInventory:
    """An inventory to be saved.

    Raises:
        pydantic.ValidationError: there are no pools, or one holds what a document cannot hold.
    """
    return SavedInventory(taken=taken, pools=tuple(PoolPicture.of(view) for view in views), shares=tuple(shares))


def read_inventory(path: Path) -> tuple[SavedInventory | None, list[Problem]]:
    """The inventory that a file holds, None when there is a problem; and the problems. Raises nothing."""
    source = read_file(path, LARGE_FILE)
    if isinstance(source, Problem):
        return None, [source]
    parsed = parse(source, LARGE_FILE)
    if parsed.problems:
        return None, list(parsed.problems)
    if len(parsed.documents) != 1:
        message = f"the file holds {len(parsed.documents) or 'no'} documents, not one"
        return None, [Problem("S002", message, source.name, hint="save the inventory anew, into a file of its own")]
    found = read_kind(parsed.documents[0], source, {SavedInventory.kind: SavedInventory})
    problems = found if isinstance(found, list) else list(itertools.islice(_check(found), _MAX_PROBLEMS))
    problems.sort(key=lambda problem: problem.sort_key)
    return (None if problems or isinstance(found, list) else found), problems


def _check(inventory: SavedInventory) -> Iterator[Problem]:
    titles: set[str] = set()
    for index, pool in enumerate(inventory.pools):
        if pool.title in titles:
            message = f"the pool `{pool.title}` is twice in the inventory"
            yield inventory.problem(("pools", index, "name"), "S201", message, hint="remove one of them")
        titles.add(pool.title)
    names: set[tuple[str, str]] = set()
    for index, share in enumerate(inventory.shares):
        if share.pool not in titles:
            near = suggest(share.pool, titles)
            hint = f"did you mean `{near}`?" if near else "write it as `backend/name` of a pool above"
            path = ("shares", index, "pool")
            yield inventory.problem(path, "S202", f"there is no pool `{shown(share.pool)}`", hint=hint)
        if (share.project, share.name) in names:
            message = f"the share `{shown(share.name)}` is twice in its project"
            yield inventory.problem(("shares", index, "name"), "S201", message, hint="rename one of them")
        names.add((share.project, share.name))
