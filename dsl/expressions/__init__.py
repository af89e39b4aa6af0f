"""The expression language of specs: typed, with units, three-valued, compiled to closures that explain themselves."""

from dsl.expressions.attributes import convert_value, infer_type, read_attribute
from dsl.expressions.errors import ExpressionError, ExpressionErrors
from dsl.expressions.expression import Explanation, Expression, compile_expression
from dsl.expressions.places import Places
from dsl.expressions.scalars import Compiled, compile_scalar, to_problem, to_problems
from dsl.expressions.truths import Comparison
from dsl.expressions.types import (
    BOOL,
    DURATION,
    IOPS,
    NUMBER,
    PERCENT,
    RATE,
    SIZE,
    TEXT,
    VERSION,
    Attribute,
    Env,
    Kind,
    Schema,
    Type,
    enum_of,
    list_of,
    set_of,
)
from dsl.expressions.values import Version, parse_version, render_value

__all__ = [
    "BOOL",
    "DURATION",
    "IOPS",
    "NUMBER",
    "PERCENT",
    "RATE",
    "SIZE",
    "TEXT",
    "VERSION",
    "Attribute",
    "Comparison",
    "Compiled",
    "Env",
    "Explanation",
    "Expression",
    "ExpressionError",
    "ExpressionErrors",
    "Kind",
    "Places",
    "Schema",
    "Type",
    "Version",
    "compile_expression",
    "compile_scalar",
    "convert_value",
    "enum_of",
    "infer_type",
    "list_of",
    "parse_version",
    "read_attribute",
    "render_value",
    "set_of",
    "to_problem",
    "to_problems",
]
