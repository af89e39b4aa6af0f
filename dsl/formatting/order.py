"""The order in which the models declare the keys of a document, at every depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel

from dsl.kinds import WRITTEN

FIRST = ("apiVersion", "kind", "name")

Shape = tuple[object, ...]
"""The types that a value may have; empty when nothing is known about it."""


def shape_of(kind: object) -> Shape:
    """The shape of a document of a kind; unknown kinds have none."""
    return (WRITTEN[kind],) if isinstance(kind, str) and kind in WRITTEN else ()


def inside(shape: Shape, key: str | None) -> Shape:
    """The shape of what stands under a key, or of the items of a list (no key)."""
    return tuple(_inside(shape, key))


def ordered(keys: Iterable[str], shape: Shape, *, document: bool) -> list[str]:
    """Keys in the order of their models; those that no model has come last, in the order that they had."""
    declared = list(FIRST) if document else []
    declared += [name for model in _models(shape) for name in _fields(model)]
    place = {name: declared.index(name) for name in declared}
    return sorted(keys, key=lambda key: place.get(key, len(declared)))


def _inside(shape: Shape, key: str | None) -> Iterator[object]:
    for kind in _alternatives(shape):
        origin = get_origin(kind)
        if key is not None and isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from [field for name, field in _fields(kind).items() if name == key]
        elif key is not None and isinstance(origin, type) and issubclass(origin, Mapping):
            yield from get_args(kind)[1:]
        elif key is None and isinstance(origin, type) and issubclass(origin, Sequence):
            yield from get_args(kind)


def _models(shape: Shape) -> Iterator[type[BaseModel]]:
    for kind in _alternatives(shape):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


def _alternatives(shape: Shape) -> Iterator[object]:
    """The types of a shape, without unions and annotations around them."""
    for kind in shape:
        origin = get_origin(kind)
        if origin is Annotated:
            yield from _alternatives(get_args(kind)[:1])
        elif origin is None or (isinstance(origin, type) and issubclass(origin, Mapping | Sequence)):
            yield kind
        else:
            yield from _alternatives(get_args(kind))


def _fields(model: type[BaseModel]) -> dict[str, object]:
    """The type of each key of a model, by the name that files use."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
