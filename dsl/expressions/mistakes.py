"""What to say where the parser cannot go on: the word it stopped at, what stands before it, what was meant."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence

from lark import Token

from dsl.expressions.errors import ExpressionError
from dsl.expressions.scanning import Word
from dsl.problems import shown

_TERNARY = "write `(a and b) or (not a and c)` for `a ? b : c`"
_WORD_CHARACTERS = string.ascii_letters + string.digits + "_."
_OPERANDS = frozenset({"NAME", "NUMBER", "TEXT", "PARTS", "LPAR", "LSQB", "NOT"})
_RELATIONS = frozenset({"REL", "IN", "LIKE", "BETWEEN", "IS", "NOT"})

# Words that other languages have between or before two values.
_OTHER_WORDS = {
    **dict.fromkeys(("contains", "includes", "has", "include"), "write `VALUE in LIST`, the value first"),
    **dict.fromkeys(("equals", "equal", "eq"), "write `==`"),
    **dict.fromkeys(("ne", "neq", "isnt"), "write `!=`"),
    **dict.fromkeys(("gt", "greater", "above", "over"), "write `>`"),
    **dict.fromkeys(("ge", "gte"), "write `>=`"),
    **dict.fromkeys(("lt", "less", "below", "under"), "write `<`"),
    **dict.fromkeys(("le", "lte"), "write `<=`"),
    **dict.fromkeys(("matches", "match", "regex", "rlike", "ilike", "glob"), "write `like`, with `*` for any text"),
    **dict.fromkeys(("startswith", "starts", "begins"), 'write `like "abc*"`'),
    **dict.fromkeys(("endswith", "ends"), 'write `like "*abc"`'),
    **dict.fromkeys(("if", "when", "then", "else", "unless", "where"), "write the condition alone"),
    **dict.fromkeys(("mod", "div", "rem"), "write `/`, and `floor(...)` to round"),
    "xor": "write `!=` between two truth values",
}  # fmt: skip
_CHARACTERS = {
    "\u2265": "write `>=`", "\u2264": "write `<=`", "\u2260": "write `!=`", "\u00d7": "write `*`",
    "\u00f7": "write `/`", "\u2212": "write `-`", "\u2013": "write `-`", "\u2014": "write `-`",
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u00b4", 'write texts between plain quotes, `"abc"`'),
    "`": 'write texts between double quotes, `"abc"`', ";": "write one rule only, without `;` at the end",
    "~": "write `like`, with `*` for any text", "\\": "remove it; a text goes to its closing quote",
    **dict.fromkeys("{}", "write lists in square brackets, `[a, b]`"),
    **dict.fromkeys("$@", "write names plainly, like `pool.free`"),
    "\u2227": "write `and`", "\u2228": "write `or`", "\u00ac": "write `not`", "\u2208": "write `in`",
}  # fmt: skip


def character_error(text: str, at: int) -> ExpressionError:
    """No word or sign of the language begins with the character at an offset."""
    character = text[at : at + 1]
    if character == ".":
        return _dot_error(text, at)
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    seen = character if character.isprintable() else f"U+{ord(character):04X}"
    message = f"the character `{seen}` cannot be used"
    hint = _CHARACTERS.get(character)
    if hint is not None:
        label = "not a sign of the language" if character.isascii() else name.lower()
    elif character.isspace():
        label, hint = name.lower(), "write a plain space"
    elif character.isalnum():
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        label, hint = name.lower(), f"write `{plain}`" if plain else "names have the letters a to z, digits and _"
    else:
        label, hint = name.lower(), "remove it"
    return ExpressionError("S305", message, at, at + 1, label=shown(label), hint=hint)


def _dot_error(text: str, at: int) -> ExpressionError:
    if not text[at + 1 : at + 2].isascii():
        return character_error(text, at + 1)
    digits = re.compile(r"[0-9]+").match(text, at + 1)
    before = text[:at]
    left = before[len(before.rstrip(_WORD_CHARACTERS)) :]
    if digits is not None and not left:
        hint, end = f"write `0.{shown(digits.group(), 20)}`", digits.end()
    elif left[:1].isdigit():
        hint, end = f"write `{shown(left, 20)}` or `{shown(left, 20)}.0`", at + 1
    else:
        hint, end = "write a name behind the dot, like `pool.free`", at + 1
    return ExpressionError("S305", "a dot cannot stand here", at, end, label="part of no name or number", hint=hint)


def token_error(text: str, words: Sequence[Word], token: Token, accepts: frozenset[str]) -> ExpressionError:
    """The parser stopped at a token.

    Args:
        text: the expression.
        words: what it consists of.
        token: where the parser stopped.
        accepts: the kinds of tokens with which it could have gone on.
    """
    start = len(text) if token.type == "$END" else token.start_pos or 0
    around = next((word for word in words if word.kind == "sign" and word.start < start < word.end), None)
    if around is not None:
        message, hint = f"`{shown(around.text, 20)}` is not used here", "use `== != < <= > >=` and `+ - * /`"
        return _at(around, message, "not a sign of the language", hint, "S307")
    before = [word for word in words if word.end <= start and word.kind != "comment"]
    previous = before[-1] if before else None
    operation = _open_operation(token, before, start, accepts)
    if operation is not None:
        return operation
    if token.type == "$END":
        return _end_error(previous, len(text))
    here = Word("", str(token), start, token.end_pos or start + 1)
    if token.type in _OPERANDS:
        return _operand_error(token, here, previous)
    return _operator_error(text, token, here, previous, accepts)


def _open_operation(
    token: Token, before: Sequence[Word], start: int, accepts: frozenset[str]
) -> ExpressionError | None:
    """A ``between``, a ``not`` or a ``?`` that stands before the place and lacks what belongs to it."""
    previous = before[-1] if before else None
    if "AND" in accepts and "OR" not in accepts and "$END" not in accepts and any(_is(w, "between") for w in before):
        return _between_error(token, previous, start)
    if accepts <= {"IN", "LIKE", "BETWEEN"} and previous is not None:
        hint = "write `not in`, `not like` or `not between`; or `and not`"
        return _at(
            previous, f"`{shown(previous.text, 20)}` cannot stand between two values", "another word is missing", hint
        )
    question = next((word for word in before if word.text == "?"), None)
    if question is not None:
        return _at(question, "there is no `? :`", "not a sign of the language", _TERNARY, "S307")
    return None


def _is(word: Word, name: str) -> bool:
    return word.kind == "name" and word.text.lower() == name


def _at(word: Word, message: str, label: str, hint: str, code: str = "S306") -> ExpressionError:
    return ExpressionError(code, message, word.start, word.end, label=label, hint=hint)


def _between_error(token: Token, previous: Word | None, start: int) -> ExpressionError:
    hint = "write `between LOW and HIGH`"
    if token.type == "$END" and previous is not None:
        return _at(previous, "`between` has no `and`", "an upper bound is missing after this", hint)
    here = Word("", str(token), start, token.end_pos or start + 1)
    return _at(here, "`between` has no `and`", "`and` is missing before this", hint)


def _end_error(previous: Word | None, end: int) -> ExpressionError:
    if previous is None:
        hint = "write a rule, like `pool.free >= 1 TiB`"
        return ExpressionError("S306", "the expression is empty", 0, end, label="nothing here", hint=hint)
    message = f"the expression ends after `{shown(previous.text, 20)}`"
    return _at(previous, message, "something is missing after this", "write a value after it, or remove it")


def _operand_error(token: Token, here: Word, previous: Word | None) -> ExpressionError:
    """A value, a name, an opening bracket or ``not`` where an operator has to stand."""
    text = shown(here.text, 20)
    for word in (here, previous):
        if word is not None and word.text.lower() in _OTHER_WORDS:
            message = f"`{shown(word.text, 20)}` is not a word of the language"
            return _at(word, message, "not used here", _OTHER_WORDS[word.text.lower()], "S307")
    if token.type == "NOT":
        before = shown(previous.text, 20) if previous is not None else ""
        hint = "put brackets around it: `(not ...)`"
        return _at(here, f"`{text}` cannot stand after `{before}`", "not a value", hint)
    if token.type == "LSQB" and previous is not None and previous.end == here.start:
        return _at(here, "values of a list cannot be picked by position", "an index", "write `VALUE in LIST`")
    hint = "join the two with `and`, `or`, a comparison or arithmetic"
    return _at(here, f"an operator is missing before `{text}`", "two values side by side", hint)


def _operator_error(
    text: str, token: Token, here: Word, previous: Word | None, accepts: frozenset[str]
) -> ExpressionError:
    """An operator, a comma or a closing bracket where a value has to stand, or a comparison that goes on."""
    sign = shown(here.text, 20)
    if token.type in _RELATIONS and "AND" in accepts:
        message, hint = f"a comparison cannot go on with `{sign}`", "join two comparisons with `and`"
        return _at(here, message, "the comparison ends before this", hint, "S308")
    if token.type in ("QMARK", "COLON"):
        return _at(here, f"`{sign}` cannot stand here", "not a sign of the language", _TERNARY, "S307")
    if token.type == "UNIT":
        hint = "write `5 %` for a percentage; there is no remainder" if sign == "%" else "write a number before it"
        return _at(here, f"`{sign}` stands only behind a number", "a unit", hint)
    if token.type == "COMMA" and (previous is None or previous.text not in ("(", "[", ",")):
        around = re.search(r"([0-9]{1,3})\Z", text[: here.start]), re.match(r"([0-9]{3})(?![0-9])", text[here.end :])
        both = around[0] is not None and around[1] is not None
        hint = "write large numbers without commas: `1000` or `1_000`" if both else "write lists as `[a, b]`"
        return _at(here, "a comma cannot stand here", "not in a list", hint)
    return _missing_value(token, here, previous)


def _missing_value(token: Token, here: Word, previous: Word | None) -> ExpressionError:
    """An operator, a comma or a closing bracket without a value before it."""
    sign = shown(here.text, 20)
    if previous is None:
        return _at(here, f"a value is missing before `{sign}`", "nothing stands before it", "write a value before it")
    if token.type == "REL" and previous.kind == "sign" and previous.text + sign in ("<=", ">=", "==", "!="):
        hint = f"write `{previous.text}{sign}` without a space"
        return _at(here, f"`{previous.text}` and `{sign}` are apart", "belongs to the sign before it", hint)
    message = f"a value is missing before `{sign}`"
    if previous.text == ",":
        return _at(here, message, "follows `,`", "remove the comma, or write a value behind it")
    label = f"follows `{shown(previous.text, 20)}`"
    return _at(here, message, label, f"write a value between `{shown(previous.text, 20)}` and `{sign}`")
