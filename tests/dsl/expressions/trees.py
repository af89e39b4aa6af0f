"""What the text of an expression says, without its places: to compare two texts."""

from __future__ import annotations

from dataclasses import fields

from dsl.expressions.parsing import parse
from dsl.expressions.syntax import Node, Sign


def tree(text: str) -> object:
    """The tree of an expression; the text itself when there is none."""
    found = parse(text)
    return _said(found) if isinstance(found, Node) else text


def _said(part: object) -> object:
    if isinstance(part, Sign):
        return part.text
    if isinstance(part, tuple):
        return tuple(map(_said, part))
    if isinstance(part, Node):
        return type(part), [_said(getattr(part, one.name)) for one in fields(part) if one.name not in ("start", "end")]
    return part
