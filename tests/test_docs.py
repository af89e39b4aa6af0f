"""The documentation says all that it promises. ``SHAREFLOW_UPDATE_SNAPSHOTS=1`` writes the generated part anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import errors as driver_errors
from dsl.catalogue import CATALOGUE
from shareflow import names
from shareflow.cli import exits
from shareflow.contracts import evacuation, failover, migration, operations, replication
from shareflow.errors import ERRORS_BY_CODE

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- begin: written by tests/test_docs.py -->\n", "<!-- end -->\n"
GROUPS = {
    "S0": ("Files and YAML", ""),
    "S1": ("One document", ""),
    "S2": ("The set as a whole", ""),
    "S3": ("Expressions", ""),
    "S4": (
        "Coming from Manila",
        (
            "What `shareflow spec import manila` says: below `S410` something is lost, above it is a warning.\n"
            "[Coming from Manila](from-manila.md) explains them.\n\n"
        ),
    ),
    "S5": ("Commands", ""),
}


def _code_tables() -> Iterator[str]:
    """Every code of the catalogue with its cause and fix, a table for each group."""
    for group, (title, introduction) in GROUPS.items():
        rows = [(code, *entry) for code, entry in sorted(CATALOGUE.items()) if code.startswith(group)]
        if rows:
            yield f"\n### {title}\n\n{introduction}| code | title | cause | what to do |\n|---|---|---|---|\n"
            yield from (
                f"| `{code}` | {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |\n"
                for code, *row in rows
            )
    yield "\n"


def test_codes_of_specs_are_documented_with_cause_and_fix() -> None:
    """The page says what the catalogue says; no code is in a group without a title."""
    page = DOCS / "errors.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    expected = "".join([before, BEGIN, *_code_tables(), END, after])
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected
    assert {code[:2] for code in CATALOGUE} <= set(GROUPS)


def test_exit_codes_are_documented() -> None:
    """The page about the command line has the table of the code."""
    text = (DOCS / "client.md").read_text(encoding="utf-8")
    assert [code for code, meaning in exits.MEANINGS.items() if f"| {code} | {meaning} |" not in text] == []


@pytest.mark.parametrize("code", sorted(ERRORS_BY_CODE) + sorted(CATALOGUE))
def test_every_error_code_is_documented(code: str) -> None:
    """A code that a person reads can be looked up."""
    assert f"`{code}`" in (DOCS / "errors.md").read_text()


def test_every_driver_error_is_documented() -> None:
    """The four answers and their kinds are in the table."""
    text = (DOCS / "errors.md").read_text()
    classes = [cls for cls in vars(driver_errors).values() if isinstance(cls, type) and hasattr(cls, "code")]
    assert len(classes) > 8
    assert [cls.__name__ for cls in classes if cls.code != "D000" and f"`{cls.code}`" not in text] == []


def test_every_operation_command_and_read_is_documented() -> None:
    """What can be asked for on the wire is in the page about operations, with every field of its input."""
    text = (DOCS / "operations.md").read_text()
    wire = [*names.OPERATION_TYPES, *names.COMMANDS, *names.READS]
    assert [name for name in wire if f"`{name}`" not in text] == []
    shared = set(operations.Request.model_fields)
    for kind in names.OPERATION_TYPES:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{kind}`"))
        home = next(
            one for one in (migration, evacuation, failover, replication, operations) if hasattr(one, f"{kind}Input")
        )
        fields = set(getattr(home, f"{kind}Input").model_fields) - shared
        assert [field for field in fields if field not in line] == []


def test_every_page_is_linked_from_the_index() -> None:
    """A page that nobody can find is no page."""
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []
