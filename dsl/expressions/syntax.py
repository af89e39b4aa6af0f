"""The tree of an expression as it was written. Every node knows its place, its number of parts and its depth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lark import Token, Transformer


class Sign(NamedTuple):
    """An operator, word or bracket and its place."""

    text: str
    start: int
    end: int


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A part of an expression.

    Attributes:
        start, end: offsets into the text; with the brackets around the node.
        parts: values, names and operators in it.
        depth: levels of nesting in it; a flat chain is one level.
    """

    start: int
    end: int
    parts: int = 1
    depth: int = 1


@dataclass(slots=True, eq=False)
class Quantity(Node):
    """A number, perhaps with a unit."""

    number: str
    unit: Sign | None


@dataclass(slots=True, eq=False)
class Parts(Node):
    """Three or more numbers with dots between: a version that lacks its quotes."""

    text: str


@dataclass(slots=True, eq=False)
class Text(Node):
    """A text with the quotes it was written in."""

    value: str
    quote: str


@dataclass(slots=True, eq=False)
class Name(Node):
    """A name with its dots."""

    text: str


@dataclass(slots=True, eq=False)
class Items(Node):
    """A list; ``bracket`` is ``[``, or ``(`` which the language does not have."""

    bracket: str
    items: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function with its arguments."""

    function: Sign
    arguments: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Chain(Node):
    """Operands joined by ``and``, or by ``or``."""

    word: str
    signs: tuple[Sign, ...]
    operands: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Negation(Node):
    """``not`` and its operand."""

    sign: Sign
    operand: Node


@dataclass(slots=True, eq=False)
class Comparison(Node):
    """Operands with comparison signs between; more than two are refused later."""

    signs: tuple[Sign, ...]
    operands: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class WordOperation(Node):
    """``in``, ``like``, ``between`` or ``is``, each perhaps with ``not``; ``signs`` are its words as written."""

    word: str
    negated: bool
    signs: tuple[Sign, ...]
    operands: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Arithmetic(Node):
    """Operands with ``+ -`` or with ``* /`` between."""

    signs: tuple[Sign, ...]
    operands: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Signed(Node):
    """A sign before its operand."""

    sign: Sign
    operand: Node


@dataclass(slots=True, eq=False)
class Ternary(Node):
    """``a ? b : c``, which the language does not have."""

    operands: tuple[Node, ...] = field(default=())


Child = Node | Token | None


def sign_of(token: Token) -> Sign:
    """A token with its place."""
    start, end = token.start_pos, token.end_pos
    return Sign(str(token), start if start is not None else 0, end if end is not None else 0)


def _around(children: Sequence[Child], own: int) -> dict[str, int]:
    """Place, parts and depth of a node with these children and so many parts of its own."""
    start = end = -1
    parts, depth = own, 0
    for child in children:
        if child is None:
            continue
        if isinstance(child, Node):
            first, last = child.start, child.end
            parts += child.parts
            depth = max(depth, child.depth)
        else:
            _, first, last = sign_of(child)
        start = first if start < 0 else start
        end = last
    return {"start": start, "end": end, "parts": parts, "depth": depth + 1}


def _nodes(children: Iterable[Child]) -> tuple[Node, ...]:
    return tuple(child for child in children if isinstance(child, Node))


def _signs(children: Iterable[Child]) -> tuple[Sign, ...]:
    return tuple(sign_of(child) for child in children if isinstance(child, Token))


class Builder(Transformer[Token, Node]):
    """Makes the tree while lark parses, from the leaves upwards, so that no depth needs recursion. Holds no state."""

    def start(self, children: list[Child]) -> Node:
        """The whole."""
        return _nodes(children)[0]

    def quantity(self, children: list[Child]) -> Node:
        """``10 GiB``."""
        number, unit = children
        sign = sign_of(unit) if isinstance(unit, Token) else None
        return Quantity(str(number), sign, **_around(children, 1) | {"depth": 1})

    def parts(self, children: list[Child]) -> Node:
        """``9.13.1``."""
        return Parts(str(children[0]), **_around(children, 1))

    def text(self, children: list[Child]) -> Node:
        """``"abc"``."""
        written = str(children[0])
        return Text(written[1:-1], written[0], **_around(children, 1))

    def name(self, children: list[Child]) -> Node:
        """``pool.free``."""
        return Name(str(children[0]), **_around(children, 1))

    def items(self, children: list[Child]) -> Node:
        """``[a, b]``."""
        return Items(str(children[0]), _nodes(children), **_around(children, 1))

    def call(self, children: list[Child]) -> Node:
        """``min(a, b)``."""
        return Call(_signs(children[:1])[0], _nodes(children), **_around(children, 1))

    def bracket(self, children: list[Child]) -> Node:
        """``(a)``; the place of what is inside grows."""
        opening, inner, closing = children
        if not isinstance(inner, Node):
            raise TypeError(inner)
        inner.start, inner.end = _signs([opening])[0].start, _signs([closing])[0].end
        return inner

    def sign(self, children: list[Child]) -> Node:
        """``-a``."""
        return Signed(_signs(children)[0], _nodes(children)[0], **_around(children, 1))

    def sum(self, children: list[Child]) -> Node:
        """``a + b - c``."""
        signs = _signs(children)
        return Arithmetic(signs, _nodes(children), **_around(children, len(signs)))

    def term(self, children: list[Child]) -> Node:
        """``a * b / c``."""
        return self.sum(children)

    def comparison(self, children: list[Child]) -> Node:
        """``a < b``."""
        signs = _signs(children)
        return Comparison(signs, _nodes(children), **_around(children, len(signs)))

    def membership(self, children: list[Child]) -> Node:
        """``a in b``."""
        return self._words("in", children)

    def likeness(self, children: list[Child]) -> Node:
        """``a like b``."""
        return self._words("like", children)

    def between(self, children: list[Child]) -> Node:
        """``a between b and c``."""
        return self._words("between", children)

    def identity(self, children: list[Child]) -> Node:
        """``a is b``."""
        return self._words("is", children)

    def _words(self, word: str, children: list[Child]) -> Node:
        signs = _signs(children)
        negated = any(isinstance(child, Token) and child.type == "NOT" for child in children)
        return WordOperation(word, negated, signs, _nodes(children), **_around(children, 1))

    def negation(self, children: list[Child]) -> Node:
        """``not a``."""
        return Negation(_signs(children)[0], _nodes(children)[0], **_around(children, 1))

    def or_(self, children: list[Child]) -> Node:
        """``a or b``."""
        return self._chain("or", children)

    def and_(self, children: list[Child]) -> Node:
        """``a and b``."""
        return self._chain("and", children)

    def _chain(self, word: str, children: list[Child]) -> Node:
        signs = _signs(children)
        return Chain(word, signs, _nodes(children), **_around(children, len(signs)))

    def ternary(self, children: list[Child]) -> Node:
        """``a ? b : c``."""
        return Ternary(_nodes(children), **_around(children, 1))
