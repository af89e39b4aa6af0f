"""Sets of specs on the wire: what a plan is made of, and what it says."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from shareflow.contracts.base import Name, StrictModel

MAX_DOCUMENTS = 2**20
"""So many bytes a set may have as JSON. It travels in one message, and Temporal takes no larger ones."""

Document = dict[str, JsonValue]


def check_documents(documents: list[Document]) -> list[Document]:
    """The documents, when they fit into a message."""
    size = len(json.dumps(documents, separators=(",", ":")))
    if size > MAX_DOCUMENTS:
        raise ValueError(f"a set has at most {MAX_DOCUMENTS} bytes as JSON (1 MiB), this one has {size}")
    return documents


Documents = Annotated[list[Document], AfterValidator(check_documents), Field(min_length=1)]
Digest = Annotated[str, Field(max_length=64)]


class PlanToken(StrictModel):
    """What a plan was made on. An apply is refused when any of it is not so any more.

    Attributes:
        specs_revision: of the set that counts, 0 when none was applied.
        current, new: digests of that set, and of the one that is planned.
        counts: digest of what is removed although it is in use, and by how many shares.
    """

    specs_revision: Annotated[int, Field(ge=0)]
    current: Digest
    new: Digest
    counts: Digest


class PlanQuery(StrictModel):
    """What applying these documents, as one whole set, would change."""

    project: Name = "default"
    documents: Documents


class KeyChange(StrictModel):
    """One key of a document: sizes in bytes, durations in seconds; null is the default."""

    key: str
    old: JsonValue = None
    new: JsonValue = None


class PlanLine(StrictModel):
    """What becomes of one document, or of one pool (kind ``Pool``, name ``backend/pool``).

    Attributes:
        effects: what it means for the shares that are there.
        in_use: shares that use what is removed; above 0 the line has to be allowed by name.
    """

    action: Literal["create", "change", "remove"]
    kind: str
    name: str
    differences: list[KeyChange] = []
    effects: list[str] = []
    in_use: int = 0


class PlanView(StrictModel):
    """A plan.

    Attributes:
        lines: what changes; those that need to be allowed are always all there.
        left_off: lines that were left off to keep the answer short.
        managed: whether the set that counts was applied by an operation, so that workers take it from the inventory.
    """

    token: PlanToken
    lines: list[PlanLine]
    left_off: int = 0
    managed: bool = False


class PlanFile(StrictModel):
    """A plan that waits to be carried out, with the set that it is for."""

    format: Literal["shareflow-plan/v1"] = "shareflow-plan/v1"
    documents: Documents
    plan: PlanView


class SpecsView(StrictModel):
    """The set of specs that counts.

    Attributes:
        revision: counts the sets that were applied; 0 before the first one.
        managed: whether it was applied by an operation, so that workers take it from the inventory.
        documents: the set as records.
    """

    revision: int
    digest: Digest = ""
    managed: bool = False
    documents: list[Document] = []


class InventoryQuery(StrictModel):
    """The pools as placement sees them, a page at a time, with the project's shares on them."""

    project: Name = "default"
    after: Annotated[str, Field(max_length=255)] = ""


class InventoryPage(StrictModel):
    """A part of a saved inventory; see ``SavedInventory`` of the spec language.

    Attributes:
        revision: of the pools; the pages of one inventory have the same.
        next: where the next page begins, empty on the last one.
    """

    revision: int
    pools: list[dict[str, JsonValue]]
    shares: list[dict[str, JsonValue]]
    next: str = ""
