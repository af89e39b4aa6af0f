"""``shareflow spec import``: documents from other systems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.files import write_files
from shareflow.cli.output import print_json, print_line, safe
from shareflow.cli.spec.group import app
from shareflow.errors import InvalidInput

if TYPE_CHECKING:
    from dsl.openstack import Imported, ImportedType, Remark, Translation
    from dsl.problems import Problem, Source

group = typer.Typer(name="import", help="Documents from what other systems offer.", no_args_is_help=True)
app.add_typer(group)


@command(group, "manila", example="shareflow spec import manila types.json --to types.yaml", local=True)
def manila(
    cli: Cli,
    *,
    file: Annotated[Path, typer.Argument(help="share types as OpenStack prints them; - reads standard input")],
    to: Annotated[Path | None, typer.Option("--to", help="write all documents into this file")] = None,
    to_dir: Annotated[Path | None, typer.Option("--to-dir", help="write one file per type into this directory")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace files that exist")] = False,
) -> int:
    """Share types of Manila as documents, each translation beside its source; see docs/from-manila.md.

    Exit code 7 when something that decides which pools fit is not carried over, 3 when there is no share type to read.
    """
    from dsl.openstack import import_types  # noqa: PLC0415 - `--help` has to be quick
    from dsl.problems import Problem  # noqa: PLC0415

    if to is not None and to_dir is not None:
        raise InvalidInput("--to and --to-dir exclude each other", hint="use one of them")
    source = _read(file)
    if isinstance(source, Problem):
        return _unreadable(cli, (source,))
    imported = import_types(source.text, source.name)
    if not imported.types:
        return _unreadable(cli, imported.problems)
    written = _write(imported, to, to_dir, force=force)
    if cli.json:
        print_json(_as_json(imported, written))
    else:
        for line in imported.render().splitlines():
            print_line(safe(line))
        for path in written:
            print_line(safe(f"wrote {path}"))
    return exits.OK if imported.complete else exits.INCOMPLETE


def _read(file: Path) -> Source | Problem:
    from dsl.spec_set import read_file  # noqa: PLC0415
    from dsl.yaml_tree import MAX_BYTES, decode  # noqa: PLC0415

    return decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>") if str(file) == "-" else read_file(file)


def _unreadable(cli: Cli, problems: tuple[Problem, ...]) -> int:
    if cli.json:
        found = [problem.to_json() for problem in problems]
        print_json({"complete": False, "types": [], "problems": found, "written": []})
    else:
        for problem in problems:
            for line in problem.render().splitlines():
                print_line(safe(line), style="red" if line.startswith("error") else "", stderr=True)
    return exits.CONFIGURATION


def _write(imported: Imported, to: Path | None, to_dir: Path | None, *, force: bool) -> list[Path]:
    if to is not None:
        return write_files([(to, imported.text)], force=force)
    if to_dir is None:
        return []
    to_dir.mkdir(parents=True, exist_ok=True)
    return write_files([(to_dir / f"{found.name}.yaml", found.text) for found in imported.types], force=force)


def _as_json(imported: Imported, written: list[Path]) -> dict[str, Any]:
    return {
        "complete": imported.complete,
        "types": [_type(found) for found in imported.types],
        "problems": [problem.to_json() for problem in imported.problems],
        "written": [str(path) for path in written],
    }


def _type(found: ImportedType) -> dict[str, Any]:
    return {
        "source_name": found.source_name,
        "name": found.name,
        "translations": [_translation(translation) for translation in found.translations],
        "remarks": [_remark(remark) for remark in found.remarks],
        "text": found.text,
    }


def _translation(translation: Translation) -> dict[str, Any]:
    return {
        "source": translation.source,
        "target": translation.target,
        "expression": translation.expression,
        "field": translation.field,
        "setting": translation.setting,
        "ignored": translation.ignored,
        "remarks": [_remark(remark) for remark in translation.remarks],
    }


def _remark(remark: Remark) -> dict[str, str]:
    return {"code": remark.code, "severity": remark.severity, "text": remark.text, "hint": remark.hint}
