"""``shareflow spec test``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_json, print_line, safe
from shareflow.cli.spec.group import app
from shareflow.errors import InvalidInput

if TYPE_CHECKING:
    from dsl.problems import Problem
    from dsl.spec_tests import Coverage, Result


@command(app, "test", example="shareflow spec test specs/ --coverage", local=True)
def check_by_tests(
    cli: Cli,
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="files and directories: one set, and its *.test.yaml")
    ],
    show_coverage: Annotated[
        bool, typer.Option("--coverage", help="list the rules that were never true or never false")
    ] = False,
    min_coverage: Annotated[
        float | None, typer.Option(help="percent; fail below it", min=0, max=100, show_default=False)
    ] = None,
    only: Annotated[str | None, typer.Option("-k", metavar="NAME", help="only tests with this in their name")] = None,
) -> int:
    """Run the tests beside the specs, without any server.

    Exit code 1 when a test fails or the coverage is too low, 3 when the set or a test is refused.
    """
    from dsl.spec_tests import coverage, read_tests, run_tests  # noqa: PLC0415 - `--help` has to be quick

    suite = read_tests(paths)
    if suite.specs is None or not suite.usable:
        return _refused(cli, [problem for problem in suite.problems if problem.severity == "error"])
    chosen = [one for one in suite.tests if only is None or only.casefold() in one.name.casefold()]
    if not chosen:
        names = ", ".join(one.name for one in suite.tests[:5])
        raise InvalidInput(f"no test has `{only}` in its name", field="-k", hint=f"some are: {names}")
    results = run_tests(chosen, suite.specs)
    covered = coverage(results, suite.specs) if show_coverage or min_coverage is not None else None
    low = covered is not None and min_coverage is not None and covered.percent < min_coverage
    good = all(result.ok for result in results) and not low
    if cli.json:
        print_json(_as_json(results, covered, suite.problems, ok=good))
    else:
        _print(results, covered, min_coverage if low else None)
    return exits.OK if good else exits.FAILED


def _refused(cli: Cli, problems: list[Problem]) -> int:
    if cli.json:
        found = [problem.to_json() for problem in problems]
        print_json({"ok": False, "tests": [], "coverage": None, "problems": found})
        return exits.CONFIGURATION
    for problem in problems:
        for line in problem.render().splitlines():
            print_line(safe(line), style="red" if line.startswith("error") else "")
        print_line()
    count = f"{len(problems)} error{'' if len(problems) == 1 else 's'}"
    print_line(f"the specs or their tests are refused: {count}; no test ran")
    return exits.CONFIGURATION


def _print(results: list[Result], covered: Coverage | None, wanted: float | None) -> None:
    for result in results:
        word, style = ("ok    ", "") if result.ok else ("FAILED", "red")
        print_line(safe(f"{word}  {result.place}  {result.test.name}"), style=style)
        for line in result.render().splitlines():
            print_line(safe(f"    {line}".rstrip()))
        if not result.ok:
            print_line()
    failed = sum(not result.ok for result in results)
    count = f"{len(results)} test{'' if len(results) == 1 else 's'}"
    print_line(f"{count}: {len(results) - failed} passed, {failed} failed", style="red" if failed else "green")
    if covered is not None:
        for line in covered.render().splitlines():
            print_line(safe(line))
    if covered is not None and wanted is not None:
        print_line(f"coverage is {covered.percent:.1f} %, less than the {wanted:g} % asked for", style="red")


def _as_json(
    results: list[Result], covered: Coverage | None, problems: tuple[Problem, ...], *, ok: bool
) -> dict[str, Any]:
    return {
        "ok": ok,
        "tests": [result.to_json() for result in results],
        "coverage": covered.to_json() if covered is not None else None,
        "problems": [problem.to_json() for problem in problems],
    }
