"""Checks of what compares: signs, ``in``, ``like``, ``between``, and what other languages have instead."""

from __future__ import annotations

from dsl.expressions import naming, syntax
from dsl.expressions.operands import agree, deciding
from dsl.expressions.report import Checks
from dsl.expressions.typed import Constant, Element, Likeness, Membership, Range, Read, Relation, Typed
from dsl.expressions.types import BOOL
from dsl.problems import shown

_SIGNS = {"=": "==", "===": "==", ":=": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<="}
_PATTERNS = {"=~": "like", "!~": "not like"}
_NO_NULL = "no value means that an attribute is absent"


def comparison(checks: Checks, node: syntax.Comparison) -> Typed | None:
    """``a < b``; chains and the signs of other languages are refused."""
    nothing = next((operand for operand in node.operands if naming.is_nothing(operand)), None)
    if nothing is not None and len(node.operands) == 2:
        _null(checks, node.operands, nothing, negated=node.signs[0].text in ("!=", "<>", "!=="))
        return None
    for sign in node.signs:
        if sign.text in _PATTERNS:
            hint = f"write `{_PATTERNS[sign.text]}`, with `*` for any text"
            checks.report.add("S307", f"`{sign.text}` is not used here", sign, label="not a comparison", hint=hint)
        else:
            checks.spelled(sign, _SIGNS.get(sign.text, sign.text))
    operands = checks.all(node.operands)
    if len(node.operands) > 2:
        _refuse_chain(checks, node)
        return None
    if operands is None or node.signs[0].text in _PATTERNS:
        return None
    sign = node.signs[0]
    return _relation(checks, node, sign._replace(text=_SIGNS.get(sign.text, sign.text)), operands)


def _refuse_chain(checks: Checks, node: syntax.Comparison) -> None:
    parts = [checks.report.source(operand, 24) for operand in node.operands]
    signs = [_SIGNS.get(sign.text, sign.text) for sign in node.signs]
    pairs = [f"{parts[index]} {sign} {parts[index + 1]}" for index, sign in enumerate(signs)]
    hint = f"write `{' and '.join(pairs[:3])}{' and ...' if len(pairs) > 3 else ''}`"
    if len({sign in ("==", "!=") for sign in signs}) > 1:
        hint = f"put brackets around one of them, like `({pairs[0]}) {signs[1]} {parts[2]}`"
    checks.report.add("S308", "comparisons cannot be chained", node, label="more than one comparison", hint=hint)


def _relation(checks: Checks, node: syntax.Node, sign: syntax.Sign, operands: list[Typed]) -> Typed | None:
    report = checks.report
    agreed = agree(operands, "compare", report)
    if agreed is None:
        return None
    left, right = agreed
    kind = deciding(agreed).type
    if sign.text not in ("==", "!=") and not kind.ordered:
        hint = f"write `{report.source(left)} == {report.source(right)}`, or use `in`"
        message = f"`{sign.text}` needs an order, and {kind.noun} has none"
        report.add("S316", message, sign, label=f"between {kind.noun}", hint=hint, note=report.about(deciding(agreed)))
        return None
    return Relation(node.start, node.end, BOOL, sign.text, left, right)


def _null(checks: Checks, operands: tuple[syntax.Node, ...], nothing: syntax.Node, *, negated: bool) -> None:
    """A comparison with null."""
    other = next((operand for operand in operands if operand is not nothing and not naming.is_nothing(operand)), None)
    typed = checks.check(other) if other is not None else None
    name = checks.report.source(typed) if isinstance(typed, Read) else "pool.x"
    hint = f"write `{'' if negated else 'not '}has({name})`"
    checks.report.add("S307", f"there is no `{checks.report.source(nothing)}`", nothing, label=_NO_NULL, hint=hint)


def word_operation(checks: Checks, node: syntax.WordOperation) -> Typed | None:
    """``in``, ``like``, ``between`` and ``is``, each perhaps with ``not``."""
    if node.word == "is":
        _identity(checks, node)
        return None
    expected = [*(["not"] if node.negated else []), *(["between", "and"] if node.word == "between" else [node.word])]
    for sign, right in zip(node.signs, expected, strict=True):
        checks.spelled(sign, right)
    return {"in": _membership, "like": _likeness, "between": _between}[node.word](checks, node)


def _identity(checks: Checks, node: syntax.WordOperation) -> None:
    nothing = next((operand for operand in node.operands if naming.is_nothing(operand)), None)
    if nothing is not None:
        _null(checks, node.operands, nothing, negated=node.negated)
        return
    checks.all(node.operands)
    left, right = (checks.report.source(operand, 24) for operand in node.operands)
    hint = f"write `{left} {'!=' if node.negated else '=='} {right}`"
    checks.report.add("S307", "`is` is not used here", node.signs[0], label="not a word of the language", hint=hint)


def _between(checks: Checks, node: syntax.WordOperation) -> Typed | None:
    operands = checks.all(node.operands)
    agreed = agree(operands, "compare", checks.report) if operands is not None else None
    if agreed is None:
        return None
    kind = deciding(agreed).type
    if not kind.ordered:
        message = f"`between` needs an order, and {kind.noun} has none"
        sign = node.signs[-2]
        checks.report.add("S316", message, sign, label=f"between {kind.noun}", hint="write `in [a, b]`")
        return None
    value, low, high = agreed
    return Range(node.start, node.end, BOOL, value, low, high, node.negated)


def _membership(checks: Checks, node: syntax.WordOperation) -> Typed | None:
    wanted, container = node.operands
    value = checks.check(wanted)
    if isinstance(container, syntax.Items):
        return _in_items(checks, node, value, container)
    box = checks.check(container)
    if value is None or box is None:
        return None
    if box.type.of is None:
        _refuse_box(checks, value, box)
        return None
    agreed = agree([Element(box.start, box.end, box.type.of, box), value], "compare", checks.report)
    return Membership(node.start, node.end, BOOL, agreed[1], (), box, node.negated) if agreed is not None else None


def _refuse_box(checks: Checks, value: Typed, box: Typed) -> None:
    report = checks.report
    hint = f"write `{report.source(value)} == {report.source(box)}`, or `in [...]`"
    if box.type.textual and isinstance(value, Constant) and not isinstance(box, Constant):
        hint = f'write `{report.source(box)} like "*{shown(value.value)}*"`'
    message = f"`in` needs a list, not {box.type}"
    report.add("S322", message, box, label=str(box.type), hint=hint, note=report.about(box))


def _in_items(checks: Checks, node: syntax.WordOperation, value: Typed | None, container: syntax.Items) -> Typed | None:
    report = checks.report
    items = checks.all(container.items)
    if container.bracket == "(":
        inner = ", ".join(report.source(item, 24) for item in container.items[:4])
        report.add("S307", "a list is in square brackets", container, label="round brackets", hint=f"write `[{inner}]`")
        return None
    if not container.items:
        report.add("S322", "the list is empty", container, label="never true", hint="write at least one value")
        return None
    if value is None or items is None:
        return None
    if value.type.of is not None:
        hint = f"write `{report.source(items[0])} in {report.source(value)}`"
        report.add("S322", f"`in` looks for one value, not {value.type}", value, label=str(value.type), hint=hint)
        return None
    agreed = agree([value, *items], "compare", report)
    if agreed is None:
        return None
    return Membership(node.start, node.end, BOOL, agreed[0], agreed[1:], None, node.negated)


def _likeness(checks: Checks, node: syntax.WordOperation) -> Typed | None:
    report = checks.report
    operands = checks.all(node.operands)
    if operands is None:
        return None
    value, pattern = operands
    good = value.type.textual
    if not good:
        hint = f"compare it, like `{report.source(value)} == ...`"
        report.add("S314", f"`like` needs text, not {value.type}", value, label=str(value.type), hint=hint)
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        message = f"a pattern is a written text, not {report.source(pattern, 24)}"
        report.add("S314", message, pattern, label="not a text in quotes", hint='write `like "abc*"`')
        return None
    if "*" not in pattern.value:
        wild = pattern.value.replace("%", "*")
        hint = f'write `like "{shown(wild)}"`' if wild != pattern.value else 'write `==`, or `like "abc*"`'
        message = "a pattern without `*` matches one text only"
        report.add("S324", message, pattern, label="`*` stands for any text", hint=hint, severity="warning")
    return Likeness(node.start, node.end, BOOL, value, pattern.value, node.negated) if good else None


def ternary(checks: Checks, node: syntax.Ternary) -> None:
    """``a ? b : c``, which the language does not have."""
    checks.all(node.operands)
    a, b, c = (checks.report.source(operand, 24) for operand in node.operands)
    hint = f"write `({a} and {b}) or (not {a} and {c})`"
    checks.report.add("S307", "there is no `? :`", node, label="not used here", hint=hint)
