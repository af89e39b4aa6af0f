"""Scalars as text: as they were written, indented anew, with the quotes chosen where that is safe."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from dsl.formatting import expressions
from dsl.problems import Source, Span
from dsl.yaml_tree import Items, Scalar, parse


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar without its indentation.

    Attributes:
        lines: the first stands behind the key; the others are indented when they are written.
        block: it is a block of lines behind ``|`` or ``>``.
        kept: empty lines at its end belong to it, so that none is added behind it.
    """

    lines: tuple[str, ...]
    block: bool = False
    kept: bool = False


def text_of(node: Scalar, lines: list[str], column: int, *, flow: bool, expression: bool) -> Text:
    """A scalar in its final form.

    Args:
        node: the scalar.
        lines: the lines of the file.
        column: characters before the collection that it is in; 0 when it is in none.
        flow: it stands inside of brackets.
        expression: it is an expression of ours.
    """
    raw = raw_lines(node.span, lines)
    if not node.plain and raw[0][:1] in ("|", ">"):
        block = _block(node, raw, column)
        return _rule_in_block(block) if expression else block
    if expression and len(raw) == 1 and isinstance(node.value, str):
        better = expressions.format_expression(node.value)
        if better != node.value and "\n" not in better:
            return Text((_written(better, flow=flow),))
    stripped = "\n".join(_stripped(raw, node))
    if expression and len(raw) > 1 and node.plain:
        return Text(tuple(_rule_in_lines(stripped, node, flow=flow).split("\n")))
    return Text(tuple(_requoted(stripped).split("\n")))


def _rule_in_block(block: Text) -> Text:
    """An expression in a block. YAML joins the lines behind ``>``, so that a comment there means more than it shows."""
    header, *body = block.lines
    if not body or (header.startswith(">") and any("#" in line for line in body)):
        return block
    return replace(block, lines=(header, *expressions.format_expression("\n".join(body)).split("\n")))


def _rule_in_lines(text: str, node: Scalar, *, flow: bool) -> str:
    """An expression in lines that YAML joins."""
    better = expressions.format_expression(text)
    same = expressions.format_expression(_read(better, flow=flow) or "") == expressions.format_expression(node.text)
    return better if same else text


def key_text(node: Scalar, lines: list[str]) -> str:
    """A key in one line."""
    raw = raw_lines(node.span, lines)
    if len(raw) == 1 and raw[0][:1] not in ("|", ">"):
        return _requoted(raw[0])
    return json.dumps(node.text, ensure_ascii=False)


def raw_lines(span: Span, lines: list[str]) -> list[str]:
    """What stands at a place of a file, line by line."""
    found = lines[span.line - 1 : span.end_line]
    if not found:
        return [""]
    found[-1] = found[-1][: span.end_column - 1]
    found[0] = found[0][span.column - 1 :]
    return found


def _stripped(raw: list[str], node: Scalar) -> list[str]:
    """Lines without the white space around them, which is no part of the text; an escaped space is one."""
    if len(raw) == 1:
        return raw
    stripped = [raw[0], *(line.lstrip() for line in raw[1:])]
    escapes = not node.plain and raw[0].startswith('"')
    return [line if escapes and line.rstrip().endswith("\\") else line.rstrip() for line in stripped]


def _requoted(raw: str) -> str:
    """Single quotes become double quotes where nothing has to be escaped for that."""
    inner = raw[1:-1]
    if len(raw) < 2 or raw[0] != "'" or '"' in inner or "\\" in inner:
        return raw
    return '"' + inner.replace("''", "'") + '"'


def _block(node: Scalar, raw: list[str], column: int) -> Text:
    """A block of lines, without the indentation that it had."""
    header = raw[0].split("#")[0].strip()
    if raw[-1] == "":  # the block ends before this line
        raw = raw[:-1]
    kept = "+" in header
    digits = [ch for ch in header if ch.isdigit()]
    content = raw[1:]
    if digits:
        depth = column + int(digits[0])
        header = header.replace(digits[0], "2")
    else:
        full = [line for line in content if line.strip(" ")]
        depth = len(full[0]) - len(full[0].lstrip(" ")) if full else max(map(len, content), default=0)
    if node.text and not node.text.endswith("\n") and "-" not in header:
        # The file ends here without a line break, which the text therefore does not have either.
        header, kept = header.rstrip("+") + "-", False
    body = [line[depth:] if len(line) > depth else "" for line in content]
    while body and not body[-1] and not kept:
        body.pop()
    return Text((header, *body), block=True, kept=kept or (bool(body) and not body[-1].strip()))


def _written(text: str, *, flow: bool) -> str:
    """Text in one line, in the plainest form that is read as the same text."""
    if _reads_as_itself(text, flow=flow):
        return text
    return f'"{text}"' if '"' not in text and "\\" not in text else "'" + text.replace("'", "''") + "'"


def _reads_as_itself(text: str, *, flow: bool) -> bool:
    return _read(text, flow=flow) == text


def _read(text: str, *, flow: bool) -> str | None:
    """The text that a plain scalar is read as; None when it is something else."""
    written = text.replace("\n", "\n  ")
    parsed = parse(Source("", f"[{written}]" if flow else f"- {written}"))
    node = parsed.documents[0] if parsed.documents and not parsed.problems else None
    item = node.items[0] if isinstance(node, Items) and len(node.items) == 1 else None
    return item.value if isinstance(item, Scalar) and isinstance(item.value, str) else None
