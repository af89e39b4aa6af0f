"""``shareflow spec fmt``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.files import replace_file
from shareflow.cli.output import print_json, print_line, safe
from shareflow.cli.spec.group import app

if TYPE_CHECKING:
    from dsl.problems import Problem

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class _Formatted:
    """A file, its text and the form that it should have."""

    path: Path
    name: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> Iterator[str]:
        """The difference, line by line."""
        before, after = self.before.split("\n"), self.after.split("\n")
        return difflib.unified_diff(before, after, self.name, f"{self.name} (formatted)", lineterm="")


@command(app, "fmt", example="shareflow spec fmt specs/", local=True)
def fmt(
    cli: Cli,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="files, and directories with all below them")],
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit code 6 when a file is not in form")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="as --check, and print what would change")] = False,
) -> int:
    """Put spec files into one form, with every comment; only the form changes, never the meaning.

    Exit code 3 when a file is refused; it is left alone, the others are formatted.
    """
    problems: list[Problem] = []
    files = list(_format(paths, problems))
    changed = [file for file in files if file.changed]
    kept = check or diff
    if not kept:
        for file in changed:
            replace_file(file.path, file.after)
    if cli.json:
        _print_json(files, problems, written=not kept, diff=diff)
    else:
        _print(files, problems, written=not kept, diff=diff)
    if problems:
        return exits.CONFIGURATION
    return exits.CHANGED if changed and kept else exits.OK


def _format(paths: list[Path], problems: list[Problem]) -> Iterator[_Formatted]:
    from dsl.formatting import format_text  # noqa: PLC0415 - `--help` has to be quick
    from dsl.problems import SpecProblems  # noqa: PLC0415
    from dsl.spec_set import read_files  # noqa: PLC0415

    for path, source in read_files(paths, problems, tests=True):
        try:
            after = format_text(source.text, source.name)
        except SpecProblems as refused:
            problems += refused.problems
            continue
        # Not the text of the source: a byte order mark is a difference as well.
        before = path.read_bytes().decode("utf-8", "replace")
        yield _Formatted(path, source.name, before, after)


def _print_json(files: list[_Formatted], problems: list[Problem], *, written: bool, diff: bool) -> None:
    print_json(
        {
            "ok": not problems,
            "written": written,
            "files": [
                {"file": file.name, "changed": file.changed, **({"diff": "\n".join(file.diff())} if diff else {})}
                for file in files
            ],
            "problems": [problem.to_json() for problem in problems],
        }
    )


def _print(files: list[_Formatted], problems: list[Problem], *, written: bool, diff: bool) -> None:
    changed = [file for file in files if file.changed]
    for file in changed:
        if diff:
            for line in file.diff():
                print_line(safe(line), style=_STYLES.get(line[:1], ""))
        else:
            print_line(safe(f"{'formatted' if written else 'not in form'}: {file.name}"))
    for problem in problems:
        for line in problem.render().splitlines():
            print_line(safe(line), style="red" if line.startswith("error") else "", stderr=True)
        print_line(stderr=True)
    if not diff:
        done = "formatted" if written else "not in form"
        refused = len({problem.file for problem in problems})
        print_line(f"{len(changed)} {done}, {len(files) - len(changed)} in form, {refused} refused")
