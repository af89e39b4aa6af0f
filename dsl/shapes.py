"""What may stand at a place of a document, told from the types of its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel

from dsl.yaml_tree import Path


def keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that a mapping at a path may have, in the order of its model; none where any key may stand."""
    shape: tuple[object, ...] = (model,)
    for step in path:
        shape = tuple(_inside(shape, step))
    return [name for kind in _alternatives(shape) if _is_model(kind) for name in kind.model_fields]  # type: ignore[attr-defined]


def _inside(shape: tuple[object, ...], step: str | int) -> Iterator[object]:
    for kind in _alternatives(shape):
        origin = get_origin(kind)
        if _is_model(kind):
            field = kind.model_fields.get(str(step))  # type: ignore[attr-defined]
            if field is not None:
                yield field.annotation
        elif isinstance(step, str) and isinstance(origin, type) and issubclass(origin, Mapping):
            yield from get_args(kind)[1:]
        elif isinstance(step, int) and isinstance(origin, type) and issubclass(origin, Sequence):
            yield from get_args(kind)


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _alternatives(shape: Sequence[object]) -> Iterator[object]:
    """The types of a shape, without unions and annotations around them."""
    for kind in shape:
        origin = get_origin(kind)
        if origin is Annotated:
            yield from _alternatives(get_args(kind)[:1])
        elif origin is None or (isinstance(origin, type) and issubclass(origin, Mapping | Sequence)):
            yield kind
        else:
            yield from _alternatives(get_args(kind))
