"""Random correct rules as text, and random pools: values at and around the literals, absent ones, wrong ones."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from dsl.expressions import Env
from tests.dsl.expressions.world import GIB, version

Text = st.SearchStrategy[str]
ORDER = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
EQUAL = st.sampled_from(["==", "!="])
NOT = st.sampled_from(["", "not "])

_LITERALS = {
    "size": ["0 B", "1 GiB", "1.5 GiB", "1 TiB", "1_024 MiB"],
    "rate": ["1 MiB/s", "100 MiB/s", "0 B/s"],
    "iops": ["0", "500", "500 IOPS", "5000"],
    "duration": ["0 us", "1 ms", "1.5 ms", "1 s", "2 h"],
    "plain": ["0", "1", "2.5", "1e2", "7", "50 %", "12.5 %"],
}
_NAMES = {
    "size": ["pool.free", "pool.total", "request.size"],
    "rate": ["pool.rate"],
    "iops": ["pool.iops_free", "request.iops"],
    "duration": ["pool.latency"],
    "plain": ["pool.shares", "pool.order", "len(pool.protocols)", "len(pool.flags)"],
}
DIMENSIONS = st.sampled_from(sorted(_LITERALS))


@st.composite
def amounts(draw: st.DrawFn, dimension: str, depth: int = 2) -> str:
    """A number of a dimension."""
    kinds = ["name", "name", "name", "literal"]
    kinds += ["sum", "scaled", "mixed", "function", "negative"] if depth else []
    kind = draw(st.sampled_from(kinds))
    if kind == "name":
        return draw(st.sampled_from(_NAMES[dimension]))
    if kind == "literal":
        return draw(st.sampled_from([text for text in _LITERALS[dimension] if dimension != "iops" or "I" in text]))
    inner = amounts(dimension, depth - 1)
    if kind == "sum":
        return f"({draw(inner)} {draw(st.sampled_from('+-'))} {draw(inner)})"
    if kind == "negative":
        return f"-{draw(inner)}"
    if kind == "function":
        return _function(draw, dimension, inner)
    plain = amounts("plain", depth - 1)
    return f"{draw(inner)} * {draw(plain)}" if kind == "scaled" else _mixed(draw, dimension, depth - 1)


def _function(draw: st.DrawFn, dimension: str, inner: Text) -> str:
    name = draw(st.sampled_from(["min", "max", "abs", "floor", "ceil", "list"]))
    if name in ("min", "max"):
        return f"{name}({draw(inner)}, {draw(inner)})"
    if name == "list":
        return "max(pool.latencies)" if dimension == "duration" else draw(inner)
    whole = name == "abs" or dimension in ("size", "rate", "iops")
    return f"{name}({draw(inner)})" if whole else f"abs({draw(inner)})"


def _mixed(draw: st.DrawFn, dimension: str, depth: int) -> str:
    """A product or quotient of other dimensions."""
    size, rate, time = (amounts(name, depth) for name in ("size", "rate", "duration"))
    iops, plain = amounts("iops", depth), amounts("plain", depth)
    same = draw(st.sampled_from([size, rate, time, iops, plain]))
    options: dict[str, list[tuple[Text, str, Text]]] = {
        "size": [(rate, "*", time), (time, "*", rate), (size, "/", plain)],
        "rate": [(size, "/", time), (rate, "/", plain), (size, "*", st.just("pool.rate_per_tib"))],
        "duration": [(size, "/", rate), (time, "/", plain)],
        "iops": [(size, "*", st.sampled_from(["30 IOPS/GiB", "pool.iops_per_gib"])), (iops, "/", plain)],
        "plain": [(same, "/", same), (time, "/", time), (size, "/", size)],
    }
    left, sign, right = draw(st.sampled_from(options[dimension]))
    return f"({draw(left)}) {sign} ({draw(right)})"


TEXTS = st.sampled_from(["pool.zone", "pool.model", "request.zone", '"a"', '"FAS8700"'])
NAMED_TEXTS = st.sampled_from(["pool.zone", "pool.model", "request.zone"])
PATTERNS = st.lists(st.sampled_from(["a", "F", "A", "S", "8", "*", "00", "**", "[", "?"]), max_size=6).map("".join)
VERSIONS = st.sampled_from(['"9.13"', '"9.13.0"', '"9.13.1"', '"10"', '"9.2"'])


@st.composite
def leaves(draw: st.DrawFn, depth: int = 2) -> str:
    """A comparison, or a truth value."""
    kind = draw(st.sampled_from(["order", "order", "between", "in", "text", "like", "enum", "version", "list", "bool"]))
    if kind in ("order", "between", "in"):
        return draw(_numeric(kind, depth))
    if kind in ("text", "like", "enum"):
        return draw(_textual(kind))
    return draw(_other(kind))


@st.composite
def _textual(draw: st.DrawFn, kind: str) -> str:
    if kind == "text":
        items = ", ".join(draw(st.lists(TEXTS, min_size=1, max_size=3)))
        equal = f"{draw(NAMED_TEXTS)} {draw(EQUAL)} {draw(TEXTS)}"
        return draw(st.sampled_from([equal, f"{draw(TEXTS)} {draw(NOT)}in [{items}]"]))
    if kind == "like":
        return f'{draw(st.sampled_from(["pool.model", "pool.media", "pool.zone"]))} {draw(NOT)}like "{draw(PATTERNS)}"'
    media = draw(st.sampled_from(["ssd", "hdd", "hybrid"]))
    either = [f'pool.media {draw(EQUAL)} "{media}"', f'"{media}" {draw(EQUAL)} pool.media']
    return draw(st.sampled_from([*either, f'pool.media {draw(NOT)}in ["{media}", "ssd"]']))


@st.composite
def _other(draw: st.DrawFn, kind: str) -> str:
    if kind == "version":
        low, high, items = draw(VERSIONS), draw(VERSIONS), ", ".join(draw(st.lists(VERSIONS, min_size=1, max_size=3)))
        between = f"pool.firmware {draw(NOT)}between {low} and {high}"
        member = f"pool.firmware {draw(NOT)}in [{items}]"
        return draw(st.sampled_from([f"pool.firmware {draw(ORDER)} {low}", between, member]))
    if kind == "list":
        texts = f"{draw(st.sampled_from(['pool.zone', chr(34) + 'nfs' + chr(34)]))} {draw(NOT)}in pool.protocols"
        times = f"{draw(amounts('duration', 0))} {draw(NOT)}in pool.latencies"
        return draw(st.sampled_from([texts, times, f'"ssd" {draw(NOT)}in pool.tiers']))
    return draw(st.sampled_from(["pool.thin", "pool.inuse", "has(pool.free)", "has(pool.zone)", "any(pool.flags)",
                                 "all(pool.flags)", "true", "false", "request.urgent == pool.thin"]))  # fmt: skip


@st.composite
def _numeric(draw: st.DrawFn, kind: str, depth: int) -> str:
    dimension = draw(DIMENSIONS)
    amount, plain = amounts(dimension, depth), st.sampled_from(_LITERALS[dimension])
    other = draw(st.one_of(amount, plain))
    value = draw(amount)
    if dimension == "plain" or any(character.isdigit() for character in value):
        other = other if dimension != "iops" else draw(amount)
    if kind == "order":
        return f"{value} {draw(ORDER)} {other}"
    if kind == "between":
        return f"{value} {draw(NOT)}between {draw(amount)} and {draw(amount)}"
    return f"{value} {draw(NOT)}in [{draw(amount)}, {draw(amount)}]"


@st.composite
def rules(draw: st.DrawFn, depth: int = 3) -> str:
    """A rule."""
    kind = draw(st.sampled_from(["leaf", "leaf", "chain", "chain", "not", "function", "equal"])) if depth else "leaf"
    if kind == "leaf":
        return draw(leaves(draw(st.integers(0, 2))))
    inner = rules(depth - 1)
    if kind == "not":
        return f"not ({draw(inner)})"
    if kind == "equal":
        return f"({draw(inner)}) {draw(EQUAL)} ({draw(inner)})"
    operands = draw(st.lists(inner, min_size=1, max_size=3))
    if kind == "function":
        return f"{draw(st.sampled_from(['any', 'all']))}({', '.join(operands)})"
    word = draw(st.sampled_from([" and ", " or ", "\nand "]))
    return word.join(f"({operand})" if draw(st.booleans()) or " or " in operand else operand for operand in operands)


_WRONG = st.sampled_from(["text", 1.5, True, -3, Fraction(1, 3), (), (1, "a"), {"a": 1}, object(), version("1")])


def _or_other(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A value, or seldom one of another type."""
    return st.one_of(values, values, values, values, values, values, values, _WRONG)


