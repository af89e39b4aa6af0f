"""``shareflow spec help``: what a code means and what to do about it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_fields, print_json, print_table
from shareflow.cli.spec.group import app
from shareflow.errors import ERRORS_BY_CODE, InvalidInput

if TYPE_CHECKING:
    from dsl.catalogue import Entry


@command(app, "help", example="shareflow spec help S101", local=True)
def help_(
    cli: Cli, code: Annotated[str | None, typer.Argument(help="like S101 or SF200; without it all are listed")] = None
) -> int:
    """What a code means, why it comes up, and what to do. Exit code 2 when there is no such code."""
    entries = _entries()
    if code is None:
        _list(cli, entries)
        return exits.OK
    wanted = code.strip().upper()
    if wanted not in entries:
        raise InvalidInput(f"there is no code `{code[:40]}`", hint=_advice(wanted, entries), field="CODE")
    entry = entries[wanted]
    if cli.json:
        print_json(_fields(wanted, entry))
    else:
        print_fields(_fields(wanted, entry))
    return exits.OK


def _entries() -> dict[str, Entry]:
    """Every code of spec files, then every code of errors."""
    from dsl.catalogue import CATALOGUE, Entry  # noqa: PLC0415 - `--help` has to be quick

    entries = dict(CATALOGUE)
    for code, error in sorted(ERRORS_BY_CODE.items()):
        cause = (inspect.getdoc(error) or "").partition("\n")[0]
        entries[code] = Entry(error.__name__, cause, "Follow the help line that comes with the error.")
    return entries


def _list(cli: Cli, entries: dict[str, Entry]) -> None:
    if cli.json:
        print_json([_fields(code, entry) for code, entry in entries.items()])
    else:
        print_table(("CODE", "TITLE"), [(code, entry.title) for code, entry in entries.items()], empty="no codes")


def _fields(code: str, entry: Entry) -> dict[str, str]:
    return {"code": code, **entry._asdict()}


def _advice(wanted: str, entries: dict[str, Entry]) -> str:
    from rapidfuzz.distance import OSA  # noqa: PLC0415

    def distance(code: str) -> tuple[int, bool, int]:
        numbers = [int("".join(ch for ch in text if ch.isdecimal())[:6] or "0") for text in (wanted, code)]
        other_kind = wanted.rstrip("0123456789") != code.rstrip("0123456789")
        return OSA.distance(wanted[:20], code), other_kind, abs(numbers[0] - numbers[1])

    nearest = min(entries, key=distance)
    if distance(nearest)[0] > 2:
        return "see `shareflow spec help` for all codes"
    return f"did you mean `{nearest}`? see `shareflow spec help` for all codes"
