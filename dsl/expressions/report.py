"""The mistakes of one expression while it is checked, and the words that describe its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from dsl.expressions import syntax
from dsl.expressions.errors import ExpressionError
from dsl.expressions.typed import Element, Read, Typed
from dsl.expressions.types import NAMESPACES, Schema
from dsl.problems import shown

MAX_ERRORS = 50


class Placed(Protocol):
    """Whatever has a place in the text."""

    @property
    def start(self) -> int:
        """Offset of the first character."""

    @property
    def end(self) -> int:
        """Offset behind the last character."""


class Report:
    """Gathers mistakes; belongs to one check of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.errors: list[ExpressionError] = []

    def add(
        self,
        code: str,
        message: str,
        place: Placed,
        *,
        label: str = "",
        hint: str,
        note: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """One more mistake; a message of more than 72 characters is cut."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(
                ExpressionError(code, shown(message, 72), place.start, place.end, label, hint, note, severity)
            )

    def source(self, place: Placed, limit: int = 40) -> str:
        """The text of a part in one line, bounded."""
        return shown(" ".join(self.text[place.start : place.end].split()), limit)

    def about(self, node: Typed) -> str:
        """What a part is, and where it is declared when it is a name."""
        node = node.container if isinstance(node, Element) else node
        if isinstance(node, Read):
            where = f", declared in {shown(node.declared_at, 80)}" if node.declared_at else ""
            return f"`{path(node)}` is {node.type.stated}{where}"
        return f"`{self.source(node)}` is {node.type}"


def path(node: Read) -> str:
    """``pool.free``."""
    return f"{NAMESPACES[node.index]}.{node.name}"


class Checks(Protocol):
    """The check of one expression, as the checks of its parts see it."""

    @property
    def schema(self) -> Schema:
        """The names that may be used."""

    @property
    def report(self) -> Report:
        """Takes the mistakes."""

    def check(self, node: syntax.Node) -> Typed | None:
        """The typed form of a part, or None after its mistakes were reported."""

    def all(self, nodes: Sequence[syntax.Node]) -> list[Typed] | None:
        """The typed form of several parts; every one is checked, also after one has failed."""

    def spelled(self, sign: syntax.Sign, right: str) -> None:
        """Reports a word or sign that the language has in another spelling."""
