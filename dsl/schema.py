"""The JSON Schema of spec documents, made from their models, for editors and other programs.

The descriptions are those of the code: of a model its docstring, of a key its line under ``Attributes:`` there and the
description that its type has. What a schema cannot say, such as references between documents, only ``spec check`` says.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from dsl.documents import API_VERSION
from dsl.kinds import WRITTEN

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMES = re.compile(r"\w+(?:, \w+)*")


def schema(kind: str | None = None) -> dict[str, Any]:
    """The schema of the documents of one kind, or of all kinds.

    Raises:
        KeyError: there is no such kind.
    """
    models = list(WRITTEN.values()) if kind is None else [WRITTEN[kind]]
    made, shared = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    return {
        "$schema": DIALECT,
        "title": "Shareflow specs" if kind is None else kind,
        "description": "A document that says what a deployment offers.",
        "oneOf": [made[model, "validation"] for model in models],
        "$defs": shared["$defs"],
    }


def schema_text(kind: str | None = None) -> str:
    """As :func:`schema`, as JSON text for a file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """Pydantic's, with our descriptions and without its titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        made.pop("title", None)
        made["description"] = _text(_docstring(model).partition("\n\n")[0])
        lines = _attributes(model)
        for name, key in made.get("properties", {}).items():
            _describe(key, lines.get(name, ""))
        kind = next((kind for kind, known in WRITTEN.items() if known is model), None)
        return made if kind is None else _with_header(made, kind)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


def _with_header(made: JsonSchemaValue, kind: str) -> JsonSchemaValue:
    """A document has two keys more than its model."""
    header = {
        "apiVersion": {"const": API_VERSION, "description": "The version of the language."},
        "kind": {"const": kind, "description": made["description"]},
    }
    properties = {**header, **made["properties"]}
    return {**made, "properties": properties, "required": [*header, *made.get("required", [])]}


def _describe(key: JsonSchemaValue, line: str) -> None:
    """Give a key its description: its line of the docstring, then what its type says."""
    if key.get("default", "") is None:
        del key["default"]
    typed = next((part.pop("description") for part in (key, *key.get("anyOf", ())) if "description" in part), "")
    described = " ".join(text for text in (_text(f"{line[:1].upper()}{line[1:]}"), typed) if text)
    if described:
        key["description"] = described


def _docstring(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "")


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """The lines under ``Attributes:`` of a model and of those that it is made from, by key."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel):
            section = _docstring(base).partition("\nAttributes:\n")[2].partition("\n\n")[0]
            for entry in re.split(r"\n(?=    \S)", "\n" + section.rstrip()):
                names, colon, text = entry.strip().partition(": ")
                if colon and _NAMES.fullmatch(names):
                    found |= dict.fromkeys(names.split(", "), text)
    return found


def _text(docstring: str) -> str:
    """Text of a docstring as people who write YAML read it."""
    plain = " ".join(docstring.split()).replace("``", "`")
    return re.sub(r"\bNone\b", "null", plain)
