"""Why an expression is refused: code, place in its text, reason, one help line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ExpressionError:
    """One mistake.

    Attributes:
        code: stable code, in :data:`dsl.catalogue.CATALOGUE`.
        message: one line of at most 72 characters.
        start, end: offsets into the text of the expression, the end behind the last character.
        label: a few words at the place.
        hint: the next step, with the corrected text where one can be guessed.
        note: a second fact, mostly how and where something is declared; may be empty.
        severity: a ``warning`` does not refuse the expression.
    """

    code: str
    message: str
    start: int
    end: int
    label: str = ""
    hint: str = ""
    note: str = ""
    severity: Literal["error", "warning"] = "error"


class ExpressionErrors(Exception):
    """An expression is refused.

    Attributes:
        errors: every mistake that was found, in order of place; none where the schema was unsure of a name.
    """

    def __init__(self, errors: Iterable[ExpressionError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda e: (e.start, e.end, e.code)))
        lines = (f"{e.code} at {e.start}: {e.message}; {e.hint}" for e in self.errors)
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ExpressionErrors], tuple[tuple[ExpressionError, ...]]]:
        return (ExpressionErrors, (self.errors,))
