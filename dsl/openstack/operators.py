"""The operators of extra specs as Manila 23 answers them, surprises included.

An extra spec is text. Its first word may be an operator; otherwise the whole of it is compared as it stands. Both sides
are made lower case first, and only the first operand counts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

TRUE_WORDS = frozenset(("1", "t", "true", "on", "y", "yes"))
FALSE_WORDS = frozenset(("0", "f", "false", "off", "n", "no"))
OR = "<or>"


class Answer(NamedTuple):
    """What Manila's matching says.

    Attributes:
        matches: whether the capability satisfies the spec.
        raises: the class of the exception that escapes from Manila's function, empty when it returns. It aborts the
            whole scheduling request, so no host matches.
    """

    matches: bool
    raises: str = ""


def matches(spec_value: str, capability: object) -> bool:
    """Whether a capability satisfies the value of an extra spec, exactly as Manila 23 answers.

    The capability is taken as one value: that one element of a list is enough is a rule of the filter, see
    :func:`dsl.openstack.accepts`. Where Manila's function raises, the scheduling request is aborted and no host is
    chosen, so the answer is False; :func:`answer` tells the two apart. Raises nothing.
    """
    return answer(spec_value, capability).matches


def answer(spec_value: str, capability: object) -> Answer:
    """As :func:`matches`, and whether Manila's function raises. Raises nothing itself, whatever the values are."""
    try:
        return Answer(_match(spec_value, capability))
    except Exception as error:  # noqa: BLE001 - whatever escapes here, escapes from Manila as well
        return Answer(matches=False, raises=type(error).__name__)


def is_operator(word: str) -> bool:
    """Whether the first word of a spec is an operator of Manila, in any case."""
    return word.lower() == OR or word.lower() in _OPERATORS


def as_boolean(value: object, *, otherwise: object = False) -> object:
    """True or false for a boolean and for the words that OpenStack knows, in any case; else ``otherwise``.

    Raises:
        Exception: whatever the value raises when it is made into text.
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    return False if word in FALSE_WORDS else otherwise


def alternatives(operands: Sequence[str]) -> Sequence[str]:
    """The words that ``<or>`` compares: every other one, whatever stands between them."""
    return operands[::2]


def _match(spec_value: str, capability: object) -> bool:
    wanted = spec_value.lower()
    has = capability.lower() if isinstance(capability, str) else capability
    words = wanted.split()
    name = words[0] if words else ""
    operands = words[1:]
    if name != OR and name not in _OPERATORS:
        return bool(has == (as_boolean(wanted, otherwise=wanted) if isinstance(has, bool) else wanted))
    if has is None:
        return False
    if name == OR:
        # Without any operand Manila takes one from an empty list.
        return operands[0] == has or any(word == has for word in alternatives(operands)[1:])
    try:
        return bool(operands and _OPERATORS[name](has, operands[0]))
    except ValueError:
        return False


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    return lambda has, operand: compare(float(has), float(operand))


def _same_truth(has: object, operand: str) -> bool:
    return as_boolean(has) is as_boolean(operand)


_OPERATORS: Mapping[str, Callable[[Any, str], Any]] = MappingProxyType(
    {
        "=": _numbers(operator.ge),
        "==": _numbers(operator.eq),
        "!=": _numbers(operator.ne),
        ">=": _numbers(operator.ge),
        "<=": _numbers(operator.le),
        "s==": operator.eq,
        "s!=": operator.ne,
        "s<": operator.lt,
        "s<=": operator.le,
        "s>": operator.gt,
        "s>=": operator.ge,
        "<in>": operator.contains,
        "<is>": _same_truth,
    }
)
