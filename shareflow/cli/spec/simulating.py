"""``shareflow spec simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_json, print_line, print_table, safe
from shareflow.cli.spec.group import app
from shareflow.contracts.units import format_size

if TYPE_CHECKING:
    from dsl.problems import Problem
    from dsl.share_request import NamedRequest
    from dsl.simulation import Outcome, Simulation
    from dsl.snapshot import SavedInventory
    from dsl.spec_set import SpecSet

_STYLES = {"moved": "yellow", "placed": "green", "lost": "red"}


@command(
    app,
    "simulate",
    example="shareflow spec simulate --requests r.yaml --inventory now.json --old main/specs --new specs",
    local=True,
)
def simulate(
    cli: Cli,
    *,
    requests: Annotated[Path, typer.Option(metavar="FILE", help="a list of requests, in YAML or JSON")],
    inventory: Annotated[Path, typer.Option(metavar="FILE", help="a saved inventory, in JSON or YAML")],
    old: Annotated[list[Path], typer.Option(metavar="PATH", help="specs as they are; may be repeated")],
    new: Annotated[list[Path], typer.Option(metavar="PATH", help="specs to be tried; may be repeated")],
) -> int:
    """Replay requests under old and new specs and show what would go elsewhere. Changes nothing.

    Exit code 0 when everything would stay, 6 when something would change, 3 when specs or files are refused.
    """
    from dsl.request_list import read_requests  # noqa: PLC0415 - `--help` has to be quick
    from dsl.snapshot import read_inventory  # noqa: PLC0415
    from dsl.spec_check import check  # noqa: PLC0415

    (specs, found_old), (tried, found_new) = check(old), check(new)
    asked, found_asked = read_requests(requests)
    picture, found_picture = read_inventory(inventory)
    if specs is None or tried is None or picture is None or found_asked:
        found = [one for one in (*found_old, *found_new) if one.severity == "error"]
        return _refused(cli, [*found_asked, *found_picture, *found])
    return show_simulation(cli, asked, picture, specs, tried)


def show_simulation(cli: Cli, asked: list[NamedRequest], picture: SavedInventory, old: SpecSet, new: SpecSet) -> int:
    """Replay, print, and give the exit code, wherever requests and inventory came from."""
    from dsl.simulation import simulate as replay  # noqa: PLC0415 - `--help` has to be quick

    found = replay(asked, picture.views(old.schema()), old, new, picture.shares)
    if cli.json:
        print_json(found.to_json())
    else:
        _print(found)
    return exits.CHANGED if found.changed else exits.OK


def _refused(cli: Cli, problems: list[Problem]) -> int:
    if cli.json:
        print_json({"problems": [problem.to_json() for problem in problems]})
        return exits.CONFIGURATION
    for problem in problems:
        for line in problem.render().splitlines():
            print_line(safe(line), style="red" if line.startswith("error") else "")
        print_line()
    print_line("nothing was replayed")
    return exits.CONFIGURATION


def _print(found: Simulation) -> None:
    for one in found.outcomes:
        if one.change != "unchanged":
            _print_outcome(one)
    for pool, why in found.left_out.items():
        print_line(safe(f"left out: {pool}: {why}"), style="dim")
    rows = [
        (pool, before.shares, format_size(before.bytes), after.shares, format_size(after.bytes))
        for pool, (before, after) in found.totals.items()
    ]
    print_table(("POOL", ">OLD SHARES", ">OLD SIZE", ">NEW SHARES", ">NEW SIZE"), rows, empty="there are no pools")
    counts = ", ".join(f"{number} {change}" for change, number in found.counts.items())
    print_line(f"{len(found.outcomes)} requests: {counts}")


def _print_outcome(one: Outcome) -> None:
    asked = one.request
    what = f"{asked.name or f'request {one.number}'} ({format_size(asked.size)}, {asked.type})"
    way = f"{one.before or 'nowhere'} -> {one.after or 'nowhere'}"
    print_line(safe(f"{one.change:<8} {what}: {way}"), style=_STYLES.get(one.change, ""))
    print_line(safe(f"         {one.reason}"))
