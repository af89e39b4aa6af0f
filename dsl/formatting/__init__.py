"""Spec files in one form, with every comment, and with the meaning that they had.

What is changed: the order of keys (``apiVersion``, ``kind``, ``name``, then as the kind declares them, at every depth;
keys that a kind does not have come last), indentation by two spaces, single quotes where double ones do as well, white
space around values and comments and inside of expressions, and empty lines (one at most). What is left: every other
value as it is written, block or brackets, line breaks inside of text, the order of lists and of keys that users choose.
"""

from __future__ import annotations

from collections import Counter

from dsl.formatting import expressions
from dsl.formatting.comments import marks_of
from dsl.formatting.expressions import format_expression, is_expression
from dsl.formatting.layout import layout_of
from dsl.formatting.writing import text_of_pages
from dsl.problems import START, Problem, Source, SpecProblems
from dsl.yaml_tree import Entries, Items, Node, Parsed, parse

__all__ = ["format_expression", "format_text"]


def format_text(text: str, name: str = "<text>") -> str:
    """A spec file in its form; lines end in a line feed.

    A file with mistakes that only ``spec check`` finds, such as an unknown key, is formatted as well.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        SpecProblems: the text is not YAML as specs use it, or (``S501``) it cannot be formatted without a change of
            its meaning or the loss of a comment.
    """
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    before = parse(source)
    if before.problems:
        raise SpecProblems(before.problems)
    formatted = text_of_pages(layout_of(source.text, before.documents))
    after = parse(Source(name, formatted))
    if not _same(before, after) or _comments(source.text) != _comments(formatted):
        raise SpecProblems([_refused(source)])
    return formatted


def _refused(source: Source) -> Problem:
    message = "the file cannot be formatted without changing what it says"
    return source.problem("S501", message, START, hint="simplify long keys and texts, or leave the file as it is")


def _same(before: Parsed, after: Parsed) -> bool:
    return not after.problems and [_content(node, ()) for node in before.documents] == [
        _content(node, ()) for node in after.documents
    ]


def _content(node: Node, path: tuple[str, ...]) -> object:
    """What a tree says, without its places. True is not 1."""
    if isinstance(node, Entries):
        return {key.text: _content(value, (*path, key.text)) for key, value in node.entries}
    if isinstance(node, Items):
        return [_content(item, (*path, "*")) for item in node.items]
    if isinstance(node.value, str) and is_expression(path):
        return expressions.format_expression(node.value)
    return type(node.value), node.value


def _comments(text: str) -> Counter[str]:
    return Counter(comment.text for comment in marks_of(text).comments)
