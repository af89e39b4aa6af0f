"""The data converter of clients and workers: pydantic models as plain JSON, with errors that people can act on."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    EncodingPayloadConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError

from shareflow.errors import ERRORS_BY_NAME, InvalidInput

SHOWN = 60


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise InvalidInput(f"the field {key[:SHOWN]!a} is given twice", field=key[:SHOWN], hint="give it once")
        seen[key] = value
    return seen


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def describe(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """One problem of a validation as an error with field, value and what is allowed; the others are counted.

    A misspelt field comes first, since it makes another one missing.
    """
    problems = error.errors(include_url=False, include_context=False)
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    field = ".".join(str(part) for part in first["loc"])
    rest = f" ({len(problems) - 1} more problems)" if len(problems) > 1 else ""
    names = list(model.model_fields)
    match first["type"]:
        case "extra_forbidden":
            close = difflib.get_close_matches(field, names, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            return InvalidInput(
                f"unknown field{rest}", field=field[:SHOWN], hint=f"{hint}{model.__name__} takes {', '.join(names)}"
            )
        case "missing":
            return InvalidInput(f"required, but not given{rest}", field=field, hint=f"add {field!r} to the input")
        case "json_invalid":
            return InvalidInput(f"the input is not JSON: {first['msg']}", hint="give one JSON object")
        case _:
            reason = first["msg"].removeprefix("Value error, ")
            if not field and isinstance(first["input"], dict):  # fields that contradict each other
                return InvalidInput(f"{reason}{rest}", hint="correct these fields and ask again")
            hint = f"correct {field!r} and ask again" if field else "give one JSON object"
            return InvalidInput(f"{_shown(first['input'])} is refused: {reason}{rest}", field=field, hint=hint)


def _model_of(hint: Any) -> type[BaseModel] | None:
    """The model that a payload must be, for ``Model`` and ``Model | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        return next((found for found in map(_model_of, get_args(hint)) if found is not None), None)
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def _refuse(invalid: InvalidInput) -> NoReturn:
    raise ApplicationError(str(invalid), type=type(invalid).__name__, non_retryable=True)


def _not_json(reason: str) -> InvalidInput:
    return InvalidInput(f"the input is not JSON: {reason[:200]}", hint="give one JSON object")


class _StrictJSON(PydanticJSONPlainPayloadConverter):
    """Refuses duplicate keys and turns validation errors into :class:`InvalidInput` failures."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        model = _model_of(type_hint)
        try:
            if model is not None and model.__name__.endswith("Input"):
                json.loads(payload.data, object_pairs_hook=_refuse_duplicates)
            return super().from_payload(payload, type_hint)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            invalid = _not_json(first["msg"]) if model is None else describe(error, model)
        except InvalidInput as error:
            invalid = error
        except (ValueError, RecursionError) as error:
            invalid = _not_json(str(error))
        _refuse(invalid)


_STRICT: Final = _StrictJSON()
# The SDK makes a converter for every activation and every run: they share what was learned about types.
_CONVERTERS: Final[Sequence[EncodingPayloadConverter]] = tuple(
    _STRICT if isinstance(converter, PydanticJSONPlainPayloadConverter) else converter
    for converter in PydanticPayloadConverter().converters.values()
)


class StrictPayloadConverter(PydanticPayloadConverter):
    """Pydantic payloads whose models are checked strictly. What cannot be read is an :class:`InvalidInput` failure."""

    def __init__(self) -> None:
        CompositePayloadConverter.__init__(self, *_CONVERTERS)

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """See base class. A model comes as JSON and in no other encoding; nothing else is taken for one."""
        for payload, hint in zip_longest(payloads, type_hints or ()):
            encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
            nothing = encoding == "binary/null"
            if _model_of(hint) is not None and encoding != "json/plain" and not (nothing and get_args(hint)):
                what = "there is no input" if nothing else f"the input is {encoding[:SHOWN]!a}, not JSON"
                _refuse(InvalidInput(what, hint="give one JSON object"))
        try:
            return super().from_payloads(payloads, type_hints)
        except ApplicationError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the sender's bytes are the cause)
            _refuse(InvalidInput(f"the payload cannot be read: {str(error)[:200]}", hint="give one JSON object"))


class PlainFailureConverter(DefaultFailureConverter):
    """Failures that say what people need. Our own errors are no accidents: where they were raised is left out."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """See base class."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and exception.type in ERRORS_BY_NAME:
            failure.stack_trace = ""
            failure.ClearField("cause")


data_converter = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=StrictPayloadConverter,
    failure_converter_class=PlainFailureConverter,
)
