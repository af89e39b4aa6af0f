"""The value of an extra spec as a rule of ours about one attribute, with Manila's meaning."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import NamedTuple

from dsl.openstack.operators import FALSE_WORDS, OR, TRUE_WORDS, alternatives, answer, is_operator
from dsl.openstack.remarks import (
    CASE,
    GUESSED,
    LIST_OF_VALUES,
    LOST,
    MATCHES_NOTHING,
    NO_COUNTERPART,
    SURPRISING,
    Remark,
    remark,
)
from dsl.problems import shown

_LOOKS_LIKE_OPERATOR = re.compile(r"s?[<>=!]|&&|\|\|", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_MAX_DIGITS = 30


class Rule(NamedTuple):
    """A rule, or None where there is none with this meaning; and what is to be said about it."""

    expression: str | None
    remarks: tuple[Remark, ...] = ()


class _Spec(NamedTuple):
    """A value, taken apart as Manila does, but with its letters as they were written."""

    pool: str
    value: str
    name: str
    operands: tuple[str, ...]


def rule_for(attribute: str, value: str, *, boolean: bool, rewritten: bool = False) -> Rule:
    """The rule that asks of an attribute what an extra spec asks of a capability.

    Args:
        attribute: the attribute's name, without ``pool.``.
        value: the extra spec's value, at most 255 characters.
        boolean: the capability is true or false in every driver of Manila.
        rewritten: Manila's scheduler put the ``<is>`` in front of the value.
    """
    words = value.split()
    operator = words[0].lower() if words and is_operator(words[0]) else ""
    spec = _Spec(f"pool.{attribute}", value, operator, tuple(words[1:]))
    if not ("".join(words) if operator else value).isprintable():
        return _unsupported("the value holds characters that a rule cannot have", "write it without them in Manila")
    if operator and not spec.operands:
        return _without_operand(spec)
    if boolean:
        return _boolean(spec, rewritten=rewritten)
    return _RULES[operator](spec)


def _unsupported(text: str, hint: str, *remarks: Remark) -> Rule:
    return Rule(None, (remark(NO_COUNTERPART, text, hint), *remarks))


def _never(text: str, hint: str, *remarks: Remark) -> Rule:
    return Rule(None, (remark(MATCHES_NOTHING, text, hint), *remarks))


def _without_operand(spec: _Spec) -> Rule:
    if spec.name == OR:
        return _aborting(spec, "IndexError")
    return _never(f"`{spec.name}` without a value matches no pool in Manila", "remove the spec, or write its value")


def _aborting(spec: _Spec, raises: str) -> Rule:
    text = f"`{shown(spec.value, 30)}` raises {raises} in Manila, whatever the pool"
    return _never(text, "remove the spec, or write what it was meant to ask for")


def _extra(spec: _Spec) -> tuple[Remark, ...]:
    """What stands behind the first operand is never looked at."""
    if len(spec.operands) < 2:
        return ()
    rest = shown(" ".join(spec.operands[1:]), 30)
    return (remark(LOST, f"Manila never looks at `{rest}`", f"only `{shown(spec.operands[0])}` is compared"),)


def _letters(*texts: str) -> tuple[Remark, ...]:
    if all(text.lower() == text.upper() for text in texts):
        return ()
    text = f"Manila ignores case in `{shown(' '.join(texts), 25)}`"
    return (remark(CASE, text, "write the text exactly as the pools report it"),)


def _quoted(text: str) -> str | None:
    """The text as an expression writes it; None when it cannot be written."""
    return None if '"' in text else f'"{text}"'


def _quotes(text: str) -> Rule:
    what = shown(text, 30)
    return _unsupported(
        f"the double quote in `{what}` is part of the text", "remove the quotes from the spec in Manila"
    )


def _equality(spec: _Spec, sign: str, text: str, *remarks: Remark) -> Rule:
    quoted = _quoted(text)
    if quoted is None:
        return _quotes(text)
    return Rule(f"{spec.pool} {sign} {quoted}", (*remarks, *_letters(text)))


# -- numbers ---------------------------------------------------------------------------------------------------------


def _number(spec: _Spec) -> Rule:
    sign = ">=" if spec.name == "=" else spec.name
    remarks = _extra(spec)
    operand = spec.operands[0]
    try:
        value = float(operand)
    except ValueError:
        text = f"`{shown(operand, 30)}` is no number, so no pool matches in Manila"
        return _never(text, "write a number, or `s==` for text", *remarks)
    if not math.isfinite(value):
        return _unbounded(spec, sign, value, remarks)
    literal = _literal(operand)
    if literal is None:
        return _unsupported(f"the number `{shown(operand, 30)}` has too many digits", "write a shorter one", *remarks)
    if spec.name == "=":
        text = f"`= {shown(operand, 20)}` means at least {literal} in Manila, not equal"
        remarks = (remark(SURPRISING, text, f"if it was meant as equal: `{spec.pool} == {literal}`"), *remarks)
    if sign == "!=":
        remarks = (_one_other(spec, "declare one value on each pool"), *remarks)
    return Rule(f"{spec.pool} {sign} {literal}", remarks)


def _unbounded(spec: _Spec, sign: str, value: float, remarks: tuple[Remark, ...]) -> Rule:
    """A comparison with infinity or with what is no number has one answer for every number."""
    always = {">=": value == -math.inf, "<=": value == math.inf, "!=": True}.get(sign, False)
    operand = shown(spec.operands[0], 30)
    if not always:
        return _never(f"`{spec.name} {operand}` is false for every number", "write a finite number", *remarks)
    text = f"`{spec.name} {operand}` is true for every number"
    return Rule(f"has({spec.pool})", (remark(SURPRISING, text, "write a finite number"), *remarks))


def _literal(operand: str) -> str | None:
    """A number as an expression writes it; None when that would be longer than an attribute can be."""
    try:
        number = Decimal(operand.strip().replace("_", ""))
    except InvalidOperation:
        return None
    if not number:
        return "0"
    if not -_MAX_DIGITS < number.adjusted() < _MAX_DIGITS:
        return None
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if len(text) <= _MAX_DIGITS + 2 else None


def _one_other(spec: _Spec, hint: str) -> Remark:
    return remark(LIST_OF_VALUES, f"of a list, one value that differs satisfies `{spec.name}`", hint)


# -- text ------------------------------------------------------------------------------------------------------------


def _text(spec: _Spec) -> Rule:
    operand = spec.operands[0]
    remarks = _extra(spec)
    if spec.name == "s!=":
        text = "`s!=` is true for every number and boolean"
        remarks = (remark(SURPRISING, text, "compare numbers with `!=`"), *remarks)
        remarks = (*remarks, _one_other(spec, f'write `"{shown(operand)}" not in {spec.pool}` for a list'))
    elif _is_number(operand):
        text = f"`s== {shown(operand, 20)}` compares text: the number is never equal"
        remarks = (remark(SURPRISING, text, f"for a number: `{spec.pool} == {shown(operand)}`"), *remarks)
    return _equality(spec, spec.name[1:], operand, *remarks)


def _order(spec: _Spec) -> Rule:
    sign = spec.name[1:]
    example = "; `s> 10` matches 9" if sign[0] == ">" else "; `s< 9` matches 10"
    text = f"`{spec.name}` sorts text letter by letter{example}"
    operand = shown(spec.operands[0])
    hint = f'declare it a number: `{spec.pool} {sign} {operand}`; or a version: `{spec.pool} {sign} "{operand}"`'
    return _unsupported(text, hint, *_extra(spec))


def _substring(spec: _Spec) -> Rule:
    operand = spec.operands[0]
    if '"' in operand:
        return _quotes(operand)
    if "*" in operand:
        text = f"the * in `{shown(operand, 30)}` stands for itself in Manila"
        return _unsupported(text, "in `like` it stands for any text; write the rule by hand", *_extra(spec))
    text = f"`<in> {shown(operand, 20)}` matches any text that contains it"
    hint = f'for the whole text write `{spec.pool} == "{shown(operand)}"`; on a number Manila raises TypeError'
    return Rule(f'{spec.pool} like "*{operand}*"', (remark(SURPRISING, text, hint), *_extra(spec), *_letters(operand)))


def _alternatives(spec: _Spec) -> Rule:
    words = tuple(dict.fromkeys(alternatives(spec.operands)))
    between = [word for word in spec.operands[1::2] if word.lower() != OR]
    remarks: list[Remark] = []
    if between:
        text = f"`<or>` never compares `{shown(' '.join(between), 30)}`"
        remarks.append(remark(LOST, text, "every other word is taken; an alternative is one word"))
    special = [word for word in words if _is_number(word) or word.lower() in ("true", "false")]
    if special:
        text = f"`<or>` compares text: `{shown(special[0], 15)}` is no number or boolean"
        remarks.append(remark(SURPRISING, text, f"for those write `{spec.pool} in [{', '.join(special[:4])}]`"))
    if len(words) == 1:
        return _equality(spec, "==", words[0], *remarks)
    if any('"' in word for word in words):
        return _quotes(next(word for word in words if '"' in word))
    listed = ", ".join(f'"{word}"' for word in words)
    return Rule(f"{spec.pool} in [{listed}]", (*remarks, *_letters(*(word for word in words if word.lower() != OR))))


def _bare(spec: _Spec) -> Rule:
    value, word = spec.value, spec.value.strip().lower()
    if not value:
        return _never("an empty value matches only an empty text", "remove the spec, or write its value")
    if word in TRUE_WORDS | FALSE_WORDS:
        truth = "true" if word in TRUE_WORDS else "false"
        text = f"`{shown(word)}` matches a boolean, or that text; never a number"
        hint = f'if {spec.pool} is text: `{spec.pool} == "{shown(value)}"`'
        return Rule(f"{spec.pool} == {truth}", (remark(GUESSED, text, hint),))
    return _equality(spec, "==", value, *_literal_remarks(spec))


def _literal_remarks(spec: _Spec) -> tuple[Remark, ...]:
    """What looks as if it meant more than the text that it is."""
    value = spec.value
    start = value.strip()
    if _LOOKS_LIKE_OPERATOR.match(start):
        text = f"`{shown(start.split()[0], 20)}` is no operator: Manila compares all of it as text"
        return (remark(SURPRISING, text, _meant(spec.pool, start)),)
    if _is_number(value):
        text = f"`{shown(value, 20)}` is compared as text: the number never matches"
        return (remark(SURPRISING, text, f"for a number: `{spec.pool} == {shown(start)}`"),)
    if _QUOTED.fullmatch(start):
        text = "the quotes are part of the text that Manila compares"
        return (remark(SURPRISING, text, "remove them if the pools report none"),)
    if start != value:
        text = "spaces at the beginning and the end count in Manila"
        return (remark(SURPRISING, text, "remove them if the pools report none"),)
    return ()


def _meant(pool: str, value: str) -> str:
    """A guess at what somebody wanted who wrote an operator that is none."""
    found = re.fullmatch(r"(>=?|<=?|==?|!=)\s*(\S.*)", value)
    if found is not None and _is_number(found[2]):
        sign = "==" if found[1] == "=" else found[1]
        return f"if it was meant as a comparison: `{pool} {sign} {found[2]}`"
    return "the operators are = == != >= <= s== s!= s> s>= s< s<= <in> <is> <or>, with a space behind them"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# -- booleans --------------------------------------------------------------------------------------------------------


def _truth(spec: _Spec) -> Rule:
    word = spec.operands[0].lower()
    if word in TRUE_WORDS:
        return Rule(f"{spec.pool} == true", _extra(spec))
    return Rule(f"{spec.pool} == false", (_garbage(word), *_extra(spec)))


def _garbage(word: str) -> Remark:
    if word in FALSE_WORDS:
        text = f"`<is> {shown(word)}` matches every value that is not a word for true"
        return remark(SURPRISING, text, "the rule here matches false alone")
    text = f"`<is> {shown(word, 20)}` means false: Manila knows no such word"
    return remark(SURPRISING, text, "write true or false")


def _boolean(spec: _Spec, *, rewritten: bool) -> Rule:
    """The rule for a capability that is always true or false, found by asking Manila's matching about both."""
    answers = {truth: answer(spec.value, truth) for truth in (True, False)}
    raised = answers[True].raises or answers[False].raises
    if raised:
        return _aborting(spec, raised)
    truths = [truth for truth, found in answers.items() if found.matches]
    if not truths:
        text = f"`{shown(spec.value, 30)}` matches neither true nor false"
        return _never(text, "write `<is> True` or `<is> False`")
    remarks = _extra(spec) if spec.name != OR else ()
    if spec.name == "<is>" and truths == [False]:
        word = spec.operands[0].lower()
        remarks = remarks if rewritten and word in FALSE_WORDS else (_garbage(word), *remarks)
    elif spec.name and spec.name != "<is>":
        what = "is true for every boolean" if spec.name == "s!=" else "takes true as 1 and false as 0"
        text = f"`{shown(spec.value, 25)}` {what}"
        remarks = (remark(SURPRISING, text, "write `<is> True` or `<is> False`"), *remarks)
    if len(truths) == 2:
        return Rule(f"has({spec.pool})", remarks)
    return Rule(f"{spec.pool} == {'true' if truths[0] else 'false'}", remarks)


_RULES: Mapping[str, Callable[[_Spec], Rule]] = MappingProxyType(
    {
        "": _bare,
        "=": _number, "==": _number, "!=": _number, ">=": _number, "<=": _number,
        "s==": _text, "s!=": _text,
        "s<": _order, "s<=": _order, "s>": _order, "s>=": _order,
        "<in>": _substring,
        "<is>": _truth,
        OR: _alternatives,
    }
)  # fmt: skip