_SIZES = st.sampled_from([0, 1, -GIB, GIB, GIB + GIB // 2, 1024 * GIB, 1024 * GIB - 1])
_TIMES = st.sampled_from([0, -1500, 999, 1000, 1500, 10**6, 7200 * 10**6])
_IOPS = st.sampled_from([0, 1, 499, 500, 5000])
_PLAIN = st.sampled_from([0, 1, -1, 2, -3, Fraction(-1, 2), 3, 7, 100, Fraction(5, 2), Fraction(1, 2), Fraction(1, 8)])
_ZONES = st.sampled_from(["a", "b", "nfs", "FAS8700"])
_BOOLS = st.booleans()
POOLS = st.fixed_dictionaries(
    {},
    optional={
        "free": _or_other(_SIZES),
        "total": _or_other(_SIZES),
        "rate": _or_other(st.sampled_from([0, 1, 2**20, 100 * 2**20])),
        "rate_per_tib": _or_other(st.sampled_from([Fraction(100 * 2**20, 2**40), 1, 0])),
        "iops_free": _or_other(_IOPS),
        "iops_per_gib": _or_other(st.sampled_from([Fraction(30, GIB), 0])),
        "latency": _or_other(_TIMES),
        "shares": _or_other(_PLAIN),
        "order": _or_other(_PLAIN),
        "media": _or_other(st.sampled_from(["ssd", "hdd", "hybrid", "tape"])),
        "zone": _or_other(_ZONES),
        "model": _or_other(st.sampled_from(["FAS8700", "AFF", "", "a", "[?"])),
        "thin": _or_other(_BOOLS),
        "inuse": _or_other(_BOOLS),
        "flags": _or_other(st.lists(_BOOLS, max_size=3).map(tuple)),
        "firmware": _or_other(st.sampled_from([version(text) for text in ("9.13", "9.13.1", "10.0", "9.2.0")])),
        "protocols": _or_other(st.lists(_ZONES, max_size=3)),
        "tiers": _or_other(st.lists(st.sampled_from(["ssd", "hdd"]), max_size=2).map(frozenset)),
        "latencies": _or_other(st.lists(_TIMES, max_size=3).map(tuple)),
    },
)
REQUESTS = st.fixed_dictionaries(
    {}, optional={"size": _SIZES, "iops": _IOPS, "zone": _ZONES, "urgent": _or_other(_BOOLS)}
)
ENVS = st.builds(Env, POOLS, REQUESTS)
