"""What is suggested for a slip: nearly always what was meant, never something silly."""

from __future__ import annotations

import re

import pytest

from dsl.expressions import ExpressionErrors, compile_expression
from tests.dsl.expressions.world import SCHEMA

# A rule with one slip, and what the help line has to offer.
SLIPS = [
    ("pool.fre > 1 GiB", "pool.free"),
    ("pool.feee > 1 GiB", "pool.free"),
    ("pool.rfee > 1 GiB", "pool.free"),
    ("pool.frees > 1 GiB", "pool.free"),
    ("pool.Free > 1 GiB", "pool.free"),
    ("pool.FREE > 1 GiB", "pool.free"),
    ("pool.toal > 1 GiB", "pool.total"),
    ("pool.totla > 1 GiB", "pool.total"),
    ("pool.totals > 1 GiB", "pool.total"),
    ("pool.iopsfree > 1", "pool.iops_free"),
    ("pool.iops_fre > 1", "pool.iops_free"),
    ("pool.iosp_free > 1", "pool.iops_free"),
    ("pool.iops-free > 1", "pool.iops_free"),
    ("pool.IOPS_free > 1", "pool.iops_free"),
    ("pool.latncy < 1 ms", "pool.latency"),
    ("pool.latenzy < 1 ms", "pool.latency"),
    ("pool.latenyc < 1 ms", "pool.latency"),
    ("pool.medai == 1", "pool.media"),
    ("pool.medium == 1", "pool.media"),
    ("pool.zones == 1", "pool.zone"),
    ("pool.zoen == 1", "pool.zone"),
    ("pool.modle == 1", "pool.model"),
    ("pool.thinn", "pool.thin"),
    ("pool.tihn", "pool.thin"),
    ("pool.encryped", "pool.encrypted"),
    ("pool.encyrpted", "pool.encrypted"),
    ("pool.firmwear > 1", "pool.firmware"),
    ("pool.frimware > 1", "pool.firmware"),
    ("1 in pool.protocol", "pool.protocols"),
    ("1 in pool.protcols", "pool.protocols"),
    ("1 in pool.tier", "pool.tiers"),
    ("pool.in_use", "pool.inuse"),
    ("pool.oder > 1", "pool.order"),
    ("request.sise > 1", "request.size"),
    ("request.szie > 1", "request.size"),
    ("request.sizes > 1", "request.size"),
    ("request.urgnet", "request.urgent"),
    ("spec.wieght > 1", "spec.weight"),
    ("spec.weigth > 1", "spec.weight"),
    ("pol.free > 1 GiB", "pool.free"),
    ("pools.free > 1 GiB", "pool.free"),
    ("Pool.free > 1 GiB", "pool.free"),
    ("reqest.size > 1 GiB", "request.size"),
    ("requset.size > 1 GiB", "request.size"),
    ("shares.size > 1 GiB", "share.size"),
    ("free > 1 GiB", "pool.free"),
    ("urgent", "request.urgent"),
    ('pool.media == "sdd"', '"hdd"'),
    ('pool.media == "SSD"', '"ssd"'),
    ('pool.media == "hybird"', '"hybrid"'),
    ('pool.media == "hybrd"', '"hybrid"'),
    ('"taep" in pool.tiers', '"tape"'),
    ("pool.media == ssd", '"ssd"'),
    ("cel(pool.order) > 1", "ceil"),
    ("flor(pool.order) > 1", "floor"),
    ("mni(pool.order, 1) > 1", "min"),
    ("length(pool.flags) > 1", "len"),
    ("exists(pool.free)", "has"),
    ("maximum(1, 2) > 1", "max"),
    ("pool.free > 1 Gib", "1 GiB"),
    ("pool.free > 1 GIB", "1 GiB"),
    ("pool.free > 1 TB", "1 TiB"),
    ("pool.free > 1 tb", "1 TiB"),
    ("pool.free > 1 GBi", "1 GiB"),
    ("pool.free > 1 GiiB", "1 GiB"),
    ("pool.rate > 1 MiB/sec", "1 MiB/s"),
    ("pool.rate > 1 mib/s", "1 MiB/s"),
    ("pool.iops_free > 1 ipos", "1 IOPS"),
    ("pool.iops_free > 1 IOP", "1 IOPS"),
    ("pool.iops_per_gib > 1 IOPS/Gib", "1 IOPS/GiB"),
    ("pool.latency > 1 msec", "1 ms"),
    ("pool.latency > 1 minutes", "1 m"),
    ("pool.latency > 1 hour", "1 h"),
]
STRANGE = [
    "pool.colour == 1",
    "pool.price > 1",
    "pool.x > 1",
    "pool.bandwidth > 1",
    "pool.size > 1 GiB",
    "request.free > 1 GiB",
    "request.media == 1",
    "share.free > 1 GiB",
    "spec.zone == 1",
    "host.name == 1",
    "cluster.free > 1 GiB",
    'pool.media == "nvme"',
    'pool.media == "x"',
    "sqrt(2) > 1",
    "now() > 1",
    "pool.free > 1 parsec",
    "pool.free > 1 blocks",
    "pool.latency > 1 fortnight",
]


def _hint(rule: str) -> str:
    with pytest.raises(ExpressionErrors) as caught:
        compile_expression(rule, SCHEMA)
    return min(caught.value.errors, key=lambda error: error.code not in ("S310", "S311", "S312", "S317")).hint


def test_at_least_nine_of_ten_slips_lead_to_what_was_meant() -> None:
    """The bar of the messages, over at least sixty slips of names, values, functions and units."""
    assert len(SLIPS) >= 60
    right = [rule for rule, meant in SLIPS if f"`{meant}`" in _hint(rule)]
    assert len(right) >= 0.9 * len(SLIPS)


@pytest.mark.parametrize(("rule", "meant"), SLIPS)
def test_slip_gets_no_other_suggestion_than_what_was_meant(rule: str, meant: str) -> None:
    """A suggestion is right or not made; `medium` for `media` may be too far."""
    hint = _hint(rule)
    if "did you mean" in hint:
        assert f"`{meant}`" in hint


@pytest.mark.parametrize("rule", STRANGE)
def test_strange_word_gets_no_silly_suggestion(rule: str) -> None:
    """Nothing is near, so what there is gets listed; never a name of another namespace."""
    hint = _hint(rule)
    assert "did you mean" not in hint
    assert re.search(r"\b(use|write)\b", hint) or "declare" in hint


@pytest.mark.parametrize("namespace", ["request", "share", "spec"])
def test_name_of_another_namespace_is_never_suggested(namespace: str) -> None:
    """`request.fre` does not become `pool.free`: a request knows nothing of pools."""
    for name in SCHEMA.pool:
        if name not in ("zone", "free"):
            assert "pool." not in _hint(f"{namespace}.{name}x == 1")
