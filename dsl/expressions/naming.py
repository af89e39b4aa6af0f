"""Names: which attribute one is, or what was probably meant."""

from __future__ import annotations

from dsl.expressions.report import Report
from dsl.expressions.syntax import Name, Node
from dsl.expressions.typed import Constant, Read, Typed
from dsl.expressions.types import BOOL, NAMESPACES, Schema
from dsl.problems import shown, suggest

FUNCTIONS = ("min", "max", "abs", "ceil", "floor", "len", "any", "all", "has")
_NOTHING = ("null", "none", "nil", "undefined", "nan")
_TRUTHS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_OTHER_FUNCTIONS = {
    "round_up": "ceil", "roundup": "ceil", "ceiling": "ceil", "round_down": "floor", "trunc": "floor", "int": "floor",
    "length": "len", "count": "len", "size": "len", "exists": "has", "defined": "has", "present": "has",
    "minimum": "min", "least": "min", "maximum": "max", "greatest": "max", "every": "all", "some": "any",
}  # fmt: skip
_OTHER_HINTS = {
    "round": "write `floor(x)` or `ceil(x)`",
    "ratio": "write `a / b`",
    "if": "write `(a and b) or (not a and c)`",
    "iff": "write `(a and b) or (not a and c)`",
    "pow": "write a product; there is no power",
    "contains": "write `VALUE in LIST`",
    "matches": "write `pool.x like `, with `*` for any text",
    "startswith": 'write `pool.x like "abc*"`',
    "endswith": 'write `pool.x like "*abc"`',
    "isnull": "write `not has(pool.x)`",
    "spread": "write `spread:` as a key of the document",
}
_LISTED = 8


def is_nothing(node: Node) -> bool:
    """Whether a part is what other languages call an absent value."""
    return isinstance(node, Name) and node.text.lower() in _NOTHING


def resolve(name: Name, schema: Schema, report: Report) -> Typed | None:
    """The attribute, or the truth value, that a name stands for; None after the mistake was reported."""
    if name.text in ("true", "false"):
        return Constant(name.start, name.end, BOOL, name.text == "true")
    namespace, *rest = name.text.split(".")
    if not rest:
        _refuse_word(name, schema, report)
        return None
    attributes = schema.attributes(namespace)
    if attributes is None:
        _refuse_namespace(name, namespace, ".".join(rest), report)
        return None
    if len(rest) > 1:
        hint = f"write `{namespace}.{shown(rest[0], 24)}`"
        message = f"`{shown(name.text, 24)}` has more than two parts"
        report.add("S310", message, name, label="names are a namespace and an attribute", hint=hint)
        return None
    attribute = attributes.get(rest[0])
    if attribute is None:
        if namespace != "pool" or not (schema.open or rest[0] in schema.unsure):
            _refuse_attribute(name, namespace, rest[0], schema, report)
        return None
    index = NAMESPACES.index(namespace)
    return Read(name.start, name.end, attribute.type, index, attribute.name, attribute.declared_at)


def refuse_function(name: str, place: Name, report: Report) -> None:
    """There is no function of this name."""
    lower = name.lower()
    near = lower if lower in FUNCTIONS else _OTHER_FUNCTIONS.get(lower) or suggest(name, FUNCTIONS)
    owner, _, method = name.rpartition(".")
    if owner and method in FUNCTIONS:
        near = f"{method}({shown(owner, 24)})"
    hint = _OTHER_HINTS.get(lower) or (f"did you mean `{near}`?" if near else f"use one of {', '.join(FUNCTIONS)}")
    message = f"unknown function `{shown(name, 24)}`"
    report.add("S311", message, place, label="no function with this name", hint=hint)


def _refuse_word(name: Name, schema: Schema, report: Report) -> None:
    """A name without a namespace."""
    word, lower = shown(name.text, 24), name.text.lower()
    if lower in _NOTHING:
        label, hint = "no value means that an attribute is absent", "write `has(pool.x)` or `not has(pool.x)`"
        report.add("S307", f"there is no `{word}`", name, label=label, hint=hint)
        return
    if lower in _TRUTHS:
        report.add("S307", f"`{word}` is no truth value", name, label="not used here", hint=f"write `{_TRUTHS[lower]}`")
        return
    if name.text in NAMESPACES:
        listed = _listing(schema.attributes(name.text) or {})
        hint = f"write `{word}.` and one of {listed}" if listed else "use another namespace"
        report.add("S310", f"`{word}` is a namespace, not a value", name, label="an attribute is missing", hint=hint)
        return
    if name.text in FUNCTIONS:
        hint = f"write `{word}(...)`"
        report.add("S311", f"`{word}` is a function", name, label="its arguments are missing", hint=hint)
        return
    known = [space for space in NAMESPACES if name.text in (schema.attributes(space) or {})]
    hint = f'quote it: `"{word}"`; or write the name with its namespace, `pool.{word}`'
    if known:
        hint = f"did you mean `{known[0]}.{word}`?"
    elif any(name.text in attribute.type.values for attribute in (schema.attributes("pool") or {}).values()):
        hint = f'quote it: `"{word}"`'
    report.add("S310", f"unknown name `{word}`", name, label="has no namespace", hint=hint)


def _refuse_namespace(name: Name, namespace: str, rest: str, report: Report) -> None:
    near = suggest(namespace, NAMESPACES)
    hint = f"did you mean `{near}.{shown(rest, 24)}`?" if near else f"use {', '.join(NAMESPACES)}"
    report.add("S310", f"unknown namespace `{shown(namespace, 24)}`", name, label="no such namespace", hint=hint)


def _refuse_attribute(name: Name, namespace: str, attribute: str, schema: Schema, report: Report) -> None:
    known = schema.attributes(namespace) or {}
    near = suggest(attribute, known)
    if near is not None:
        hint = f"did you mean `{namespace}.{near}`?"
    elif known:
        hint = f"use one of {_listing(known)}"
    else:
        hint = f"no attribute of `{namespace}` is declared; declare it, or use another namespace"
    note = f"`{namespace}` has {len(known)} declared attribute{'s' if len(known) != 1 else ''}"
    place = Name(text=name.text, start=name.end - len(attribute), end=name.end)
    message = f"unknown {namespace} attribute `{shown(attribute, 24)}`"
    report.add("S310", message, place, label="no attribute with this name", hint=hint, note=note)


def _listing(known: object) -> str:
    names = sorted(known) if isinstance(known, dict) else []
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
