"""What a YAML parser says about text that is not YAML, in our form and at the most helpful place."""

from __future__ import annotations

import yaml

from dsl.problems import START, Problem, Source, Span, shown

_SYNTAX_HINTS = (
    ("mapping values are not allowed", "quote the text when it contains `: `, or check the indentation"),
    ("that cannot start any token", "quote the value, and indent with spaces instead of tabs"),
    ("found a tab character", "indent with spaces instead of tabs"),
    ("could not find expected ':'", "write `key: value`"),
    ("did not find expected ',' or", "close the bracket, or put a comma between two values"),
    ("did not find expected node content", "write a value here, or remove the comma or sign before it"),
    ("found unexpected end of stream", "close the quote"),
    ("found unexpected document indicator", "close the quote"),
    ("found unexpected document separator", "close the quote"),
    ("did not find expected key", "check the indentation: keys of one mapping begin in one column"),
    ("did not find expected '-'", "check the indentation: items of one list begin in one column"),
    ("found unknown escape character", r"write \\ for a backslash, or use single quotes"),
    ("undefined tag handle", "remove the tag; quote a value to make it text"),
)
_ENDS = ("unexpected end of stream", "unexpected document indicator", "unexpected document separator")
_CLOSE = "close the bracket, or put a comma between two values"


def syntax_problem(source: Source, error: yaml.YAMLError | None, bracket: Span | None, shift: int = 0) -> Problem:
    """A problem at the place of the mistake.

    Args:
        source: the text.
        error: what the parser raised; None when it failed in a way that names no place.
        bracket: the innermost bracket that is open, if any.
        shift: lines of the text before the part that the parser was given.
    """
    if not isinstance(error, yaml.MarkedYAMLError):
        label = shown(error, 60) if error is not None else ""
        return source.problem("S006", "the text is not YAML", START, label=label, hint="check quotes and escapes")
    reason = error.problem or error.context or "the text is not YAML"
    mark = error.problem_mark or error.context_mark
    at = _at(mark, shift) if mark is not None else START
    hint = next((text for part, text in _SYNTAX_HINTS if part in reason), "check quotes, brackets and indentation")
    span, hint = _opened_at(source, error, at, bracket, hint, shift)
    note = "" if span == at else f"the parser gave up at {source.at(at)}"
    where = f"here ({error.context})" if error.context else "here"
    return source.problem("S006", f"not YAML: {shown(reason, 60)}", span, label=where, hint=hint, note=note)


def _opened_at(
    source: Source, error: yaml.MarkedYAMLError, at: Span, bracket: Span | None, hint: str, shift: int
) -> tuple[Span, str]:
    """Where a quote or bracket was opened, when it was never closed; else the place where the parser stopped."""
    reason = error.problem or ""
    if error.context_mark is not None and any(end in reason for end in _ENDS):
        return _at(error.context_mark, shift), hint
    ends = source.ends_at(at) or source.next_document(at.line - 1) == at.line - 1
    unclosed = "expected ',' or" in reason or ("node content" in reason and ends)
    return (bracket, _CLOSE) if unclosed and bracket is not None else (at, hint)


def _at(mark: yaml.Mark, shift: int) -> Span:
    line = mark.line + shift + 1
    return Span(line, mark.column + 1, line, mark.column + 2)
