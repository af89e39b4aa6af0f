"""``shareflow spec simulate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_json, print_line, print_table, safe
from shareflow.cli.spec.group import app
from shareflow.cli.spec.inventory import live_inventory
from shareflow.contracts.units import format_size

if TYPE_CHECKING:
    from dsl.problems import Problem
    from dsl.share_request import NamedRequest
    from dsl.simulation import Outcome, Simulation
    from dsl.snapshot import SavedInventory
    from dsl.spec_set import SpecSet
    from shareflow.client import Shares

_STYLES = {"moved": "yellow", "placed": "green", "lost": "red"}


@command(app, "simulate", example="shareflow spec simulate --new specs")
async def simulate(
    cli: Cli,
    *,
    new: Annotated[list[Path], typer.Option(metavar="PATH", help="specs to be tried; may be repeated")],
    old: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="specs as they are; default: the set that counts now")
    ] = None,
    requests: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a list of requests; default: those that were recorded last")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="so many recorded requests are replayed")] = 100,
    inventory: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a saved inventory, see spec inventory; default: the live one")
    ] = None,
) -> int:
    """Replay requests under old and new specs and show what would go elsewhere. Changes nothing.

    Exit code 0 when everything would stay, 6 when something would change, 3 when specs or files are refused.
    """
    from dsl.spec_check import check  # noqa: PLC0415 - `--help` has to be quick

    tried, problems = check(new)
    specs, found_old = check(old) if old else (None, [])
    asked, found_asked = _requests(requests)
    picture, found_picture = _inventory(inventory)
    problems = [*found_asked, *found_picture, *(one for one in (*found_old, *problems) if one.severity == "error")]
    if problems or tried is None:
        return _refused(cli, problems)
    if specs is None or asked is None or picture is None:
        async with cli.shares() as shares:
            specs = specs or await _applied(shares)
            asked = asked if asked is not None else await _recorded(shares, last)
            picture = picture or await live_inventory(shares)
    return show_simulation(cli, asked, picture, specs, tried)


def _requests(path: Path | None) -> tuple[list[NamedRequest] | None, list[Problem]]:
    from dsl.request_list import read_requests  # noqa: PLC0415 - `--help` has to be quick

    return (None, []) if path is None else read_requests(path)


def _inventory(path: Path | None) -> tuple[SavedInventory | None, list[Problem]]:
    from dsl.snapshot import read_inventory  # noqa: PLC0415 - `--help` has to be quick

    return (None, []) if path is None else read_inventory(path)


async def _applied(shares: Shares) -> SpecSet:
    """The set that counts now."""
    from dsl.spec_set import from_records  # noqa: PLC0415 - `--help` has to be quick

    return from_records((await shares.specs()).documents)


async def _recorded(shares: Shares, last: int) -> list[NamedRequest]:
    """What the project's last operations asked placement for, oldest first."""
    from dsl.share_request import NamedRequest  # noqa: PLC0415 - `--help` has to be quick

    found: list[NamedRequest] = []
    async for operation in shares.operations():
        asked = (operation.placement or {}).get("request")
        if asked:
            known = {key: asked[key] for key in NamedRequest.model_fields if asked.get(key)}
            found.append(NamedRequest.model_validate_json(json.dumps(known)))
        if len(found) == last:
            break
    return found[::-1]


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
