"""``shareflow spec``: the spec files, and what they mean for a placement. Importing a command's module registers it."""

from shareflow.cli.spec import check, explain, fmt, importing, lookup, schema, simulating, testing
from shareflow.cli.spec.group import app

__all__ = ["app", "check", "explain", "fmt", "importing", "lookup", "schema", "simulating", "testing"]
