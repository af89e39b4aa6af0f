"""The attributes that rules may name: those that every pool has, those that drivers report, those that specs declare.

An attribute that no backend declares gets its type from the values that pools give it: true or false, a plain number,
text, or a set of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from dsl.documents import BackendSpec, PoolSpec
from dsl.expressions import (
    BOOL,
    DURATION,
    SIZE,
    TEXT,
    Attribute,
    Schema,
    Type,
    convert_value,
    infer_type,
    set_of,
)
from dsl.fields import AttributeValue, Refusal
from dsl.problems import Problem
from dsl.salvage import NO_DOUBTS, Doubts

_SETS = set_of(TEXT)

EVERY_POOL: tuple[Attribute, ...] = (
    Attribute("name", TEXT, "its name in its backend", "every pool"),
    Attribute("backend", TEXT, "the backend that it is in", "every pool"),
    Attribute("zone", TEXT, "its failure domain", "every pool"),
    Attribute("driver", TEXT, "the driver of its backend", "every pool"),
    Attribute("thin", BOOL, "whether shares take space only as they are written", "every pool"),
    Attribute("protocols", _SETS, "what its export locations speak", "every pool"),
    Attribute("total", SIZE, "what it can hold", "every pool"),
    Attribute("free", SIZE, "what is free now", "every pool"),
    Attribute("provisioned", SIZE, "the sizes of all that is there", "every pool"),
)
REPORTED: tuple[Attribute, ...] = (
    *(
        Attribute(name, BOOL, "", "the driver")
        for name in ("snapshots", "clone", "revert", "host_access", "quota_enforced", "snapshots_atomic")
    ),
    *(Attribute(name, BOOL, "", "the driver") for name in ("shrink", "tags")),
    Attribute("snapshot_space", TEXT, "`full` where a snapshot takes its share's size", "the driver"),
    Attribute("access_modes", _SETS, "how writers can be held off", "the driver"),
    Attribute("qos_supported", _SETS, "limits of performance that it enforces", "the driver"),
    Attribute("transfer", TEXT, "the format in which its pools exchange snapshots with others", "the driver"),
)
REQUEST: tuple[Attribute, ...] = (
    Attribute("size", SIZE, "the size asked for", "every request"),
    Attribute("zone", TEXT, "the zone asked for", "every request"),
    Attribute("project", TEXT, "who asks", "every request"),
    Attribute("from_snapshot", BOOL, "whether the share is made from a snapshot", "every request"),
)
SPEC: tuple[Attribute, ...] = (
    Attribute("name", TEXT, "the share type's name", "every share type"),
    Attribute("protocol", TEXT, "what its shares speak", "every share type"),
    Attribute("retention", DURATION, "how long a deleted share waits for its purge", "every share type"),
)
RESERVED_NAMES: Mapping[str, Attribute] = MappingProxyType({a.name: a for a in (*EVERY_POOL, *REPORTED)})
"""Names that specs cannot declare with another type."""
USUAL: Mapping[str, Attribute] = MappingProxyType(
    {"latency": Attribute("latency", DURATION, "of a small read, for latency targets of classes", "the language")}
)
"""What counts as long as no backend declares something else under the name."""

NO_POOLS = Schema.of((*USUAL.values(), *RESERVED_NAMES.values()), REQUEST, (), SPEC)


def schema_of(backends: Iterable[BackendSpec], doubts: Doubts = NO_DOUBTS) -> Schema:
    """The attributes that the rules of a set may name.

    Of a set with mistakes some are unsure: those that backends declare, or that pools show, in different ways, and
    those that may be declared in what was refused.
    """
    backends = list(backends)
    inferred = _inferred(backends)
    declared: dict[str, Attribute] = {}
    unsure: set[str] = set()
    for attribute in (attribute for backend in backends for attribute in backend.declared()):
        if declared.setdefault(attribute.name, attribute).type != attribute.type:
            unsure.add(attribute.name)
    pool = {**{name: first for name, (first, _) in inferred.items()}, **USUAL, **declared}
    unsure |= {name for name, (_, others) in inferred.items() if others and name not in {**USUAL, **declared}}
    unsure |= {name for name in {*pool, *doubts.words} - declared.keys() if doubts.about("Backend", name)}
    known = {name: attribute for name, attribute in pool.items() if name not in unsure}
    schema = Schema.of({**known, **RESERVED_NAMES}.values(), REQUEST, (), SPEC)
    return replace(schema, unsure=frozenset(unsure), open="Backend" in doubts.kinds)


class HasAttributes(Protocol):
    """A pool with attributes that no backend of a set need declare."""

    @property
    def title(self) -> str:
        """``backend/pool``."""

    @property
    def attributes(self) -> Mapping[str, AttributeValue]:
        """As they are written."""


def extended(schema: Schema, pools: Iterable[HasAttributes]) -> Schema:
    """The schema with those attributes of pools that it lacks; of several values of one the first gives the type."""
    extra: dict[str, Attribute] = {}
    for pool in pools:
        for name, value in pool.attributes.items():
            if name not in schema.pool and name not in extra and value not in ((), []):
                extra[name] = Attribute(name, infer_type(value), "", f"pool {pool.title}")
    if not extra:
        return schema
    return Schema.of((*schema.pool.values(), *extra.values()), schema.request.values(), (), schema.spec.values())


def runtime_value(value: object, kind: Type) -> object:
    """What rules read for a value of a pool; the value itself when it is not of its type, which rules then say."""
    if isinstance(value, int) and not isinstance(value, bool) and kind == SIZE:
        return value  # sizes are bytes once a document is read
    try:
        return convert_value(value, kind)
    except Refusal:
        return tuple(value) if isinstance(value, list) else value


def runtime_values(values: Mapping[str, object], schema: Schema) -> dict[str, object]:
    """The values of a pool that rules may name, as rules read them."""
    return {
        name: runtime_value(value, attribute.type)
        for name, value in values.items()
        if (attribute := schema.pool.get(name)) is not None and value is not None
    }


def check_attributes(backends: Sequence[BackendSpec], doubts: Doubts = NO_DOUBTS) -> Iterator[Problem]:
    """Declarations that contradict each other, and values that contradict their declaration."""
    declared: dict[str, Attribute] = {}
    for backend in backends:
        for attribute in backend.declared():
            yield from _contradiction(backend, attribute, declared.setdefault(attribute.name, attribute))
    for backend in backends:
        for index, pool in enumerate(backend.pools):
            for name, value in pool.attributes.items():
                known = RESERVED_NAMES.get(name) or declared.get(name) or USUAL.get(name)
                if known is not None:
                    yield from _misfit(backend, ("pools", index, "attributes", name), value, known)
    for name, (first, others) in _inferred(backends).items():
        certain = {**declared, **RESERVED_NAMES, **USUAL}
        if name not in certain and not doubts.about("Backend", name):
            yield from _guesses(name, first, others)


def _contradiction(backend: BackendSpec, attribute: Attribute, first: Attribute) -> Iterator[Problem]:
    name, path = attribute.name, ("attributes", attribute.name)
    reserved = RESERVED_NAMES.get(name)
    if reserved is not None and reserved.type != attribute.type:
        message = f"`{name}` is an attribute of {reserved.declared_at}: {reserved.type.declared}"
        yield backend.problem(path, "S206", message, hint="choose another name", at_key=True)
    elif first.type != attribute.type:
        message = f"`{name}` is declared as {attribute.type.declared} here"
        note = f"as {first.type.declared} at {first.declared_at}"
        yield backend.problem(path, "S206", message, hint="declare it alike on all backends", note=note, at_key=True)


def _misfit(
    backend: BackendSpec, path: tuple[str | int, ...], value: AttributeValue, known: Attribute
) -> Iterator[Problem]:
    if known.type == SIZE and isinstance(value, int) and not isinstance(value, bool):
        return
    try:
        convert_value(value, known.type)
    except Refusal as refused:
        where = "the driver itself" if known.name in RESERVED_NAMES else known.declared_at
        note = f"`{known.name}` is {known.type.declared}, declared by {where}"
        yield backend.problem(path, "S207", str(refused)[:72], hint=refused.hint, note=note)


_Guess = tuple[Attribute, list[tuple[BackendSpec, tuple[str | int, ...], Type]]]


def _inferred(backends: Iterable[BackendSpec]) -> dict[str, _Guess]:
    """Per undeclared name the type of its first value, and the places where a value is of another type."""
    found: dict[str, _Guess] = {}
    for backend in backends:
        for index, pool in enumerate(backend.pools):
            for name, value in pool.attributes.items():
                kind, path = infer_type(value), ("pools", index, "attributes", name)
                first, others = found.setdefault(name, (_guess(backend, pool, name, kind, path), []))
                if first.type != kind:
                    others.append((backend, path, kind))
    return found


def _guess(backend: BackendSpec, pool: PoolSpec, name: str, kind: Type, path: tuple[str | int, ...]) -> Attribute:
    return Attribute(name, kind, "", backend.at(*path) or f"pool {backend.name}/{pool.name}")


def _guesses(
    name: str, first: Attribute, others: Sequence[tuple[BackendSpec, tuple[str | int, ...], Type]]
) -> Iterator[Problem]:
    for backend, path, kind in others:
        message = f"`{name}` is {kind} here and {first.type} elsewhere"
        hint = f"write one type, or declare it: `attributes: {{{name}: text}}` on the backend"
        yield backend.problem(path, "S207", message, hint=hint, note=f"first at {first.declared_at}")
