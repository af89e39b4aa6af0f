"""The inventory and the specs as they are now, for replays of requests elsewhere."""

from __future__ import annotations

import json

from sqlalchemy import Connection

from activities.placement import Placement
from dsl.pool_picture import PoolPicture
from dsl.snapshot import SavedShare
from inventory import catalogue, usage
from shareflow.contracts.reads import ProjectRef
from shareflow.contracts.specs import InventoryPage, InventoryQuery, SpecsView
from shareflow.errors import InvalidState

POOLS_OF_A_PAGE = 300
SHARES_OF_A_PAGE = 5000


def get_specs(connection: Connection, _query: ProjectRef) -> SpecsView:
    """The set of specs that counts; empty before the first one was applied."""
    row = catalogue.current_set(connection)
    if row is None:
        return SpecsView(revision=0)
    return SpecsView.model_validate({key: row[key] for key in SpecsView.model_fields})


def save_inventory(placed: Placement, connection: Connection, query: InventoryQuery) -> InventoryPage:
    """A page of the pools, in order of their names, with the shares of the project on them.

    Raises:
        InvalidState: more shares are on these pools than one answer holds.
    """
    picture = placed.pictures.current(connection)
    views = sorted((view for view in picture.pools.views if view.title > query.after), key=lambda view: view.title)
    page = views[:POOLS_OF_A_PAGE]
    titles = {view.id: view.title for view in page}
    found = usage.shares_on(connection, query.project, list(titles), SHARES_OF_A_PAGE + 1)
    if len(found) > SHARES_OF_A_PAGE:
        raise InvalidState(
            f"more than {SHARES_OF_A_PAGE} shares of project {query.project!r} are on {len(page)} pools",
            field="project",
            hint="save the inventory in the name of a smaller project; spread and affinity count shares of one project",
        )
    shares = [
        SavedShare(name=row["name"], type=row["type"], pool=titles[row["pool_id"]], project=query.project)
        for row in found
    ]
    plain = {
        "revision": picture.revision,
        "pools": [PoolPicture.of(view).model_dump(mode="json", exclude_defaults=True) for view in page],
        "shares": [share.model_dump(mode="json", exclude_defaults=True) for share in shares],
        "next": page[-1].title if len(views) > len(page) else "",
    }
    return InventoryPage.model_validate_json(json.dumps(plain))
