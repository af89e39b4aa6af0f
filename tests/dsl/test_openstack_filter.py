"""The capabilities filter, as the peer answers, and its reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.openstack import Outcome, accepts, scheduled_specs
from tests.dsl.openstack_observed import FILTERED, POOL, QOS_SUPPORT
from tests.dsl.test_openstack_operators import capabilities, specs

KEYS = ("a", "b", "nested", "default_qos_type", "qos_type_support", "availability_zones", "capabilities", "")
SCOPES = ("", "capabilities:", "capabilities:nested:", "netapp:", ":", "capabilities::")
keys = st.builds("{}{}".format, st.sampled_from(SCOPES), st.sampled_from(KEYS) | st.text(max_size=4))


@pytest.mark.parametrize(("extra_specs", "verdict"), FILTERED)
def test_every_verdict_is_the_peers(extra_specs: dict[str, str], verdict: str) -> None:
    """It passes where the filter passes, fails where it fails, and says so where it raises."""
    found = accepts(extra_specs, POOL)
    assert bool(found) is (verdict == "passes")
    assert found.aborts is (verdict not in ("passes", "fails"))
    if found.aborts:
        assert verdict in found.reason
        assert "aborts the whole request" in found.reason


@pytest.mark.parametrize(("support", "verdict"), QOS_SUPPORT)
def test_qos_type_asks_whether_the_pool_reports_anything_but_nothing(support: object, verdict: str) -> None:
    """Any value that is true in Python is support, also the text False."""
    found = accepts({"default_qos_type": "gold"}, {"qos_type_support": support})
    assert bool(found) is (verdict == "passes")
    assert found or "qos_type_support" in found.reason


def test_every_spec_has_its_verdict_with_both_values_and_a_reason() -> None:
    """Also those behind the one that decided, and those that nobody looks at."""
    found = accepts(
        {"dedupe": "<is> True", "iops": "= 6000", "netapp:x": "y", "availability_zones": "a", "gone:": "z", "no": "x"},
        {"dedupe": [False, True], "iops": 5000},
    )
    assert [(entry.key, entry.capability, entry.outcome) for entry in found.verdicts] == [
        ("dedupe", [False, True], Outcome.MATCHED),
        ("iops", 5000, Outcome.FAILED),
        ("netapp:x", None, Outcome.IGNORED),
        ("availability_zones", None, Outcome.IGNORED),
        ("gone:", None, Outcome.IGNORED),
        ("no", None, Outcome.ABSENT),
    ]
    assert found.deciding == found.verdicts[1]
    assert found.reason == "`iops`: has 5000, wants a number of at least 6000"
    assert found.render().splitlines() == [
        "refused: `iops`: has 5000, wants a number of at least 6000",
        "  matched dedupe = '<is> True': has True, wants true",
        "  failed  iops = '= 6000': has 5000, wants a number of at least 6000",
        "  ignored netapp:x = 'y': the scope `netapp` is not the scheduler's",
        "  ignored availability_zones = 'a': zones are matched by another filter of Manila",
        "  ignored gone: = 'z': the scope `gone` is not the scheduler's",
        "  absent  no = 'x': the pool does not report 'no'",
    ]


def test_pool_that_passes_says_what_counted() -> None:
    """The reason of a pass is how many specs matched and how many were not looked at."""
    assert accepts({}, {}).reason == "0 matched, 0 ignored"
    assert accepts({"a": "x", "netapp:b": "y"}, {"a": "X"}).reason == "1 matched, 1 ignored"


def test_abort_behind_a_failure_is_not_reached() -> None:
    """Manila stops at the first spec that fails, so the order of the specs decides whether the request is aborted."""
    pool = {"iops": 5, "media": "ssd"}
    assert not accepts({"media": "hdd", "iops": "<in> 5"}, pool).aborts
    assert accepts({"iops": "<in> 5", "media": "hdd"}, pool).aborts


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("ssd", "exactly 'ssd'"),
        ("= 1", "a number of at least 1"),
        ("== 1", "a number equal to 1"),
        ("!= 1", "a number other than 1"),
        (">= 1", "a number of at least 1"),
        ("<= 1", "a number of at most 1"),
        ("s== a", "the text 'a'"),
        ("s!= a", "anything but the text 'a'"),
        ("s< a", "text that sorts before 'a'"),
        ("s<= a", "text that sorts up to 'a'"),
        ("s> a", "text that sorts behind 'a'"),
        ("s>= a", "text that sorts from 'a' on"),
        ("<in> a", "text that contains 'a'"),
        ("<is> on", "true"),
        ("<is> what", "false"),
        ("<or> a b <or> c", "one of the texts 'a', '<or>'"),
        ("<IS>", "nothing, `<is>` has no operand"),
        ("> 5", "exactly '> 5'"),
    ],
)
def test_reason_says_how_manila_reads_the_operator(spec: str, words: str) -> None:
    """The words show the meaning, not the spelling."""
    assert accepts({"a": spec}, {"a": []}).reason == f"`a`: has [], wants {words}"


@pytest.mark.parametrize(
    ("given_specs", "protocol", "near", "expected"),
    [
        ({"snapshot_support": "True"}, None, False, {"snapshot_support": "<is> True"}),
        ({"snapshot_support": "<is> True"}, None, False, {"snapshot_support": "<is> True"}),
        ({"snapshot_support": "<is>True"}, None, False, {"snapshot_support": "<is>True"}),
        ({"snapshot_support": "<IS> True"}, None, False, {"snapshot_support": "<is> <IS> True"}),
        ({"snapshot_support": " <is> True"}, None, False, {"snapshot_support": "<is>  <is> True"}),
        ({"capabilities:snapshot_support": "True"}, None, False, {"capabilities:snapshot_support": "True"}),
        ({"mount_point_name_support": "True"}, None, False, {"mount_point_name_support": "True"}),
        ({"dedupe": "True"}, None, False, {"dedupe": "True"}),
        ({}, "NFS", False, {"storage_protocol": "<in> NFS"}),
        ({"storage_protocol": "CIFS"}, "NFS", False, {"storage_protocol": "CIFS"}),
        ({"share_backend_name": "a"}, None, False, {"share_backend_name": "a"}),
        ({"share_backend_name": "a", "x": "y"}, None, True, {"x": "y"}),
    ],
)
def test_scheduler_rewrites_specs_before_the_filter(
    given_specs: dict[str, str], protocol: str | None, expected: dict[str, str], *, near: bool
) -> None:
    """The six boolean specs, the protocol of the request, and the name of the backend; nothing else."""
    before = dict(given_specs)
    assert scheduled_specs(given_specs, protocol=protocol, near=near) == expected
    assert given_specs == before


def test_marker_in_another_case_turns_a_spec_into_its_opposite() -> None:
    """``<IS> True`` is accepted when the type is made, and then asks for a pool that cannot."""
    rewritten = scheduled_specs({"snapshot_support": "<IS> True"})
    assert not accepts(rewritten, {"snapshot_support": True})
    assert accepts(rewritten, {"snapshot_support": False})


@given(st.dictionaries(keys, specs, max_size=4), st.dictionaries(st.sampled_from(KEYS), capabilities, max_size=4))
def test_no_mapping_raises_and_the_reason_can_be_shown(
    extra_specs: dict[str, str], reported: dict[str, object]
) -> None:
    """Any specs about any capabilities end in a verdict that a terminal can print."""
    found = accepts(extra_specs, reported)
    assert len(found.verdicts) == len(extra_specs)
    assert bool(found) is (not found.qos_refused and all(entry.ok for entry in found.verdicts))
    assert found.reason.isprintable()
    assert all(line.isprintable() for line in found.render().split("\n"))


class Mapped(dict[str, object]):
    """A mapping whose values cannot be had."""

    def get(self, key: str, default: object = None) -> object:
        """Fails."""
        raise LookupError(key)


class Undecided:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise RuntimeError


def test_mapping_that_fails_is_an_abort() -> None:
    """Whatever escapes from a capability escapes from Manila as well."""
    assert accepts({"capabilities:a:b": "x"}, {"a": Mapped(b=1)}).aborts
    assert not accepts({"default_qos_type": "x"}, {"qos_type_support": Undecided()})


def test_key_or_value_that_is_no_text_is_an_abort() -> None:
    """Manila never stores one; its code would fail on it."""
    assert accepts({5: "x"}, {}).aborts  # type: ignore[dict-item]
    assert accepts({"a": None}, {"a": 1}).aborts  # type: ignore[dict-item]
