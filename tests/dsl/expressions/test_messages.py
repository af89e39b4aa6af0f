"""Every mistake with its exact message. ``SHAREFLOW_UPDATE_SNAPSHOTS=1`` writes the files anew, to be reviewed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dsl.catalogue import CATALOGUE
from dsl.expressions import (
    BOOL,
    NUMBER,
    ExpressionError,
    ExpressionErrors,
    Type,
    compile_expression,
)
from tests.dsl.expressions.world import SCHEMA, messages

HERE = Path(__file__).parent / "snapshots"

# One file of expected messages per group. The groups named after the facts hold one rule for each of their rows.
CASES: dict[str, list[str]] = {
    "mistakes_and_attacks": [
        "pool.fre >= 1 TiB",
        "pool.media > 10",
        "pool.media = 'ssd'",
        'pool.free >= 1 TiB and (pool.zone == "a" or pool.thin',
        "pool.free + request.size",
        "9**9**9**9 > 1",
        "(" * 5000 + "true" + ")" * 5000,
        "(" * 40 + "true" + ")" * 40,
        " and ".join(["pool.thin"] * 20_000),
        " + ".join(["1"] * 20_000) + " > 0",
        "pool.model like \"(a+)+$\"",
        'pool.model matches "(a+)+$"',
        "pool.flags.all(x, pool.flags.all(y, x and y))",
        "[x for x in pool.flags]",
        "1 << 10 > 3",
        "pool.__class__ == 1",
        "pool.thin.__class__.__bases__ == 1",
        "__import__(\"os\") == 1",
    ],
    "grammar": [
        "pool.free >= 1 MiB/s",
        'pool.media < "hdd"',
        "pool.thin >= true",
        "5 in pool.protocols",
        'pool.zone not in ["a", 5]',
        "request.size between 1 GiB and 5 ms",
        'pool.zone between "a" and "c"',
        "pool.thin and pool.free",
        "pool.iops_free >= request.size * 30",
        "pool.iops_free >= request.size * 30 IOPS/MB",
        "round_up(pool.free) > 1 GiB",
        "ratio(pool.free, pool.total) > 1",
        "has(pool.fre)",
        'has("pool.free")',
        "has(pool.thin, pool.free)",
        "free >= 1 TiB",
        'pool.model like pool.zone',
        'pool.free like "1*"',
        'spread(pool.zone) == 1',
        "# only a comment",
        "pool.thin pool.encrypted",
        "pool.iops-free > 3",
        "1 GiB < pool.free < 3 GiB",
        "pool.free < 3 GiB == true",
        "pool.zone in pool.protocols in pool.protocols",
    ],
    "other_spellings": [
        "pool.zone = \"a\"",
        "pool.zone === \"a\"",
        "pool.zone <> \"a\"",
        "pool.free => 1 GiB",
        "pool.free ≥ 1 GiB",
        "pool.free > = 1 GiB",
        "pool.thin && pool.encrypted || !pool.inuse",
        "pool.thin & pool.encrypted | pool.inuse",
        "pool.thin AND NOT pool.encrypted Or pool.inuse",
        "pool.zone IN [\"a\"] and pool.model LIKE \"F*\" and pool.free BETWEEN 1 GiB AND 2 GiB",
        "pool.zone == 'a'",
        "pool.zone == “a”",
        "pool.zone == `a`",
        "pool.zone == null",
        "pool.zone != None",
        "pool.zone is not null",
        "pool.zone is \"a\"",
        "pool.thin == True",
        "yes",
        "pool.shares ** 2 > 3",
        "pool.shares ^ 2 > 3",
        "pool.shares // 2 > 3",
        "pool.shares % 2 == 0",
        "pool.thin ? pool.encrypted : pool.inuse",
        "pool.thin ? pool.encrypted",
        "if pool.thin then pool.encrypted",
        "pool.model =~ \"F.*\"",
        "pool.model ~ \"F.*\"",
        "pool.model startswith \"F\"",
        "pool.protocols contains \"nfs\"",
        "pool.zone in (\"a\", \"b\")",
        "pool.flags[0]",
        "pool.zone eq \"a\"",
        "pool.shares > +3",
        "pool.shares > 1,000",
        "pool.shares > .5",
        "pool.shares > 5.",
        "pool.thin;",
        "pool.größe > 3",
        "pool.fr\u0435e > 3 GiB",
        "$pool.thin",
        "pool.free\u00a0> 3 GiB",
    ],
    "units": [
        "pool.free >= 10 GB",
        "pool.free >= 10 G",
        "pool.free >= 10 Gi",
        "pool.free >= 10 gib",
        "pool.free >= 10 Gb",
        "pool.free >= 10 EiB",
        "pool.free >= 10 gigabytes",
        "pool.free >= 10",
        "pool.free >= 10737418240",
        "pool.free >= 0.3 B",
        'pool.free >= "10 GiB"',
        "pool.free >= 10 m",
        "pool.free >= 1e400 B",
        "pool.free >= " + "9" * 31 + " B",
        "pool.rate >= 100 MBps",
        "pool.rate >= 100 MiBps",
        "pool.rate >= 100 MB/s",
        "pool.rate >= 100 Mbit/s",
        "pool.rate >= 1 Gbps",
        "pool.rate >= 100",
        "pool.iops_free >= 1.5",
        "pool.iops_free >= 1.5 IOPS",
        "pool.iops_free >= 100 iops",
        "pool.iops_free >= 100 IO/s",
        "pool.iops_per_gib >= 30 IOPS/GB",
        "pool.iops_per_gib >= 30",
        "pool.rate_per_tib >= 100 MB/s/TB",
        "pool.latency <= 5 min",
        "pool.latency <= 5 M",
        "pool.latency <= 5 sec",
        "pool.latency <= 5 µs",
        "pool.latency <= 1 week",
        "pool.latency <= 5",
        "pool.latency <= 5 ns",
        "pool.used <= 1.5",
        "pool.used <= 80",
        "pool.used <= 80 percent",
        "pool.shares >= 3 IOPS",
        "pool.free + pool.rate > 1 GiB",
        "pool.free / pool.rate > 1 GiB",
        "pool.free * pool.free > 1 GiB",
        "pool.free == 10 GiB + 5",
    ],
    "types": [
        "pool.media == \"sdd\"",
        "pool.media in [\"ssd\", \"SSD\", \"nvme\"]",
        "\"tapes\" in pool.tiers",
        "pool.media == \"ssd\" or \"hdd\"",
        "pool.media == ssd",
        "pool.zone == 5",
        "pool.zone == true",
        "pool.thin == 1",
        "pool.thin == \"true\"",
        "not pool.zone",
        "pool.thin or 3",
        "pool.firmware >= 9.13",
        "pool.firmware >= 9.13.1",
        "pool.firmware >= \"9.13P1\"",
        "pool.firmware >= pool.zone",
        "pool.protocols == \"nfs\"",
        "pool.protocols == pool.protocols",
        "pool.protocols in [\"nfs\"]",
        "\"nfs\" in pool.zone",
        "pool.zone in request.zone",
        "pool.zone in []",
        "pool.flags == [true, false]",
        "pool.zone + \"x\" == \"ax\"",
        "len(pool.zone) > 1",
        "len(pool.protocols)",
        "pool.protocols",
        "pool.zone",
        "any(pool.protocols)",
        "all(pool.thin, 3)",
        "min(pool.free, pool.rate) > 1 GiB",
        "min(pool.protocols) > 1",
        "max() > 1",
        "abs(1, 2) > 1",
        "ceil(pool.used) > 1",
        "floor(pool.thin) > 1",
        "minimum(1, 2) > 1",
        "min > 3",
        "pool.model like \"FAS8700\"",
        "pool.model like \"FAS%\"",
    ],
    "names": [
        "pol.free > 1 GiB",
        "host.free > 1 GiB",
        "request.free > 1 GiB",
        "share.size > 1 GiB",
        "pool > 1 GiB",
        "pool.free.size > 1 GiB",
        "spec.wieght > 1",
        "pool..free > 1",
        "pool. > 1",
        "pool.9 > 1",
        "x" * 100 + " > 1",
    ],
    "syntax": [
        "",
        "pool.thin and",
        "pool.free >=",
        "and pool.thin",
        "pool.thin and and pool.inuse",
        "pool.free > not pool.thin",
        "pool.thin not pool.inuse",
        "pool.free between 1 GiB",
        "pool.free between 1 GiB, 2 GiB",
        "pool.zone == \"a",
        "pool.zone == 'a",
        "pool.thin)",
        "(pool.thin]",
        "[pool.thin",
        "min(1, 2",
        "min(1, 2,) > 1",
        "min(, 2) > 1",
        "()",
        "pool.thin and ()",
        "not " * 40 + "pool.thin",
        "-" * 40 + "1 > 0",
        " or ".join(["pool.thin"] * 140),
        "pool.thin and" + " " * 4096 + "pool.inuse",
        "- " * 1100 + "1 > 0",
        "pool.thin : pool.inuse",
    ],
    "several_at_once": [
        "pool.fre >= 10 GB and pool.media = 'sdd' && request.sise > 5 or pool.zone > 3",
        "pool.free >= 10 GB\nand pool.fre >= 1 TiB  # twice\nor pool.latency > 1 min",
    ],
}  # fmt: skip
OTHER_RESULTS: dict[str, tuple[str, Type | None]] = {
    "a truth value where an amount is due": ("pool.thin", None),
    "text where an amount is due": ("pool.zone", None),
    "a size where a plain number is due": ("pool.free", NUMBER),
}


def _compare(name: str, text: str) -> None:
    expected = HERE / f"{name}.txt"
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def _short(rule: str) -> str:
    return rule if len(rule) <= 100 else f"{rule[:40]} ... {len(rule):,} characters"


@pytest.mark.parametrize("group", CASES)
def test_broken_rule_gives_exactly_these_messages(group: str) -> None:
    """Code, place, line, caret, help and note of each problem are what was reviewed."""
    blocks = [f"=== {_short(rule)}\n{messages(rule)}\n" for rule in CASES[group]]
    assert all("[S3" in block for block in blocks)
    _compare(group, "\n".join(blocks))


def test_rule_with_another_result_than_expected_gives_exactly_these_messages() -> None:
    """What a result must be depends on where the expression stands."""
    _compare("results", "\n".join(f"=== {name}\n{messages(*case)}\n" for name, case in OTHER_RESULTS.items()))


def _every_error() -> list[tuple[str, ExpressionError]]:
    found = []
    for text, expects in [(rule, BOOL) for rules in CASES.values() for rule in rules] + list(OTHER_RESULTS.values()):
        try:
            errors = compile_expression(text, SCHEMA, expects=expects).warnings
        except ExpressionErrors as refused:
            errors = refused.errors
        found += [(text, error) for error in errors]
    return found


def test_every_code_about_expressions_is_shown_by_a_case() -> None:
    """A code that no reviewed message shows is a mistake; S323 needs a file and is shown with the places."""
    shown = {error.code for _, error in _every_error()}
    assert shown == {code for code in CATALOGUE if code.startswith("S3")} - {"S323"}


def test_every_message_is_short_and_names_the_next_step() -> None:
    """One title of at most 72 characters, one help line, a label, printable throughout, a place inside the text."""
    for text, error in _every_error():
        assert 0 < len(error.message) <= 72, error
        assert 0 < len(error.hint) <= 160, error
        assert error.label, error
        assert all(part.isprintable() for part in (error.message, error.hint, error.label, error.note)), error
        assert 0 <= error.start <= error.end <= max(len(text), 1), error


def test_help_that_shows_a_whole_rule_shows_one_that_compiles() -> None:
    """Where the corrected rule is written out, it can be copied."""
    whole = [
        (text, error.hint.split("`")[1])
        for text, error in _every_error()
        if error.code in ("S308", "S316", "S322", "S319") and re.match(r"write `[^`]* (?:and|==|in|like) ", error.hint)
    ]
    rules = [rule for _, rule in whole if "..." not in rule and "VALUE" not in rule and rule != "in [a, b]"]
    assert len(rules) >= 7
    for rule in rules:
        compile_expression(rule, SCHEMA)


def test_errors_are_in_order_of_place() -> None:
    """All mistakes of one rule are reported at once, as a reader meets them."""
    for rule in CASES["several_at_once"]:
        with pytest.raises(ExpressionErrors) as caught:
            compile_expression(rule, SCHEMA)
        places = [error.start for error in caught.value.errors]
        assert places == sorted(places)
        assert len(places) >= 3
