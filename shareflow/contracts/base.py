"""The strict base of every payload, and the field types that several payloads share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shareflow.contracts.units import MAX_BYTES, parse_duration, parse_rate, parse_size

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
NAME_LENGTH = 63
TEXT_LENGTH = 255


class StrictModel(BaseModel):
    """Strict, closed and immutable: unknown fields, wrong types, NaN and infinities are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def check_name(value: str) -> str:
    """The name as given, when it is one.

    Raises:
        ValueError: empty, too long, or a character that names cannot hold (the first such character is named).
    """
    if not value:
        raise ValueError("a name cannot be empty")
    if len(value) > NAME_LENGTH:
        raise ValueError(f"a name has at most {NAME_LENGTH} characters, this one has {len(value)}")
    if value[0] in "-._":
        raise ValueError(f"a name starts with a letter or a digit, not with {value[0]!r}")
    if not _NAME.fullmatch(value):
        bad = next(ch for ch in value if not re.fullmatch(r"[A-Za-z0-9._-]", ch, re.ASCII))
        raise ValueError(f"{bad!a} cannot be in a name; use A-Z a-z 0-9 . _ -")
    if ".." in value:
        raise ValueError("'..' cannot be in a name")
    return value


def check_text(value: str) -> str:
    """Free text for people: at most 255 characters, none of them a control character or a direction mark."""
    if len(value) > TEXT_LENGTH:
        raise ValueError(f"at most {TEXT_LENGTH} characters, this has {len(value)}")
    bad = next((ch for ch in value if not ch.isprintable()), None)
    if bad is not None:
        raise ValueError(f"{bad!a} cannot be here; use printable text")
    return value


def check_size(value: int) -> int:
    """A size in bytes from 1 to 2**60."""
    if value <= 0:
        raise ValueError(f"a size is at least 1 byte, this is {value}")
    if value > MAX_BYTES:
        raise ValueError(f"a size is at most {MAX_BYTES} bytes (1024 PiB), this is {value}")
    return value


def check_rate(value: int) -> int:
    """A rate from 1 KiB/s to 1 PiB/s, in bytes per second."""
    if not 1024 <= value <= MAX_BYTES // 1024:
        raise ValueError(f"a rate is between 1 KiB/s and 1 PiB/s, this is {value} bytes per second")
    return value


def check_seconds(value: int) -> int:
    """A duration from 0 seconds to 10 years."""
    if not 0 <= value <= 315_360_000:
        raise ValueError(f"a duration is between 0 s and 3650 d, this is {value} s")
    return value


Name = Annotated[str, AfterValidator(check_name), Field(json_schema_extra={"maxLength": NAME_LENGTH})]
ResourceRef = Annotated[str, AfterValidator(check_name), Field(description="name or id")]
Text = Annotated[str, AfterValidator(check_text)]
Size = Annotated[int, BeforeValidator(parse_size), AfterValidator(check_size)]
Duration = Annotated[int, BeforeValidator(parse_duration), AfterValidator(check_seconds)]
Rate = Annotated[int, BeforeValidator(parse_rate), AfterValidator(check_rate)]
