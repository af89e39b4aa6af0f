"""One document from its tree: the model of its kind, or every problem it has, each with its place.

So are read the documents of a set of specs, and with :func:`read_kind` and :func:`read_model` whatever else is written
in the same way. A document of a set with mistakes is kept without them, so that the rest of it can be judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dsl.document import Document, Marks
from dsl.documents import API_VERSION, KINDS, SpecDocument
from dsl.header import read_header
from dsl.problems import Problem, Source, suggest
from dsl.refusals import TRUTH_WORDS, About, kind_of, path_of, translate
from dsl.salvage import Doubts, Edit, doubts_of, edited, existing, refused_paths, stand_in
from dsl.secret_options import secret_problems
from dsl.yaml_tree import Entries, Items, Node, Path, Scalar, find, to_plain

D = TypeVar("D", bound=Document)
M = TypeVar("M", bound=BaseModel)

_TURNS = 12
_REFUSED = object()
"""Stands for a value with a problem of its own; no model takes it."""


class Reading(NamedTuple):
    """One document of a set, as far as it can be read.

    Attributes:
        document: what is left of it without what was refused; None when that is nothing.
        problems: in no order; of a document that is whole, warnings only.
        doubts: what it may hold beside what is left.
    """

    document: SpecDocument | None
    problems: tuple[Problem, ...]
    doubts: Doubts


def read_document(node: Node, source: Source) -> SpecDocument | list[Problem]:
    """The document of a set that a tree holds, or its problems (never an empty list)."""
    return read_kind(node, source, KINDS)


def read_kind(node: Node, source: Source, kinds: Mapping[str, type[D]]) -> D | list[Problem]:
    """The document of one of some kinds that a tree holds, or its problems (never an empty list)."""
    document, problems, _ = _read_kind(node, source, kinds)
    return problems if problems or document is None else document


def read_part(node: Node, source: Source) -> Reading:
    """What a tree holds of a document of a set, with everything that can be said against it."""
    document, problems, doubts = _read_kind(node, source, KINDS)
    left = document.marks.node if document is not None else None
    warnings = truth_word_warnings(left, source) if isinstance(left, Entries) else ()
    return Reading(document, (*problems, *warnings), doubts)


def _read_kind(node: Node, source: Source, kinds: Mapping[str, type[D]]) -> tuple[D | None, list[Problem], Doubts]:
    if not isinstance(node, Entries):
        hint = f"begin it with `apiVersion: {API_VERSION}` and `kind: ...`"
        message = f"a document is a mapping, not {kind_of(node)}"
        said = isinstance(node, Scalar) and node.refused
        problems = [] if said else [source.problem("S109", message, node.span, hint=hint)]
        return None, problems, Doubts(kinds=frozenset(kinds))
    header = read_header(node, source, tuple(kinds))
    if header.kind is None or not header.readable:
        return None, list(header.problems), Doubts(kinds=header.kinds)
    reader = _Reader(kinds[header.kind], header.kind, source, header.keys)
    document = reader.read(node)
    problems = [*header.problems, *reader.problems]
    if header.kind == "Backend":
        problems += secret_problems(reader.corrected, source)
    if document is None:
        return None, problems, Doubts(kinds=header.kinds)
    lost = frozenset(str(path[0]) if path else "" for path in (*reader.lost, *reader.refused))
    document.placed(Marks(source, reader.left), lost)
    return document, problems, doubts_of(header.kind, reader.lost, damaged=bool(reader.refused))


def read_model(
    node: Entries, source: Source, model: type[M], noun: str, *, header: tuple[str, ...] = ()
) -> M | list[Problem]:
    """The model that a mapping holds, or its problems (never an empty list).

    Args:
        node: the mapping.
        source: where it stands.
        model: what it is read as.
        noun: what messages call it, as in "a ShareType".
        header: keys that are no part of the model.
    """
    reader = _Reader(model, noun, source, frozenset(header))
    found = reader.read(node)
    return reader.problems if reader.problems or found is None else found


class _Reader(Generic[M]):
    """Reads one mapping as a model, and gathers what is wrong with it.

    Attributes:
        problems: the author's mistakes.
        refused: the paths of what problems of YAML stand at.
        corrected: the tree with the keys that were meant, without unknown ones.
        left: that tree without what was refused, with stand-ins for what has to be there.
        lost: what was taken out, by path; None where a stand-in was put in.
    """

    def __init__(self, model: type[M], noun: str, source: Source, header: frozenset[str]) -> None:
        self._about = About(model, noun)
        self._model = model
        self._source = source
        self._header = header
        self.problems: list[Problem] = []
        self.refused: frozenset[Path] = frozenset()
        self.lost: dict[Path, Node | None] = {}

    def read(self, node: Entries) -> M | None:
        """The model of what is left of a mapping, None when that is nothing."""
        self.corrected = self.left = node
        self.refused = frozenset(refused_paths(node))
        found = self._validated()
        for _ in range(_TURNS):
            unknown = _unknown_keys(found) if isinstance(found, list) else []
            if not unknown:
                break
            self._correct(unknown)
            found = self._validated()
        if isinstance(found, list):
            self.problems += [self._said(detail) for detail in self._own(found)]
        for _ in range(_TURNS):
            if not isinstance(found, list) or not self._take_out(found):
                break
            found = self._validated()
        return found if not isinstance(found, list) else None

    def _validated(self) -> M | list[ErrorDetails]:
        entries = self.left.by_key.items()
        try:
            return self._model.model_validate({k: _value(v, k) for k, (_, v) in entries if k not in self._header})
        except ValidationError as error:
            return error.errors(include_url=False, include_input=False)

    def _said(self, detail: ErrorDetails) -> Problem:
        return translate(detail, self.corrected, self._about, self._source)

    def _correct(self, unknown: Sequence[ErrorDetails]) -> None:
        """Reports keys that are unknown, and reads them as those that were meant, where one can be guessed."""
        edits: dict[Path, Edit] = {}
        taken: set[Path] = set()
        for detail in unknown:
            path = path_of(detail)
            self.problems.append(self._said(detail))
            meant = suggest(str(path[-1]), self._about.keys(path[:-1])) or ""
            there = (*path[:-1], meant)
            if meant and there not in taken and existing(self.corrected, there) != there:
                edits[path] = meant
                taken.add(there)
            else:
                edits[path] = None
                self.lost[path] = find(self.corrected, path)
        self.corrected = self.left = _changed(self.corrected, edits)

    def _own(self, details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
        """The author's mistakes, without what only follows from another one.

        A list whose item was refused is also too short, and a key that was refused is also missing.
        """
        paths = [path_of(detail) for detail in details]
        above = {path[:length] for path in paths for length in range(len(path))}
        above |= {path[:length] for path in self.refused for length in range(len(path) + 1)}
        values = {path for path in self.refused if isinstance(find(self.corrected, path), Scalar)}
        return [
            detail
            for detail, path in zip(details, paths, strict=True)
            if path not in above
            and values.isdisjoint(path[:length] for length in range(len(path)))
            and not (detail["type"] == "missing" and path[:-1] in self.refused)
        ]

    def _take_out(self, details: Sequence[ErrorDetails]) -> bool:
        """Takes out what is refused; False when that is everything."""
        edits: dict[Path, Edit] = {}
        for detail in details:
            path = path_of(detail)
            if detail["type"] == "missing":
                made = stand_in(path)
                if made is not None:
                    edits[path], self.lost[path] = made, None
                    continue
                path = path[:-1]
            path = existing(self.left, path)
            if not path:
                return False
            edits[path], self.lost[path] = None, find(self.left, path)
        self.left = _changed(self.left, edits)
        return True


def _changed(tree: Entries, edits: Mapping[Path, Edit]) -> Entries:
    made = edited(tree, edits)
    return made if isinstance(made, Entries) else tree


def _unknown_keys(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    return [detail for detail in details if detail["type"] == "extra_forbidden"]


def _value(node: Node, key: str = "") -> object:
    """The tree as values for a model: fractions stay exact, except inside options, which are a driver's own."""
    if key == "options":
        return to_plain(node)
    if isinstance(node, Entries):
        return {name: _value(value, name) for name, (_, value) in node.by_key.items()}
    if isinstance(node, Items):
        return [_value(item) for item in node.items]
    return _REFUSED if node.refused else node.value


def truth_word_warnings(node: Entries, source: Source) -> Iterator[Problem]:
    """A warning for each plain ``yes``, ``no``, ``on`` or ``off`` where an attribute has its value."""
    for path in _attribute_paths(node):
        below = find(node, path)
        for _, value in below.entries if isinstance(below, Entries) else ():
            for scalar in value.items if isinstance(value, Items) else (value,):
                if isinstance(scalar, Scalar) and scalar.plain and scalar.text.lower() in TRUTH_WORDS:
                    word = TRUTH_WORDS[scalar.text.lower()]
                    message = f"`{scalar.text}` is text, not {word}"
                    hint = f'write {word}, or "{scalar.text}" to keep it as text'
                    yield source.problem("S205", message, scalar.span, hint=hint, severity="warning")


def _attribute_paths(node: Entries) -> Iterator[Path]:
    yield ("require",)
    pools = node.get("pools")
    for index in range(len(pools.items) if isinstance(pools, Items) else 0):
        yield ("pools", index, "attributes")
