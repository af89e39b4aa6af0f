"""What every kind of document is: a strict, frozen model that knows where its values stand and has a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from dsl.problems import Problem, Source
from dsl.yaml_tree import Node, Path, find, find_key


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a document stands. Two are always equal: a place is no part of what a document says."""

    source: Source | None = field(default=None, compare=False, repr=False)
    node: Node | None = field(default=None, compare=False, repr=False)
    recorded: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def at(self, *path: str | int) -> str:
        """``file:line:column`` of the value at a path, or of the nearest above it; empty when it is not known."""
        if self.source is not None and self.node is not None:
            return self.source.at(find(self.node, path).span)
        steps = [str(step) for step in path]
        above = (".".join(steps[:length]) for length in range(len(steps), -1, -1))
        return next((self.recorded[name] for name in above if name in self.recorded), "")


class SpecModel(BaseModel):
    """Base of everything in a document: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Document(SpecModel):
    """Base of the kinds."""

    kind: ClassVar[str]
    _marks: Marks = PrivateAttr(default_factory=Marks)
    _lost: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def key(self) -> str:
        """What is unique among the documents of a kind."""
        raise NotImplementedError

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change when, and only when, the content changes.

        Order, comments and place are no content. Values that equal their default are left out, so that a new key in
        the language changes no version.
        """
        return digest_of(self.canonical())[:12]

    def canonical(self) -> dict[str, object]:
        """The content as JSON values, without what equals its default."""
        content: dict[str, object] = self.model_dump(mode="json", exclude_defaults=True)
        return {"kind": self.kind, **content}

    def record(self) -> dict[str, object]:
        """The content with the places of its values, as JSON values; :meth:`from_record` reads it again."""
        content = self.canonical()
        places = {"": self.at()}
        for key, value in content.items():
            places[key] = self.at(key)
            steps = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list | tuple) else ()
            places.update({f"{key}.{step}": self.at(key, step) for step in steps})
        return {**content, "places": {name: place for name, place in places.items() if place}}

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """The document of :meth:`record`, or of :meth:`canonical`, then without places.

        Raises:
            pydantic.ValidationError: the record is not one of this kind.
        """
        content = {key: value for key, value in record.items() if key not in ("kind", "places")}
        places = record.get("places")
        document = cls.model_validate_json(json.dumps(content))
        return document.placed(Marks(recorded=dict(places) if isinstance(places, Mapping) else {}))

    @property
    def marks(self) -> Marks:
        """Where the document stands."""
        return self._marks

    def at(self, *path: str | int) -> str:
        """``file:line:column`` of a value of this document; empty when it is not known."""
        return self._marks.at(*path)

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str,
        note: str = "",
        severity: Literal["error", "warning"] = "error",
        at_key: bool = False,
    ) -> Problem:
        """A problem at a value of this document, or at the key before it."""
        marks = self._marks
        if marks.source is None or marks.node is None:
            return Problem(code, message, hint=hint, note=note, severity=severity)
        span = find_key(marks.node, path) if at_key else find(marks.node, path).span
        return marks.source.problem(code, message, span, hint=hint, note=note, severity=severity)

    @property
    def lost(self) -> frozenset[str]:
        """The keys that do not say here all that the file says, because a part of it was refused."""
        return self._lost

    def placed(self, marks: Marks, lost: frozenset[str] = frozenset()) -> Self:
        """The same document, knowing where it stands and what is lost. Called once, by the reader of the file."""
        self._marks = marks
        self._lost = lost
        return self


def digest_of(content: object) -> str:
    """SHA-256 of a JSON value, as hex digits, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
