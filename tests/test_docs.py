"""The documentation says all that it promises to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers import errors as driver_errors
from dsl.catalogue import CATALOGUE
from shareflow import names
from shareflow.contracts import operations
from shareflow.errors import ERRORS_BY_CODE

DOCS = Path(__file__).parent.parent / "docs"


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
        fields = set(getattr(operations, f"{kind}Input").model_fields) - shared
        assert [field for field in fields if field not in line] == []


def test_every_page_is_linked_from_the_index() -> None:
    """A page that nobody can find is no page."""
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []
