"""From the tree as written to the typed tree: names, units, types, and every mistake in them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dsl.expressions import calculating, comparing, naming, syntax
from dsl.expressions.operands import example
from dsl.expressions.report import Report
from dsl.expressions.typed import Constant, Logic, Negation, Read, Relation, Typed
from dsl.expressions.types import BOOL, TEXT, Kind, Schema, Type
from dsl.expressions.units import Refused, quantity
from dsl.problems import shown


class Checker:
    """Checks one expression; gathers its mistakes in ``report`` and the names that it reads in ``reads``."""

    def __init__(self, text: str, schema: Schema) -> None:
        self.schema = schema
        self.report = Report(text)
        self.reads: set[Read] = set()

    def check(self, node: syntax.Node) -> Typed | None:
        """The typed form of a part, or None after its mistakes were reported."""
        return _CHECKS[type(node)](self, node)

    def all(self, nodes: Sequence[syntax.Node]) -> list[Typed] | None:
        """The typed form of several parts; every one is checked, also after one has failed."""
        found = [self.check(node) for node in nodes]
        typed = [node for node in found if node is not None]
        return typed if len(typed) == len(found) else None

    def spelled(self, sign: syntax.Sign, right: str) -> None:
        """Reports a word or sign that the language has in another spelling."""
        if sign.text == right:
            return
        message = f"`{shown(sign.text, 24)}` is not used here"
        label = "written in small letters" if sign.text.lower() == right else "not a sign of the language"
        self.report.add("S307", message, sign, label=label, hint=f"write `{right}`{_PURPOSES.get(right, '')}")

    def refuse_result(self, node: Typed, expects: Type | None) -> None:
        """Reports a result of another type than expected; None expects any number."""
        kind = node.type
        if expects is None:
            if kind.kind is not Kind.NUMBER:
                hint = "write an amount, like `pool.free / pool.total`"
                self.report.add("S309", f"this must be a number, not {kind}", node, label=str(kind), hint=hint)
            return
        if kind.kind is expects.kind and kind.dimension == expects.dimension and kind.of == expects.of:
            return
        written = self.report.source(node)
        wanted = "this rule must be true or false" if expects == BOOL else f"this must be {expects}"
        hint = f"write {expects}"
        if expects == BOOL and kind.kind is Kind.NUMBER:
            hint = f"compare it, like `{written} >= {example(kind)}`"
        elif expects == BOOL and kind.of is None:
            hint = f"compare it, like `{written} == ...`"
        elif expects == BOOL:
            hint = f"write `VALUE in {written}`"
        self.report.add("S309", f"{wanted}, not {kind}", node, label=str(kind), hint=hint)


_PURPOSES = {"==": " to compare", "!=": " to compare"}


def _quantity(checks: Checker, node: syntax.Quantity) -> Typed | None:
    try:
        found = quantity(node.number, node.unit.text if node.unit is not None else "")
    except Refused as refused:
        place = node.unit if node.unit is not None and refused.code == "S312" else node
        checks.report.add(refused.code, refused.message, place, label=refused.label, hint=refused.hint)
        return None
    return Constant(node.start, node.end, found.type, found.value)


def _parts(checks: Checker, node: syntax.Parts) -> None:
    text = shown(node.text, 24)
    hint = f'quote it: `"{text}"`'
    checks.report.add("S318", f"`{text}` is not a number", node, label="a version is written as text", hint=hint)


def _text(checks: Checker, node: syntax.Text) -> Typed:
    if node.quote == "'":
        hint = f'write `"{shown(node.value)}"`'
        checks.report.add("S307", "a text is between double quotes", node, label="single quotes", hint=hint)
    return Constant(node.start, node.end, TEXT, node.value)


def _name(checks: Checker, node: syntax.Name) -> Typed | None:
    found = naming.resolve(node, checks.schema, checks.report)
    if isinstance(found, Read):
        checks.reads.add(found)
    return found


def _items(checks: Checker, node: syntax.Items) -> None:
    checks.all(node.items)
    message = "a list stands only behind `in`"
    checks.report.add("S322", message, node, label="a written list", hint="write `VALUE in [a, b]`")


def _chain(checks: Checker, node: syntax.Chain) -> Typed | None:
    for sign in node.signs:
        checks.spelled(sign, node.word)
    found = [checks.check(operand) for operand in node.operands]
    message = f"`{node.word}` joins what is true or false"
    before = [None, *found[:-1]]
    good = [_truth(checks, operand, message, last) for operand, last in zip(found, before, strict=True)]
    operands = tuple(operand for operand in found if operand is not None)
    return Logic(node.start, node.end, BOOL, node.word, operands) if all(good) else None


def _truth(checks: Checker, node: Typed | None, message: str, before: Typed | None = None) -> bool:
    """Whether an operand is good and true or false; reports it when it is something else."""
    if node is None or node.type == BOOL:
        return node is not None
    source = checks.report.source
    hint = f"compare it, like `{source(node)} == ...`"
    if isinstance(node, Constant):
        hint = "write a comparison"
    if isinstance(node, Constant) and isinstance(before, Relation) and before.sign == "==":
        hint = f"write `{source(before.left)} in [{source(before.right)}, {source(node)}]`"
    elif node.type.kind is Kind.NUMBER and not isinstance(node, Constant):
        hint = f"compare it, like `{source(node)} >= {example(node.type)}`"
    message = f"{message}, not {node.type}"
    note = "" if isinstance(node, Constant) else checks.report.about(node)
    checks.report.add("S319", message, node, label=str(node.type), hint=hint, note=note)
    return False


def _negation(checks: Checker, node: syntax.Negation) -> Typed | None:
    checks.spelled(node.sign, "not")
    operand = checks.check(node.operand)
    good = _truth(checks, operand, "`not` negates what is true or false")
    return Negation(node.start, node.end, BOOL, operand) if good and operand is not None else None


_CHECKS: Mapping[type[syntax.Node], Callable[..., Typed | None]] = {
    syntax.Quantity: _quantity,
    syntax.Parts: _parts,
    syntax.Text: _text,
    syntax.Name: _name,
    syntax.Items: _items,
    syntax.Chain: _chain,
    syntax.Negation: _negation,
    syntax.Comparison: comparing.comparison,
    syntax.WordOperation: comparing.word_operation,
    syntax.Ternary: comparing.ternary,
    syntax.Arithmetic: calculating.arithmetic,
    syntax.Signed: calculating.signed,
    syntax.Call: calculating.call,
}
