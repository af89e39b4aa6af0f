"""The attributes that the tests use, and how a broken rule is shown."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsl.expressions import BOOL, Env, Schema, Type, Version, compile_scalar, parse_version, read_attribute
from dsl.problems import Source, render_problems
from dsl.yaml_tree import Entries, Scalar, load

POOL: Mapping[str, object] = {
    "free": {"type": "number", "unit": "GiB"},
    "total": {"type": "number", "unit": "GiB"},
    "rate": {"type": "number", "unit": "MiB/s"},
    "rate_per_tib": {"type": "number", "unit": "MiB/s/TiB"},
    "iops_free": {"type": "number", "unit": "IOPS"},
    "iops_per_gib": {"type": "number", "unit": "IOPS/GiB"},
    "latency": "duration",
    "used": {"type": "number", "unit": "%"},
    "shares": "number",
    "media": {"type": "enum", "values": ["ssd", "hdd", "hybrid"]},
    "zone": "text",
    "model": "text",
    "thin": "bool",
    "encrypted": "bool",
    "flags": {"type": "list", "of": "bool"},
    "firmware": "version",
    "protocols": {"type": "set", "of": "text"},
    "tiers": {"type": "list", "of": {"type": "enum", "values": ["ssd", "hdd", "tape"]}},
    "latencies": {"type": "list", "of": "duration"},
    "order": "number",
    "inuse": "bool",
}
REQUEST: Mapping[str, object] = {
    "size": {"type": "number", "unit": "GiB"},
    "iops": {"type": "number", "unit": "IOPS"},
    "zone": "text",
    "urgent": "bool",
}


SCHEMA = Schema(
    pool={name: read_attribute(name, declared, declared_at="backends.yaml:12") for name, declared in POOL.items()},
    request={name: read_attribute(name, declared, declared_at="the request") for name, declared in REQUEST.items()},
    spec={"weight": read_attribute("weight", "number")},
)

GIB = 2**30


def version(text: str) -> Version:
    """A version that must be one."""
    found = parse_version(text)
    assert found is not None
    return found


FULL = Env(
    pool={
        "free": 2048 * GIB,
        "total": 4096 * GIB,
        "rate": 500 * 2**20,
        "rate_per_tib": Fraction(100 * 2**20, 2**40),
        "iops_free": 5000,
        "iops_per_gib": Fraction(30, GIB),
        "latency": 1500,
        "used": Fraction(1, 2),
        "shares": 7,
        "media": "ssd",
        "zone": "a",
        "model": "FAS8700",
        "thin": True,
        "encrypted": False,
        "flags": (True, False),
        "firmware": version("9.13.1"),
        "protocols": ("nfs", "smb"),
        "tiers": ("ssd", "hdd"),
        "latencies": (1000, 3000),
        "order": 3,
        "inuse": True,
    },
    request={"size": 100 * GIB, "iops": 500, "zone": "a", "urgent": False},
)


def scalar_of(document: str, name: str = "rule.yaml") -> tuple[Scalar, Source]:
    """The value under ``rule`` of a document."""
    node = load(document, name)[0]
    assert isinstance(node, Entries)
    scalar = node.get("rule")
    assert isinstance(scalar, Scalar)
    return scalar, Source(name, document)


def messages(text: str, expects: Type | None = BOOL) -> str:
    """What ``spec check`` would print about a rule: its problems, or nothing."""
    lines = "".join(f"  {line}\n" if line else "\n" for line in text.split("\n"))
    scalar, source = scalar_of(f"rule: |-\n{lines}")
    assert scalar.text == text
    return render_problems(compile_scalar(scalar, source, SCHEMA, expects=expects).problems)
