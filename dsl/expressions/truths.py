"""Comparisons and logic as closures: one that only decides, and one that records every comparison on the way.

Three values: True, False, and None for unknown. A comparison with an unknown side is unknown; ``and``, ``or`` and
``not`` decide when the known operands do (Kleene's logic). The deciding form stops early, the recording one never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dsl.expressions.closures import Reason, Run, Why, together, value, why
from dsl.expressions.deciding import SIGNS, Simple, all_of, alone, any_of, relation, simple
from dsl.expressions.patterns import matcher
from dsl.expressions.typed import Constant, Has, Likeness, Logic, Membership, Negation, Range, Read, Relation, Typed
from dsl.expressions.types import TEXT, Env, Kind, Type, list_of


class Comparison(NamedTuple):
    """One comparison of one evaluation, or one truth value that was asked for as it is.

    Attributes:
        text: the comparison as it was written, in one line.
        left, right: the runtime values of its sides, None where unknown; of ``in`` the right side is the list, of
            ``between`` the two bounds, of ``like`` the pattern, of a truth value and of ``has`` nothing.
        verdict: None when unknown.
        start, end: offsets into the text of the expression.
        reason: why it is unknown, empty when it is known.
        absent: the attributes that are not there, like ``pool.iops_free``.
        left_type, right_type: for :func:`dsl.expressions.values.render_value`.
    """

    text: str
    left: object
    right: object
    verdict: bool | None
    start: int
    end: int
    reason: str = ""
    absent: tuple[str, ...] = ()
    left_type: Type | None = None
    right_type: Type | None = None


# As many are made as there are comparisons and pools; this way takes half the time of a call of the class.
_new = tuple.__new__

Explain = Callable[[Env, list[Comparison]], Any]


class Code(NamedTuple):
    """The closures of a part.

    Attributes:
        run: decides.
        explain: decides, and appends every comparison.
        why: why it is unknown.
        compound: whether comparisons are inside, so that it is recorded where it is a side of another.
        simple: the same as ``run``, as data.
    """

    run: Run
    explain: Explain
    why: Why
    compound: bool
    simple: Simple | None = None


def compiled(node: Typed, text: str) -> Code:
    """The closures of a part of an expression whose text is given."""
    return _COMPILERS.get(type(node), _value)(node, text)


def _logic(node: Logic, text: str) -> Code:
    codes = tuple(compiled(operand, text) for operand in node.operands)
    explains = tuple(code.explain for code in codes)
    decided = node.word == "or"

    def explain(env: Env, seen: list[Comparison]) -> bool | None:
        found = [one(env, seen) for one in explains]
        return decided if decided in found else None if None in found else not decided

    def reasons(env: Env) -> tuple[Reason, ...]:
        return together([code.why for code in codes if code.run(env) is None])(env)

    parts = [code.simple or code.run for code in codes]
    return Code(any_of(parts) if decided else all_of(parts), explain, reasons, compound=True)


def _negation(node: Negation, text: str) -> Code:
    code = compiled(node.operand, text)
    run_inner, explain_inner = code.run, code.explain

    def run(env: Env) -> bool | None:
        found = run_inner(env)
        return None if found is None else not found

    def explain(env: Env, seen: list[Comparison]) -> bool | None:
        found = explain_inner(env, seen)
        return None if found is None else not found

    return Code(run, explain, code.why, compound=True)


def _recording(
    node: Typed,
    text: str,
    sides: tuple[Code, Code],
    types: tuple[Type | None, Type | None],
    decide: Callable[..., bool],
) -> Code:
    """The recording form of a comparison of two sides; its own form decides just the same."""
    left, right = sides
    source = " ".join(text[node.start : node.end].split())
    start, end, (left_type, right_type) = node.start, node.end, types
    reasons = together([left.why, right.why])
    run_left, run_right, nested = left.run, right.run, left.compound or right.compound

    def explain(env: Env, seen: list[Comparison]) -> bool | None:
        one = left.explain(env, seen) if nested else run_left(env)
        other = right.explain(env, seen) if nested else run_right(env)
        if one is None or other is None:
            found = reasons(env)
            reason, absent = "; ".join(r.text for r in found), tuple(r.absent for r in found if r.absent)
            seen.append(Comparison(source, one, other, None, start, end, reason, absent, left_type, right_type))
            return None
        verdict = decide(one, other)
        seen.append(_new(Comparison, (source, one, other, verdict, start, end, "", (), left_type, right_type)))
        return verdict

    def run(env: Env) -> bool | None:
        one = run_left(env)
        if one is None:
            return None
        other = run_right(env)
        return None if other is None else decide(one, other)

    return Code(run, explain, reasons, compound=True)


def _side(node: Typed, text: str) -> Code:
    """A side of a comparison: a plain value is not recorded on its own."""
    code = compiled(node, text)
    if code.compound:
        return code
    run = code.run
    return code._replace(explain=lambda env, _seen: run(env))


def _relation(node: Relation, text: str) -> Code:
    sides = _side(node.left, text), _side(node.right, text)
    code = _recording(node, text, sides, (node.left.type, node.right.type), SIGNS[node.sign])
    fast = relation(node)
    if isinstance(node.left, Read) and isinstance(node.right, Constant):
        written = simple(node.left, SIGNS[node.sign], node.right.value)
        types = (node.left.type, node.right.type)
        code = code._replace(explain=_explain_simple(node, text, written, types, code.explain))
    if isinstance(fast, Simple):
        return code._replace(run=alone(fast), simple=fast)
    return code._replace(run=fast) if fast is not None else code


def _explain_simple(
    node: Typed, text: str, written: Simple, types: tuple[Type | None, Type | None], otherwise: Explain
) -> Explain:
    """The recording form of the most common comparison, an attribute with what is written, in one call."""
    namespace, name, fast, test, decide, constant = written
    source, start, end = " ".join(text[node.start : node.end].split()), node.start, node.end
    left_type, right_type = types

    def explain(env: Env, seen: list[Comparison]) -> bool | None:
        found = env[namespace].get(name)
        if found.__class__ is not fast and not test(found):
            unknown: bool | None = otherwise(env, seen)
            return unknown
        verdict = decide(found, constant)
        seen.append(_new(Comparison, (source, found, constant, verdict, start, end, "", (), left_type, right_type)))
        return verdict

    return explain


def _membership(node: Membership, text: str) -> Code:
    side = _side(node.value, text)
    wanted = not node.negated
    if node.container is not None:
        box = _side(node.container, text)
        return _recording(
            node, text, (side, box), (node.value.type, node.container.type), lambda one, box: (one in box) is wanted
        )
    items = [_side(item, text) for item in node.items]
    types = (node.value.type, list_of(node.value.type))
    if all(isinstance(item, Constant) for item in node.items):
        written = tuple(item.value for item in node.items if isinstance(item, Constant))
        allowed = frozenset(written)

        def decide(one: object, _written: object) -> bool:
            return (one in allowed) is wanted

        code = _recording(node, text, (side, _constant(written)), types, decide)
        if not isinstance(node.value, Read):
            return code
        fast = simple(node.value, decide, written)
        explain = _explain_simple(node, text, fast, types, code.explain)
        return code._replace(run=alone(fast), explain=explain, simple=fast)
    return _recording(node, text, (side, _several(items)), types, lambda one, box: (one in box) is wanted)


def _constant(written: object) -> Code:
    return Code(lambda _env: written, lambda _env, _seen: written, lambda _env: (), compound=False)


def _several(items: list[Code]) -> Code:
    """Several values as a tuple; unknown when one of them is."""
    runs, explains = tuple(item.run for item in items), tuple(item.explain for item in items)

    def run(env: Env) -> tuple[object, ...] | None:
        found = tuple(one(env) for one in runs)
        return None if None in found else found

    def explain(env: Env, seen: list[Comparison]) -> tuple[object, ...] | None:
        found = tuple(one(env, seen) for one in explains)
        return None if None in found else found

    reasons = together([item.why for item in items])
    return Code(run, explain, reasons, compound=any(item.compound for item in items))


def _range(node: Range, text: str) -> Code:
    sides = _side(node.value, text), _several([_side(node.low, text), _side(node.high, text)])
    wanted = not node.negated
    types = (node.value.type, list_of(node.low.type))

    def decide(one: Any, bounds: tuple[Any, Any]) -> bool:
        return (bounds[0] <= one <= bounds[1]) is wanted

    return _recording(node, text, sides, types, decide)


def _likeness(node: Likeness, text: str) -> Code:
    matches, wanted = matcher(node.pattern), not node.negated
    sides = _side(node.value, text), _constant(node.pattern)
    return _recording(node, text, sides, (node.value.type, TEXT), lambda one, _pattern: matches(one) is wanted)


def _has(node: Has, text: str) -> Code:
    index, name, kind = node.operand.index, node.operand.name, node.operand.type
    source, start, end = " ".join(text[node.start : node.end].split()), node.start, node.end

    def run(env: Env) -> bool:
        return env[index].get(name) is not None

    def explain(env: Env, seen: list[Comparison]) -> bool:
        found = env[index].get(name)
        verdict = found is not None
        seen.append(Comparison(source, found, None, verdict, start, end, left_type=kind))
        return verdict

    return Code(run, explain, lambda _env: (), compound=False)


def _value(node: Typed, text: str) -> Code:
    """A value as it is: a truth value is recorded, a literal or a number is not."""
    run, reasons, kind = value(node), why(node, text), node.type
    source, start, end = " ".join(text[node.start : node.end].split()), node.start, node.end
    if kind.kind is not Kind.BOOL or isinstance(node, Constant):
        return Code(run, lambda env, _seen: run(env), reasons, compound=False)

    def explain(env: Env, seen: list[Comparison]) -> Any:
        found = run(env)
        unknown = reasons(env) if found is None else ()
        reason, absent = "; ".join(r.text for r in unknown), tuple(r.absent for r in unknown if r.absent)
        seen.append(Comparison(source, found, None, found, start, end, reason, absent, kind))
        return found

    fast = simple(node, SIGNS["=="], constant=True) if isinstance(node, Read) else None
    return Code(run, explain, reasons, compound=False, simple=fast)


_COMPILERS: Mapping[type[Typed], Callable[..., Code]] = {
    Logic: _logic,
    Negation: _negation,
    Relation: _relation,
    Membership: _membership,
    Likeness: _likeness,
    Range: _range,
    Has: _has,
}
