"""``shareflow spec inventory``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.files import write_files
from shareflow.cli.output import moment, print_json, print_line
from shareflow.cli.spec.group import app

if TYPE_CHECKING:
    from dsl.snapshot import SavedInventory
    from shareflow.client import Shares


@command(app, "inventory", example="shareflow spec inventory --to now.json")
async def inventory(
    cli: Cli,
    *,
    to: Annotated[Path | None, typer.Option("--to", help="write it into this file, for spec simulate")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file if it exists")] = False,
) -> int:
    """Save the pools as placement sees them now, and the project's shares on them, for replays."""
    async with cli.shares() as shares:
        found = await live_inventory(shares)
    if to is None:
        print_json(found.to_json())
        return exits.OK
    write_files([(to, json_text(found.to_json()))], force=force)
    if cli.json:
        print_json({"file": str(to), "pools": len(found.pools), "shares": len(found.shares)})
    else:
        print_line(f"{to}: {len(found.pools)} pools, {len(found.shares)} shares")
    return exits.OK


async def live_inventory(shares: Shares) -> SavedInventory:
    """The inventory as it is now, as a document of the spec language."""
    import json  # noqa: PLC0415 - `--help` has to be quick
    from datetime import UTC, datetime  # noqa: PLC0415

    from dsl.snapshot import SavedInventory  # noqa: PLC0415

    pools, there = await shares.save_inventory()
    content = {"taken": moment(datetime.now(UTC)), "pools": pools, "shares": there}
    return SavedInventory.model_validate_json(json.dumps(content))


def json_text(content: Any) -> str:
    """A document as the text of a file."""
    import json  # noqa: PLC0415 - `--help` has to be quick

    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
