"""Text to tree, by lark. The parser is built once per process, when the first expression is compiled."""

from __future__ import annotations

import functools
import threading
from importlib import resources

from lark import Lark, UnexpectedCharacters, UnexpectedToken
from lark.exceptions import UnexpectedInput

from dsl.expressions.errors import ExpressionError
from dsl.expressions.mistakes import character_error, token_error
from dsl.expressions.scanning import MAX_DEPTH, scan
from dsl.expressions.syntax import Builder, Node

MAX_PARTS = 256


# Reading a grammar builds syntax trees of Python, which CPython 3.11 cannot do in two threads at once.
_BUILDING = threading.Lock()


def parser() -> Lark:
    """The parser; safe for threads, as its tree builder holds no state and each parse has its own."""
    with _BUILDING:
        return _built()


@functools.cache
def _built() -> Lark:
    """Never from a cache file of lark: that is a pickle in a directory that others can write to."""
    grammar = resources.files(__package__).joinpath("expression.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", strict=True, maybe_placeholders=True, transformer=Builder())


def parse(text: str) -> Node | ExpressionError:
    """The tree of an expression, or the first mistake of syntax or size."""
    words = scan(text)
    if isinstance(words, ExpressionError):
        return words
    if all(word.kind == "comment" for word in words):
        hint = "write a rule, like `pool.free >= 1 TiB`"
        return ExpressionError("S306", "the expression is empty", 0, len(text), label="nothing here", hint=hint)
    try:
        tree = parser().parse(text)
    except UnexpectedToken as error:
        return token_error(text, words, error.token, frozenset(error.accepts or error.expected))
    except UnexpectedCharacters as error:
        return character_error(text, getattr(error, "pos_in_stream", 0))
    except UnexpectedInput as error:
        return ExpressionError("S306", "the expression cannot be read", 0, len(text), hint=str(error)[:60])
    if not isinstance(tree, Node):
        raise TypeError(tree)
    return _too_large(tree) or tree


def _too_large(tree: Node) -> ExpressionError | None:
    place = (tree.start, tree.end)
    hint = "split it into several rules"
    if tree.parts > MAX_PARTS:
        message = f"the expression has {tree.parts:,} parts, more than {MAX_PARTS}"
        return ExpressionError("S301", message, *place, label="values, names and operators", hint=hint)
    if tree.depth > MAX_DEPTH:
        message = f"the expression is nested {tree.depth:,} deep, more than {MAX_DEPTH}"
        return ExpressionError("S302", message, *place, label="too deep", hint=hint)
    return None
