"""Checks of what calculates: arithmetic with its dimensions, signs, functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from dsl.expressions import naming, syntax
from dsl.expressions.operands import agree, deciding
from dsl.expressions.report import Checks
from dsl.expressions.typed import Constant, Function, Has, Logic, Product, Read, Sum, Typed
from dsl.expressions.types import BOOL, NUMBER, PERCENT, Dimension, Kind, Type


def arithmetic(checks: Checks, node: syntax.Arithmetic) -> Typed | None:
    """A sum or a product of two or more operands."""
    if _dashed_name(checks, node):
        return None
    powers = [sign for sign in node.signs if sign.text in ("**", "^", "//")]
    for sign in powers:
        hint = "write `floor(a / b)`" if sign.text == "//" else "write a product; there is no power"
        checks.report.add(
            "S307", f"`{sign.text}` is not used here", sign, label="not a sign of the language", hint=hint
        )
    operands = checks.all(node.operands)
    if operands is None or powers or not _numbers(checks, operands, node.signs[0].text):
        return None
    if node.signs[0].text in "+-":
        return _sum(checks, node, operands)
    return _product(node, operands)


def _sum(checks: Checks, node: syntax.Arithmetic, operands: list[Typed]) -> Typed | None:
    agreed = agree(operands, "combine", checks.report)
    if agreed is None:
        return None
    negative = (False, *(sign.text == "-" for sign in node.signs))
    return Sum(node.start, node.end, deciding(agreed).type, agreed, negative)


def _product(node: syntax.Arithmetic, operands: list[Typed]) -> Typed:
    """Dimensions add up; the scale makes stored units of the result out of stored units of the factors."""
    inverted = (False, *(sign.text == "/" for sign in node.signs))
    dimension, scale = Dimension(), Fraction(1)
    for operand, below in zip(operands, inverted, strict=True):
        power = -1 if below else 1
        dimension = dimension.times(operand.type.dimension, power)
        scale /= Fraction(operand.type.dimension.scale) ** power
    kind = Type(Kind.NUMBER, dimension)
    return Product(node.start, node.end, kind, tuple(operands), inverted, scale * dimension.scale)


def _numbers(checks: Checks, operands: Sequence[Typed], sign: str) -> bool:
    wrong = [operand for operand in operands if operand.type.kind is not Kind.NUMBER]
    for operand in wrong:
        message = f"`{sign}` calculates with numbers, not with {operand.type}"
        hint = "write a number, perhaps with a unit, without quotes" if operand.type.textual else "use `and` and `or`"
        hint = f"write `len({checks.report.source(operand)})`" if operand.type.of is not None else hint
        note = checks.report.about(operand)
        checks.report.add("S319", message, operand, label=str(operand.type), hint=hint, note=note)
    return not wrong


def _dashed_name(checks: Checks, node: syntax.Arithmetic) -> bool:
    """Whether ``pool.iops-free`` was written for ``pool.iops_free``; reports it."""
    written = checks.report.text[node.start : node.end]
    namespace, _, rest = written.replace("-", "_").partition(".")
    attributes = checks.schema.attributes(namespace)
    if attributes is None or rest not in attributes:
        return False
    hint = f"did you mean `{namespace}.{rest}`?"
    checks.report.add("S310", "a name has no dashes", node, label="reads as a difference", hint=hint)
    return True


def signed(checks: Checks, node: syntax.Signed) -> Typed | None:
    """``-x``; a plus is refused."""
    if node.sign.text == "+":
        hint = "leave the plus out"
        checks.report.add("S307", "a number has no plus", node.sign, label="not a sign of the language", hint=hint)
    operand = checks.check(node.operand)
    if operand is None or not _numbers(checks, [operand], node.sign.text):
        return None
    if isinstance(operand, Constant) and isinstance(operand.value, int | Fraction):
        return Constant(node.start, node.end, operand.type, -operand.value)
    return Sum(node.start, node.end, operand.type, (operand,), (True,))


def call(checks: Checks, node: syntax.Call) -> Typed | None:
    """A function with its arguments."""
    name = node.function.text
    place = syntax.Name(text=name, start=node.function.start, end=node.function.end)
    if name not in naming.FUNCTIONS:
        naming.refuse_function(name, place, checks.report)
        checks.all(node.arguments)
        return None
    if name == "has":
        return _has(checks, node)
    one = name in ("abs", "ceil", "floor", "len")
    if len(node.arguments) != 1 if one else not node.arguments:
        wanted = "one argument" if one else "at least one argument"
        message = f"`{name}` takes {wanted}, not {len(node.arguments)}"
        checks.report.add("S311", message, node, label="its arguments", hint=f"write `{_EXAMPLES[name]}`")
        checks.all(node.arguments)
        return None
    arguments = checks.all(node.arguments)
    return _KINDS.get(name, _of_numbers)(checks, node, name, arguments) if arguments is not None else None


_EXAMPLES = {
    "min": "min(a, b)",
    "max": "max(a, b)",
    "abs": "abs(x)",
    "ceil": "ceil(x)",
    "floor": "floor(x)",
    "len": "len(pool.x)",
    "any": "any(a, b)",
    "all": "all(a, b)",
}


def _has(checks: Checks, node: syntax.Call) -> Typed | None:
    found = checks.all(node.arguments)
    if found is not None and len(found) == 1 and isinstance(found[0], Read):
        return Has(node.start, node.end, BOOL, found[0])
    if len(node.arguments) != 1 or not isinstance(node.arguments[0], syntax.Name):
        message = "`has` takes the name of one attribute"
        checks.report.add("S311", message, node, label="its arguments", hint="write `has(pool.x)`")
    return None


def _of_truths(checks: Checks, node: syntax.Call, name: str, arguments: list[Typed]) -> Typed | None:
    """``any`` and ``all`` of truth values, or of one list of them."""
    of = arguments[0].type.of
    if len(arguments) == 1 and of is not None and of.kind is Kind.BOOL:
        return Function(node.start, node.end, BOOL, name, tuple(arguments))
    return _logic(checks, node, name, arguments)


def _logic(checks: Checks, node: syntax.Call, name: str, arguments: list[Typed]) -> Typed | None:
    wrong = [argument for argument in arguments if argument.type != BOOL]
    for argument in wrong:
        hint = f"compare it, like `{checks.report.source(argument)} == ...`"
        if isinstance(argument, Constant):
            hint = "write a comparison"
        if argument.type.of is not None:
            hint = f"write `VALUE in {checks.report.source(argument)}`"
        message = f"`{name}` asks what is true or false, not {argument.type}"
        checks.report.add("S319", message, argument, label=str(argument.type), hint=hint)
    if wrong:
        return None
    return Logic(node.start, node.end, BOOL, "or" if name == "any" else "and", tuple(arguments))


def _length(checks: Checks, node: syntax.Call, _name: str, arguments: list[Typed]) -> Typed | None:
    argument = arguments[0]
    if argument.type.of is not None:
        return Function(node.start, node.end, NUMBER, "len", (argument,))
    message = f"`len` counts a list or set, not {argument.type}"
    note, hint = checks.report.about(argument), "write `len(pool.x)` with a list or set"
    checks.report.add("S319", message, argument, label=str(argument.type), hint=hint, note=note)
    return None


def _of_numbers(checks: Checks, node: syntax.Call, name: str, arguments: list[Typed]) -> Typed | None:
    """``min max abs ceil floor``; the first two also of one list of numbers."""
    of = arguments[0].type.of
    if name in ("min", "max") and len(arguments) == 1 and of is not None and of.kind is Kind.NUMBER:
        return Function(node.start, node.end, of, name, tuple(arguments))
    if not _numbers(checks, arguments, name):
        return None
    agreed = agree(arguments, "combine", checks.report)
    if agreed is None:
        return None
    kind = deciding(agreed).type
    if name in ("ceil", "floor") and kind != NUMBER and not kind.whole:
        message = f"`{name}` has no whole number for {kind} to go to"
        hint = f"write `{name}({checks.report.source(agreed[0])} * 100)`" if kind == PERCENT else f"leave `{name}` out"
        checks.report.add("S319", message, agreed[0], label=str(kind), hint=hint)
        return None
    return Function(node.start, node.end, kind, name, agreed)


_KINDS: Mapping[str, Callable[..., Typed | None]] = {"any": _of_truths, "all": _of_truths, "len": _length}
