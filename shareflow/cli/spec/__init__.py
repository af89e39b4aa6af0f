"""``shareflow spec``: the spec files, and what they mean for a placement. Importing a command's module registers it."""

from shareflow.cli.spec import (
    apply,
    check,
    drift,
    explain,
    fmt,
    importing,
    inventory,
    lookup,
    plan,
    schema,
    simulating,
    testing,
)
from shareflow.cli.spec.group import app

__all__ = [
    "app",
    "apply",
    "check",
    "drift",
    "explain",
    "fmt",
    "importing",
    "inventory",
    "lookup",
    "plan",
    "schema",
    "simulating",
    "testing",
]
