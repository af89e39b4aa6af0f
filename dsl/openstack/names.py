"""Names of Manila as names that our documents can have."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 31
MAX_ATTRIBUTE = 63


def document_name(text: str, kind: str) -> str:
    """The nearest valid name: small letters, digits and dashes, a letter first, at most 31 characters.

    Args:
        text: a name of any form.
        kind: a word put in front when the rest does not begin with a letter, such as ``type`` or ``zone``.
    """
    name = _fitted(text, "-", kind, MAX_NAME)
    return f"{kind}-{name}" if name in ("true", "false", "null") else name


def attribute_name(path: tuple[str, ...]) -> str:
    """The nearest valid name of an attribute for a capability: small letters, digits and ``_``, a letter first.

    Args:
        path: the name, with the names of the mappings around it first.
    """
    return _fitted("_".join(path), "_", "x", MAX_ATTRIBUTE)


def numbered(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it a new one."""
    if name not in taken:
        return name
    number = 2
    while (other := f"{name[: MAX_NAME - len(str(number)) - 1]}-{number}") in taken:
        number += 1
    return other


def _fitted(text: str, joint: str, kind: str, length: int) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    ascii_only = "".join(ch for ch in plain if not unicodedata.combining(ch))
    words = re.sub(r"[^a-z0-9_]" if joint == "_" else r"[^a-z0-9]+", joint, ascii_only).strip(joint)
    if not words:
        return kind
    begun = words if words[0].isalpha() else f"{kind}{joint}{words}"
    return begun[:length].rstrip(joint)
