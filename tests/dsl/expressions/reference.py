"""A slow second reading of the language, made to be obviously right: its own parser, a walk over its own tree.

It shares nothing with the compiler: numbers are fractions in bytes, seconds and I/Os, whatever they measure, so that
dimensions need no care; lists of tokens are consumed by functions that call each other. It expects correct rules.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from dsl.expressions import Env, Version

Tree = tuple[Any, ...]

_TOKEN = re.compile(
    r'\s*(?:#[^\n]*\s*)*(?:(?P<text>"[^"]*")|(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)'
    r"|(?P<word>[A-Za-z_][\w]*(?:\.\w+)?)|(?P<sign>==|!=|<=|>=|.))"
)
_SIZES: dict[str, Fraction | int] = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_TIMES: dict[str, Fraction | int] = {
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
}
_UNITS: dict[str, Fraction] = {name: Fraction(worth) for name, worth in {**_SIZES, **_TIMES, "IOPS": 1}.items()}
_KEYWORDS = ("and", "or", "not", "in", "like", "between")


def tokens(text: str) -> list[str]:
    """The words and signs of a rule."""
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        assert match is not None
        at = match.end()
        if match.lastgroup is not None:
            found.append(match.group(match.lastgroup))
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.left = tokens(text)

    def peek(self, at: int = 0) -> str:
        return self.left[at] if at < len(self.left) else ""

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted:
            self.left.pop(0)
            return True
        return False

    def must(self, wanted: str) -> None:
        assert self.take(wanted), (wanted, self.left)

    def any_of(self) -> Tree:
        tree = self.all_of()
        while self.take("or"):
            tree = ("or", tree, self.all_of())
        return tree

    def all_of(self) -> Tree:
        tree = self.negation()
        while self.take("and"):
            tree = ("and", tree, self.negation())
        return tree

    def negation(self) -> Tree:
        return ("not", self.negation()) if self.take("not") else self.comparison()

    def comparison(self) -> Tree:
        left = self.total()
        negated = self.take("not")
        word = self.peek()
        tree: Tree
        if self.take("in"):
            tree = ("in", left, self.total())
        elif self.take("like"):
            tree = ("like", left, self.total())
        elif self.take("between"):
            low = self.total()
            self.must("and")
            tree = ("between", left, low, self.total())
        elif self.take("==", "!=", "<", "<=", ">", ">="):
            tree = (word, left, self.total())
        else:
            return left
        return ("not", tree) if negated else tree

    def total(self) -> Tree:
        tree = self.product()
        while self.peek() in ("+", "-"):
            sign = self.left.pop(0)
            tree = (sign, tree, self.product())
        return tree

    def product(self) -> Tree:
        tree = self.factor()
        while self.peek() in ("*", "/"):
            sign = self.left.pop(0)
            tree = (sign, tree, self.factor())
        return tree

    def factor(self) -> Tree:
        return ("negative", self.factor()) if self.take("-") else self.atom()

    def atom(self) -> Tree:
        word = self.left.pop(0)
        if word == "(":
            tree = self.any_of()
            self.must(")")
            return tree
        if word == "[":
            return ("list", *self.several("]"))
        if word[0] == '"':
            return ("value", word[1:-1])
        if word[0].isdigit():
            return ("value", Fraction(word.replace("_", "")) * self.unit())
        return self.named(word)

    def named(self, word: str) -> Tree:
        if word in ("true", "false"):
            return ("value", word == "true")
        return (word, *self.several(")")) if self.take("(") else ("name", *word.split("."))

    def several(self, closing: str) -> list[Tree]:
        found = [self.any_of()]
        while self.take(","):
            found.append(self.any_of())
        self.must(closing)
        return found

    def unit(self) -> Fraction:
        if self.take("%"):
            return Fraction(1, 100)
        word = self.peek()
        if word not in _UNITS:
            return Fraction(1)
        self.left.pop(0)
        worth = _UNITS[word]
        while self.peek() == "/" and self.peek(1) in _UNITS:
            self.left.pop(0)
            worth /= _UNITS[self.left.pop(0)]
        return worth


class Reference:
    """Evaluates rules over the attributes that were declared in plain values; None is unknown."""

    def __init__(self, **declared: Mapping[str, object]) -> None:
        self.declared = declared

    def result(self, text: str, env: Env) -> Any:
        """The value of a rule or an amount."""
        reader = _Reader(text)
        tree = reader.any_of()
        assert not reader.left
        return self.walk(tree, env)

    def walk(self, tree: Tree, env: Env) -> Any:
        """The value of a part."""
        kind, *parts = tree
        if kind == "value":
            return parts[0]
        if kind == "name":
            return self.attribute(parts[0], parts[1], env)
        if kind == "has":
            return getattr(env, parts[0][1]).get(parts[0][2]) is not None
        values = [self.walk(part, env) for part in parts]
        if kind in ("and", "or", "not", "any", "all"):
            return _logic(kind, values)
        return None if None in values else _operation(kind, values)

    def attribute(self, namespace: str, name: str, env: Env) -> Any:
        """An attribute in bytes, seconds and I/Os; None when it is absent or not as declared."""
        return _coherent(getattr(env, namespace).get(name), self.declared[namespace][name])


def _coherent(value: Any, declared: Any) -> Any:
    kind = declared["type"] if isinstance(declared, Mapping) else declared
    if kind in ("list", "set"):
        if not isinstance(value, tuple | list | set | frozenset):
            return None
        items = [_coherent(item, declared["of"]) for item in value]
        return None if None in items else items if kind == "list" else list(dict.fromkeys(items))
    if kind == "number":
        whole = isinstance(declared, Mapping) and declared.get("unit") in ("GiB", "MiB/s", "IOPS")
        good = type(value) is int or (type(value) is Fraction and not whole)
        return Fraction(value) if good else None
    if kind == "duration":
        return Fraction(value, 10**6) if type(value) is int else None
    if kind == "enum":
        return value if type(value) is str and value in declared["values"] else None
    return value if type(value) is {"bool": bool, "text": str, "version": Version}[kind] else None


def _logic(kind: str, values: list[Any]) -> bool | None:
    if kind == "not":
        return None if values[0] is None else not values[0]
    if kind in ("any", "all") and len(values) == 1 and isinstance(values[0], list):
        return any(values[0]) if kind == "any" else all(values[0])
    decisive = kind in ("or", "any")
    if any(value is decisive for value in values):
        return decisive
    return None if None in values else not decisive


def _compared(values: list[Any]) -> list[Any]:
    """Versions as padded lists of numbers; a text beside a version is one."""
    if not any(isinstance(value, Version) for value in values):
        return values
    parts = [[int(part) for part in str(value).split(".")] for value in values]
    return [part + [0] * (8 - len(part)) for part in parts]


def _member(value: Any, items: list[Any]) -> bool:
    return any(
        len({*map(str, pair)}) == 1 or pair[0] == pair[1] for pair in (_compared([value, item]) for item in items)
    )


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "between": lambda a, b, c: b <= a <= c,
    "in": _member,
    "like": lambda a, b: fnmatch.fnmatchcase(a, b.replace("[", "[[]").replace("?", "[?]")),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None,
    "negative": lambda a: -a,
    "abs": abs,
    "floor": lambda a: Fraction(a.numerator // a.denominator),
    "ceil": lambda a: Fraction(-(-a.numerator // a.denominator)),
    "len": lambda a: Fraction(len(a)),
    "list": lambda *items: list(items),
}


def _operation(kind: str, values: list[Any]) -> Any:
    if kind in ("min", "max"):
        numbers = values[0] if isinstance(values[0], list) else values
        return (min if kind == "min" else max)(numbers) if numbers else None
    return _OPERATIONS[kind](*(_compared(values) if kind in ("==", "!=", "<", "<=", ">", ">=", "between") else values))
