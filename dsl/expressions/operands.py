"""Operands that must have one type: literals take the type of the other side, everything else must have it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dsl.expressions.report import Report
from dsl.expressions.typed import Constant, Element, Typed
from dsl.expressions.types import DURATION, IOPS, NUMBER, PERCENT, RATE, SIZE, TEXT, Dimension, Kind, Type
from dsl.expressions.units import Refused, parse_quantity, whole
from dsl.expressions.values import parse_version, render_value
from dsl.problems import shown, suggest
from shareflow.contracts.units import SIZE_UNITS

_UNITS = {
    SIZE.dimension: "GiB",
    RATE.dimension: "MiB/s",
    IOPS.dimension: "IOPS",
    DURATION.dimension: "ms",
    Dimension(-1, -1, 1): "IOPS/GiB",
    Dimension(0, -1): "MiB/s/TiB",
}


_BRIDGES = {
    frozenset((SIZE, IOPS)): "multiply the size by an amount per size, like `30 IOPS/GiB`",
    frozenset((SIZE, RATE)): "multiply the rate by a duration, like `1 h`, or divide the size by one",
    frozenset((SIZE, DURATION)): "divide the size by a rate, like `100 MiB/s`",
}


def agree(operands: Sequence[Typed], verb: str, report: Report) -> tuple[Typed, ...] | None:
    """The operands as values of one type, or None after every mistake was reported.

    Args:
        operands: the first that is no literal decides, else the first literal with a unit, else the first.
        verb: ``compare`` or ``combine``, for messages.
        report: takes the mistakes.
    """
    anchor = deciding(operands)
    fitted = [node if node is anchor else _fit(node, anchor, verb, report) for node in operands]
    whole_list = tuple(node for node in fitted if node is not None)
    return whole_list if len(whole_list) == len(fitted) else None


def deciding(operands: Sequence[Typed]) -> Typed:
    """The operand whose type the others take."""
    named = (node for node in operands if not isinstance(node, Constant))
    with_unit = (node for node in operands if isinstance(node, Constant) and not node.bare)
    return next(named, None) or next(with_unit, None) or operands[0]


def compatible(left: Type, right: Type) -> bool:
    """Whether values of two types can be compared: texts, numbers of one dimension, or the same simple kind."""
    if left.textual and right.textual:
        return True
    if left.kind is not right.kind or left.of is not None:
        return False
    return left.dimension == right.dimension


def example(kind: Type) -> str:
    """A literal of a numeric type."""
    if kind == PERCENT:
        return "5 %"
    return f"10 {_UNITS[kind.dimension]}" if kind.dimension in _UNITS else "10"


def _fit(node: Typed, anchor: Typed, verb: str, report: Report) -> Typed | None:
    if isinstance(node, Constant) and node.type == TEXT and anchor.type.kind in (Kind.ENUM, Kind.VERSION):
        return _from_text(node, anchor, report)
    if isinstance(node, Constant) and node.bare and anchor.type.kind is Kind.NUMBER and node.type != anchor.type:
        return _from_bare(node, anchor, report)
    if compatible(node.type, anchor.type):
        return node
    _clash(node, anchor, verb, report)
    return None


def _from_text(node: Constant, anchor: Typed, report: Report) -> Typed | None:
    """A text as a value of an enum, or as a version."""
    text = str(node.value)
    if anchor.type.kind is Kind.VERSION:
        version = parse_version(text)
        if version is not None:
            return Constant(node.start, node.end, anchor.type, version)
        message, hint = f'`"{shown(text, 24)}"` is not a version', 'write numbers with dots between, like "9.13.1"'
        report.add("S318", message, node, label="compared with a version", hint=hint, note=report.about(anchor))
        return None
    if text in anchor.type.values:
        return Constant(node.start, node.end, anchor.type, text)
    near = suggest(text, anchor.type.values)
    hint = f'did you mean `"{near}"`?' if near is not None else f"use {anchor.type.declared}"
    message = f'`"{shown(text, 24)}"` is not a declared value'
    report.add("S317", message, node, label="never true", hint=hint, note=report.about(anchor))
    return None


def _from_bare(node: Constant, anchor: Typed, report: Report) -> Typed | None:
    """A number without a unit where the other side has one: right for IOPS, doubtful for a percentage."""
    value, kind = Fraction(str(node.value)), anchor.type
    written = report.source(node, 24)
    if kind.dimension == IOPS.dimension:
        try:
            return Constant(node.start, node.end, IOPS, whole(value, IOPS, written))
        except Refused as refused:
            report.add(refused.code, refused.message, node, label=refused.label, hint="write a whole number of IOPS")
            return None
    if kind.percent:
        times, hundred = render_value(value, PERCENT), render_value(value / 100, PERCENT)
        hint = f"write `{times}`, or `{hundred}`" if value <= 2 else f"write `{hundred}`, or `{times}`"
        message = f"`{written}` stands where a percentage is due"
        note = report.about(anchor)
        report.add("S321", message, node, label=f"this is {times}", hint=hint, note=note, severity="warning")
        return Constant(node.start, node.end, PERCENT, node.value)
    label = f"{kind} is due here" if kind.dimension in _UNITS else "another unit is due here"
    hint = f"write `{_with_unit(value, kind, written)}`" if kind.dimension in _UNITS else "write it with its unit"
    report.add("S313", f"`{written}` has no unit", node, label=label, hint=hint, note=report.about(anchor))
    return None


def _with_unit(value: Fraction, kind: Type, written: str) -> str:
    """A bare number with the unit that was probably meant: large round numbers of bytes are bytes."""
    if kind in (SIZE, RATE) and value >= 1024 and value.denominator == 1:
        factor = max(factor for factor in SIZE_UNITS.values() if value % factor == 0)
        name = next(name for name, worth in SIZE_UNITS.items() if worth == factor)
        return f"{value / factor} {name}{'/s' if kind == RATE else ''}"
    return f"{written} {_UNITS[kind.dimension]}"


def _clash(node: Typed, anchor: Typed, verb: str, report: Report) -> None:
    code = "S320" if node.type.kind is anchor.type.kind is Kind.NUMBER else "S314"
    message = f"cannot {verb} {anchor.type} with {node.type}"
    if anchor.type.of is not None and node.type.of is not None:
        message = "lists cannot be compared"
    hint = _clash_hint(node, anchor, report)
    message = message if len(message) <= 72 else f"cannot {verb} these two"
    report.add(code, message, node, label=str(node.type), hint=hint, note=report.about(anchor))


def _clash_hint(node: Typed, anchor: Typed, report: Report) -> str:
    """What to write instead of an operand of another type."""
    have, want, written = node.type, anchor.type, report.source(node)
    if want.of is not None and have.of is not None:
        return "use `in` with one value"
    if want.of is not None or have.of is not None:
        one, box = (written, report.source(anchor)) if want.of is not None else (report.source(anchor), written)
        return f"write `{one} in {box}`"
    bridge = _BRIDGES.get(frozenset((have, want)))
    if not isinstance(node, Constant):
        return bridge or _like(want)
    return _text_hint(node.value, want) if isinstance(node.value, str) else _literal_hint(node, anchor, report)


def _literal_hint(node: Constant, anchor: Typed, report: Report) -> str:
    """What to write instead of a literal that is no text."""
    have, want, written = node.type, anchor.type, report.source(node)
    if want.values and not isinstance(anchor, Element):
        listed = ", ".join(f'"{value}"' for value in want.values[:2])
        return f"write `{report.source(anchor)} in [{listed}]`"
    if want.textual or want.kind is Kind.VERSION:
        return f'quote it: `"{written}"`'
    if want.kind is Kind.BOOL and written in ("0", "1"):
        return f"write `{'true' if written == '1' else 'false'}`"
    if want == NUMBER:
        return "write a number without a unit, or declare the other side with one"
    minutes = have == DURATION and want == SIZE and written.endswith("m")
    return f"write `{written[:-1].rstrip()} MiB`" if minutes else _like(want)


def _text_hint(text: str, want: Type) -> str:
    """What to write instead of a text."""
    if want.kind is Kind.BOOL and text.lower() in ("true", "false"):
        return f"write `{text.lower()}` without quotes"
    if want.kind is not Kind.NUMBER:
        return _like(want)
    try:
        found = parse_quantity(text)
    except Refused as refused:
        return refused.hint
    return f"write `{shown(text)}` without quotes" if found is not None else _like(want)


def _like(want: Type) -> str:
    """``write a size, like `10 GiB```."""
    known = want.kind is Kind.NUMBER and (want.dimension in _UNITS or want.dimension == NUMBER.dimension)
    return f"write {want}, like `{example(want)}`" if known else f"write {want}"
