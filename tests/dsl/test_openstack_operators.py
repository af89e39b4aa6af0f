"""The operators of extra specs, as the peer answers them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dsl.openstack import matches
from dsl.openstack.operators import answer
from tests.dsl.openstack_observed import CAPABILITIES, MATCHES, RAISES

OPERATORS = ("=", "==", "!=", ">=", "<=", "s==", "s!=", "s<", "s<=", "s>", "s>=", "<in>", "<is>", "<or>")
WORDS = (
    *OPERATORS,
    ">",
    "<",
    "<all-in>",
    "5",
    "-5.5",
    "nan",
    "inf",
    "ssd",
    "SSD",
    "true",
    "no",
    "'",
    '"',
    "İ",
    "٣",
    "",
)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(WORDS) | st.binary()
)
capabilities = st.recursive(
    scalars | st.integers(10**308, 10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.tuples(inner)
        | st.frozensets(st.text(max_size=3))
    ),
    max_leaves=5,
)
specs = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=5).map(" ".join) | st.text(max_size=20)


class Hostile:
    """A value that refuses everything."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("spec", MATCHES)
def test_every_answer_is_the_peers(spec: str) -> None:
    """True where it says true, false where it says false, and false where it raises, with the same exception known."""
    expected = MATCHES[spec]
    assert len(expected) == len(CAPABILITIES)
    for letter, capability in zip(expected, CAPABILITIES, strict=True):
        found = answer(spec, capability)
        assert (found.matches, found.raises) == (letter == "Y", RAISES.get(letter, "")), (spec, capability)
        assert matches(spec, capability) is (letter == "Y")


def test_observed_answers_cover_every_operator_and_every_kind_of_answer() -> None:
    """The table is worth its name: each operator both matches and does not, and every exception is in it."""
    for operator in OPERATORS:
        letters = "".join(found for spec, found in MATCHES.items() if spec.split()[:1] == [operator])
        assert {"Y", "."} <= set(letters), operator
    assert set("".join(MATCHES.values())) == {"Y", ".", "T", "I", "O"}


@pytest.mark.parametrize(
    ("spec", "capability", "matched"),
    [
        ("= 5", 6, True),
        ("= 5", 4, False),
        ("1", 1, False),
        ("> 5", 6, False),
        ("> 5", "> 5", True),
        (">=5", 6, False),
        ("s> 10", "9", True),
        ("<in> nf", "NFS_CIFS", True),
        ("<in> 5", 5, False),
        ("<is> false", "garbage", True),
        ("<is> false", None, False),
        ("<or> 5", 5, False),
        ("<or> a b <or> c", "c", False),
        ("<or> a b <or> c", "<or>", True),
        ("<or>", "a", False),
        ("'ssd'", "ssd", False),
        (" ssd", "ssd", False),
        ("== 5 GB", 5, True),
        ("ssd", ["ssd"], False),
        ("<in> ssd", ["ssd"], True),
        ("<in> ssd", {"ssd": 1}, True),
    ],
)
def test_surprise_is_kept(spec: str, capability: object, *, matched: bool) -> None:
    """What surprises in Manila surprises here in the same way."""
    assert matches(spec, capability) is matched


@given(specs, capabilities)
@example("<is> 1", 10**5000)
@example("= 1", 10**400)
@example("<or>", "a")
def test_no_value_raises(spec: str, capability: object) -> None:
    """Any text about any value is answered with true or false."""
    assert type(matches(spec, capability)) is bool


@pytest.mark.parametrize("spec", [*(f"{operator} 5" for operator in OPERATORS), "5", ""])
def test_value_that_refuses_everything_does_not_match(spec: str) -> None:
    """Whatever a capability raises is what Manila would raise, and no match."""
    found = answer(spec, Hostile())
    assert not found.matches
    assert found.raises in ("RuntimeError", "TypeError")


def test_value_too_deep_for_text_does_not_match() -> None:
    """A nest that Python cannot write as text aborts Manila as well."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert answer("<is> true", deep).raises == "RecursionError"
