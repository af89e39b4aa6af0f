"""Printing lists of any length: the first rows, and a word when there are more."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from shareflow.cli.common import Cli
from shareflow.cli.output import print_json, print_line, print_table

Row = TypeVar("Row")
Limit = Annotated[int, typer.Option("--limit", min=0, help="rows to show; 0 shows all")]


async def show_list(
    cli: Cli,
    rows: AsyncIterator[Row],
    limit: int,
    columns: Sequence[str],
    cells: Callable[[Row], Sequence[Any]],
    *,
    empty: str,
) -> None:
    """Print up to ``limit`` rows (0: all) as a table or a JSON array; standard error says when there are more."""
    found: list[Row] = []
    more = False
    async for row in rows:
        if limit and len(found) == limit:
            more = True
            break
        found.append(row)
    with contextlib.suppress(AttributeError):
        await rows.aclose()  # type: ignore[attr-defined]  # an iterator that is left early is closed here
    if cli.json:
        print_json(found)
    else:
        print_table(columns, map(cells, found), empty=empty)
    if more:
        print_line(f"only the first {limit} are shown; --limit 0 shows all", style="dim", stderr=True)
