"""Sizes and durations as text with units, parsed to exact integers.

Sizes are bytes; only binary units exist, because a decimal ``GB`` silently means something else than the ``GiB``
that every storage tool prints. Durations are whole seconds.
"""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from functools import lru_cache

SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MAX_BYTES = 2**60

_LARGEST_FIRST = tuple(reversed(SIZE_UNITS.items()))
_QUANTITY = re.compile(r"\s*([+-]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)
_LOOKALIKES = {
    "kb": "KiB", "k": "KiB", "kib": "KiB", "mb": "MiB", "m": "MiB", "mib": "MiB", "gb": "GiB", "g": "GiB", "gib": "GiB",
    "tb": "TiB", "t": "TiB", "tib": "TiB", "pb": "PiB", "p": "PiB", "pib": "PiB", "b": "B", "bytes": "B",
}  # fmt: skip
_LONG_DURATIONS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w",
}  # fmt: skip


def _unit_hint(unit: str, known: dict[str, int], aliases: dict[str, str]) -> str:
    suggestion = aliases.get(unit.lower())
    if suggestion is None:
        close = difflib.get_close_matches(unit, known, n=1, cutoff=0.5)
        suggestion = close[0] if close else None
    allowed = ", ".join(known)
    return f"; did you mean {suggestion}?" if suggestion else f"; use one of {allowed}"


def _parse(text: str, what: str, known: dict[str, int], aliases: dict[str, str], example: str) -> int:
    shown = text if len(text) <= 40 else text[:40] + "..."
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown!r} is not a {what}; write a number and a unit, like {example!r}")
    number, unit = match.groups()
    if unit and unit not in known:
        raise ValueError(f"unknown unit {unit!r} in {shown!r}{_unit_hint(unit, known, aliases)}")
    factor = known[unit] if unit else 1
    whole, _, fraction = number.replace("_", "").partition(".")
    if len(whole) > 20 or len(fraction) > 20:
        raise ValueError(f"{shown!r} has too many digits for a {what}")
    scale = 10 ** len(fraction)
    value, rest = divmod(int(whole + fraction) * factor, int(scale))
    if rest:
        raise ValueError(f"{shown!r} is not a whole number of {'bytes' if what == 'size' else 'seconds'}")
    return value


def _integer_or_text(value: object, what: str, whole: str, example: str) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(  # noqa: TRY004  (pydantic takes ValueError alone)
            f"{value!r} is not a {what}; write {whole} or text with a unit, like {example!r}"
        )
    return value


def parse_size(value: object) -> int:
    """Bytes from an integer or from text such as ``"10 GiB"``.

    Raises:
        ValueError: not an integer or text, a fraction of a byte, an unknown unit (with the nearest one named).
    """
    given = _integer_or_text(value, "size", "whole bytes", "10 GiB")
    if isinstance(given, int):
        return given
    return _parse(given, "size", SIZE_UNITS, _LOOKALIKES, "10 GiB")


def parse_duration(value: object) -> int:
    """Seconds from an integer or from text such as ``"7 d"``.

    Raises:
        ValueError: not an integer or text, a fraction of a second, an unknown unit (with the nearest one named).
    """
    given = _integer_or_text(value, "duration", "whole seconds", "7 d")
    if isinstance(given, int):
        return given
    return _parse(given, "duration", DURATION_UNITS, _LONG_DURATIONS, "7 d")


def parse_rate(value: object) -> int:
    """Bytes per second from an integer or from text such as ``"50 MiB/s"``.

    Raises:
        ValueError: not an integer or text, a fraction of a byte, an unknown unit (with the nearest one named).
    """
    given = _integer_or_text(value, "rate", "whole bytes per second", "50 MiB/s")
    if isinstance(given, int):
        return given
    amount, slash, per = given.rpartition("/")
    if not slash or per.strip() != "s":
        raise ValueError(f"{given[:40]!r} is not a rate; write a size per second, like '50 MiB/s'")
    return _parse(amount, "size", SIZE_UNITS, _LOOKALIKES, "50 MiB/s")


@lru_cache(maxsize=4096)  # the sizes of pools come again and again
def format_size(size: int) -> str:
    """The size in the largest unit that shows it with at most two decimals: ``10 GiB``, ``1.50 TiB``, ``17 B``."""
    sign, amount = ("-", -size) if size < 0 else ("", size)
    for unit, factor in _LARGEST_FIRST:
        if amount >= factor:
            if amount % factor:
                return f"{sign}{amount / factor:.2f} {unit}"
            return f"{sign}{amount // factor} {unit}"
    return "0 B"


def format_duration(seconds: float) -> str:
    """The duration in its two largest units: ``6d 23h``, ``1h 5m``, ``42s``."""
    rest = int(max(seconds, 0))
    parts = []
    for unit, factor in reversed(DURATION_UNITS.items()):
        if unit == "w":
            continue
        amount, rest = divmod(rest, factor)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or "0s"


def as_timedelta(seconds: int) -> timedelta:
    """Whole seconds as a ``timedelta``."""
    return timedelta(seconds=seconds)
