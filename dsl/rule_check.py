"""The expressions of a set against the attributes that the set declares, and types that no pool can satisfy by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsl.documents import PlacementSpec, ShareTypeSpec, SpecDocument
from dsl.expressions import BOOL, Schema, Type, compile_scalar
from dsl.problems import Problem
from dsl.rules import Preference, Rule
from dsl.yaml_tree import Path, Scalar, find

UNKNOWN_ATTRIBUTE = ("S310", "no attribute with this name")


def check_rules(documents: Sequence[SpecDocument], schema: Schema, *, complete: bool) -> Iterator[Problem]:
    """The mistakes in the expressions of all documents.

    Args:
        documents: each correct by itself.
        schema: the attributes that the set declares.
        complete: False for a set without backends, of which nobody knows what its pools will be; attributes of pools
            that nobody declares are no mistake then.
    """
    for document in documents:
        if isinstance(document, ShareTypeSpec | PlacementSpec):
            for path, expects in _expressions(document):
                for problem in _check(document, path, schema, expects):
                    if complete or (problem.code, problem.label) != UNKNOWN_ATTRIBUTE:
                        yield problem


def _expressions(document: ShareTypeSpec | PlacementSpec) -> Iterator[tuple[Path, Type | None]]:
    """The paths of the expressions of a document, with the type that each must have; None is any number."""
    rules: Sequence[Rule] = document.rules if isinstance(document, ShareTypeSpec) else document.require
    for index in range(len(rules)):
        yield ("require", index, "rule"), BOOL
    preferences: Sequence[Preference] = document.prefer or ()
    for index, preference in enumerate(preferences):
        key = "when" if preference.when is not None else "score"
        yield ("prefer", index, key), BOOL if key == "when" else None


def _check(
    document: ShareTypeSpec | PlacementSpec, path: Path, schema: Schema, expects: Type | None
) -> Sequence[Problem]:
    marks = document.marks
    scalar = find(marks.node, path) if marks.node is not None else None
    if marks.source is None or not isinstance(scalar, Scalar):
        return ()
    return compile_scalar(scalar, marks.source, schema, expects=expects).problems
