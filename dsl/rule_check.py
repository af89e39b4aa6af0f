"""The expressions of a set against the attributes that the set declares, and types that no pool can satisfy by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsl.attributes import runtime_values
from dsl.decision import literal
from dsl.documents import BackendSpec, PlacementSpec, PoolSpec, ShareTypeSpec, SpecDocument
from dsl.expressions import (
    BOOL,
    Env,
    Expression,
    ExpressionErrors,
    Schema,
    Type,
    compile_expression,
    compile_scalar,
)
from dsl.fields import AttributeScalar, AttributeValue
from dsl.problems import Problem, shown
from dsl.rules import Preference, Rule
from dsl.yaml_tree import Path, Scalar, find


def check_rules(documents: Sequence[SpecDocument], schema: Schema) -> Iterator[Problem]:
    """The mistakes in the expressions of all documents, by the attributes that the set declares."""
    for document in documents:
        if isinstance(document, ShareTypeSpec | PlacementSpec):
            for path, expects in _expressions(document):
                yield from _check(document, path, schema, expects)


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


class StaticRules:
    """What types make of pools by what the specs alone say of them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def obstacle(self, share_type: ShareTypeSpec, backend: BackendSpec, pool: PoolSpec) -> str | None:
        """Why a pool can never satisfy a type: its zone, a value, an enforced rule; None when nothing is certain.

        What only the driver or the request knows is absent here, so a rule that depends on it is unknown and no
        obstacle.
        """
        misfit = _misfit(share_type, pool)
        if misfit is not None:
            return misfit
        said = {"name": pool.name, "backend": backend.name, "zone": pool.zone, "driver": backend.driver}
        values = runtime_values({**pool.attributes, **said, "thin": pool.thin}, self._schema)
        spec = {"name": share_type.name, "protocol": share_type.protocol}
        for rule in share_type.rules:
            expression = self._compiled(rule.rule) if rule.enforce == "enforce" else None
            if expression is not None and expression.evaluate(Env(values, {}, {}, spec)) is False:
                return f"it fails `{shown(' '.join(rule.rule.split()), 60)}`"
        return None

    def _compiled(self, text: str) -> Expression | None:
        try:
            return compile_expression(text, self._schema)
        except ExpressionErrors:
            return None  # its mistakes are reported where it stands


def _misfit(share_type: ShareTypeSpec, pool: PoolSpec) -> str | None:
    if share_type.zones is not None and pool.zone not in share_type.zones:
        return f"its zone is {pool.zone}" if pool.zone else "it is in no zone"
    for name, accepted in share_type.required_attributes.items():
        has = pool.attributes.get(name)
        if has is not None and not _accepts(accepted, has):
            return f"its {name} is {literal(has)}"
    return None


def _accepts(accepted: Sequence[AttributeScalar], has: AttributeValue) -> bool:
    """Whether a declared value, or one value of a declared list, is among the accepted ones. True is not 1."""
    values = has if isinstance(has, tuple) else (has,)
    return any(type(value) is type(want) and value == want for value in values for want in accepted)
