"""Printing: tables and lines for people, JSON for programs. Nothing from outside reaches the terminal as it came."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shareflow.contracts.units import format_size

_WIDE = 100_000


@functools.cache
def console(*, stderr: bool = False) -> Console:
    """The console of standard output or error. Without a terminal lines are never wrapped and have no colours."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(
        stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=not stream.isatty()
    )


def safe(value: object) -> str:
    """Text from outside as one printable line: no control characters, escape sequences or direction marks."""
    return "".join(
        ch if ch.isprintable() else " " if ch in "\t\n" else "\N{REPLACEMENT CHARACTER}" for ch in str(value)
    )


def text(value: object, style: str = "") -> Text:
    """Safe text for a table or a line; its brackets are no markup."""
    return Text(safe(value), style=style)


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second; a dash where there is none."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def size(amount: int | None, none: str = "-") -> str:
    """Bytes with a unit."""
    return none if amount is None else format_size(amount)


def plain(value: Any) -> Any:
    """Models, and what holds them, as JSON data."""
    if hasattr(value, "model_dump"):  # a pydantic model; importing pydantic for the test would slow `--help`
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def print_json(value: Any, *, indent: int | None = 2, stderr: bool = False) -> None:
    """One JSON document; non-ASCII characters are escaped, so that it is safe on any terminal."""
    stream = sys.stderr if stderr else sys.stdout
    stream.write(json.dumps(plain(value), indent=indent) + "\n")
    stream.flush()


def print_line(value: object = "", *, style: str = "", stderr: bool = False) -> None:
    """One line."""
    console(stderr=stderr).print(text(value, style))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table, or one line when there are no rows. A column whose title begins with ``>`` is set to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    terminal = console().is_terminal
    for column in columns:
        table.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=not terminal or column == "ID",  # an id is there to be copied
            overflow="fold",
        )
    filled = [[cell if isinstance(cell, Text) else text(cell) for cell in row] for row in rows]
    if not filled:
        print_line(empty, style="dim")
        return
    for row in filled:
        table.add_row(*row)
    _print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one pair a line; pairs without a value are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold", no_wrap=not console().is_terminal)
    for name, value in fields.items():
        if value not in ("", None):
            table.add_row(Text(name), value if isinstance(value, Text) else text(value))
    _print(table)


def _print(table: Table) -> None:
    out = console()
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    # Cells are filled up to the width of their column; programs that read lines want none of that at the end.
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


STATUS_STYLES = {
    "available": "green",
    "succeeded": "green",
    "running": "cyan",
    "waiting": "yellow",
    "recycle-bin": "yellow",
    "failed-clean": "red",
    "needs-operator": "bold red",
    "undoing": "yellow",
    "active": "green",
    "in_sync": "green",
    "seeding": "cyan",
    "out_of_sync": "yellow",
    "error": "bold red",
}


def status(value: object) -> Text:
    """A state in its colour."""
    return text(value, STATUS_STYLES.get(str(value), ""))


def counted(number: int, noun: str) -> str:
    """A number of things, as in `1 error` and `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
