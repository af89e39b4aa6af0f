"""Extra specs to rules: what is written, what is said about it, and that both mean the same."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lark import Lark, Token, Tree
from pydantic import TypeAdapter

from dsl.catalogue import CATALOGUE
from dsl.fields import AttributeName, Name
from dsl.openstack import Translation, matches, scheduled_specs, translate
from dsl.openstack.names import attribute_name, document_name, numbered
from dsl.openstack.remarks import MAX_TEXT
from dsl.openstack.translation import BOOLEANS, COUNTERPARTS
from tests.dsl.openstack_observed import MATCHES
from tests.dsl.test_openstack_operators import OPERATORS, specs

GRAMMAR = r"""
?start: rule
?rule: "has" "(" path ")" -> has
     | path REL value -> compare
     | path "in" "[" value ("," value)* "]" -> among
     | path "like" TEXT -> like
?value: NUMBER -> number | "-" NUMBER -> minus | TEXT -> text | TRUTH -> truth
path: "pool" "." NAME
REL: "==" | "!=" | ">=" | "<="
TRUTH: "true" | "false"
NUMBER: /[0-9]+(\.[0-9]+)?/
NAME: /[a-z][a-z0-9_]*/
TEXT: /"[^"\n]*"/
%ignore " "
"""
"""The part of the expression language that translations are written in."""

NAMES = TypeAdapter[str](Name)
ATTRIBUTES = TypeAdapter[str](AttributeName)
PARSER = Lark(GRAMMAR, parser="lalr")
RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {">=": operator.ge, "<=": operator.le}


def evaluate(expression: str, pool: Mapping[str, object]) -> bool:
    """What a rule says of a pool; a pool that does not report the attribute fails."""
    tree = PARSER.parse(expression)
    path = next(tree.find_data("path"))
    has = pool.get(str(path.children[0]))
    if has is None:
        return False
    values = [_value(child) for child in tree.children if isinstance(child, Tree) and child.data != "path"]
    if tree.data == "has":
        return True
    if tree.data == "among":
        return any(_same(has, value) for value in values)
    if tree.data == "like":
        pattern = str(tree.children[1])[1:-1]
        return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), str(has), re.DOTALL) is not None
    sign = str(tree.children[1])
    if sign == "==":
        return _same(has, values[0])
    return not _same(has, values[0]) if sign == "!=" else RELATIONS[sign](has, values[0])


def _same(has: object, value: object) -> bool:
    return isinstance(has, bool) == isinstance(value, bool) and has == value


def _value(tree: Tree[Token]) -> Any:
    word = str(tree.children[0])
    if tree.data == "truth":
        return word == "true"
    if tree.data == "text":
        return word[1:-1]
    return Fraction(word) if tree.data == "number" else -Fraction(word)


RULES = [
    # key, value, rule, codes of the remarks
    ("dedupe", "<is> True", "pool.dedupe == true", "S415"),
    ("dedupe", "<is> False", "pool.dedupe == false", "S413 S415"),
    ("dedupe", "<is> maybe", "pool.dedupe == false", "S413 S415"),
    ("dedupe", "True", "pool.dedupe == true", "S415"),
    ("capabilities:dedupe", "no", "pool.dedupe == false", "S415"),
    ("ipv4_support", "<is> True", "pool.ipv4_support == true", ""),
    ("ipv4_support", "= 1", "pool.ipv4_support == true", "S413"),
    ("ipv4_support", ">= 0", "has(pool.ipv4_support)", "S413"),
    ("ipv4_support", "s!= x", "has(pool.ipv4_support)", "S413"),
    ("ipv4_support", "<is> True yes", "pool.ipv4_support == true", "S417"),
    ("snapshot_support", "True", "pool.snapshots == true", ""),
    ("snapshot_support", "False", "pool.snapshots == false", "S413"),
    ("snapshot_support", "<IS> True", "pool.snapshots == false", "S413 S417 S413"),
    ("capabilities:snapshot_support", "True", "pool.snapshots == true", ""),
    ("create_share_from_snapshot_support", "<is> True", "pool.clone == true", ""),
    ("revert_to_snapshot_support", "True", "pool.revert == true", ""),
    ("mount_snapshot_support", "True", "pool.mount_snapshot_support == true", ""),
    ("driver_handles_share_servers", "True", "pool.driver_handles_share_servers == true", ""),
    ("flash", "<is> yes", "pool.flash == true", ""),
    ("flash", "<is> no", "pool.flash == false", "S413"),
    ("flash", "<is> what", "pool.flash == false", "S413"),
    ("flash", "true", "pool.flash == true", "S416"),
    ("flash", "0", "pool.flash == false", "S416"),
    ("iops", "= 1000", "pool.iops >= 1000", "S413"),
    ("iops", "== 1000", "pool.iops == 1000", ""),
    ("iops", "== 1e3", "pool.iops == 1000", ""),
    ("iops", "== 1_000.50", "pool.iops == 1000.5", ""),
    ("iops", "== -0.0", "pool.iops == 0", ""),
    ("iops", ">= -5", "pool.iops >= -5", ""),
    ("iops", "<= 1000 IOPS", "pool.iops <= 1000", "S417"),
    ("iops", "!= 1000", "pool.iops != 1000", "S415"),
    ("iops", "<= inf", "has(pool.iops)", "S413"),
    ("iops", "!= nan", "has(pool.iops)", "S413"),
    ("iops", "1000", 'pool.iops == "1000"', "S413"),
    ("iops", "> 1000", 'pool.iops == "> 1000"', "S413"),
    ("iops", ">=1000", 'pool.iops == ">=1000"', "S413"),
    ("iops", "=> 1000", 'pool.iops == "=> 1000"', "S413"),
    ("media", "ssd", 'pool.media == "ssd"', "S414"),
    ("media", "s== SSD", 'pool.media == "SSD"', "S414"),
    ("media", "s== a b", 'pool.media == "a"', "S417 S414"),
    ("media", "s== 10", 'pool.media == "10"', "S413"),
    ("media", "s!= ssd", 'pool.media != "ssd"', "S413 S415 S414"),
    ("media", "<in> sd", 'pool.media like "*sd*"', "S413 S414"),
    ("media", "<in> sd nvme", 'pool.media like "*sd*"', "S413 S417 S414"),
    ("media", "<or> ssd", 'pool.media == "ssd"', "S414"),
    ("media", "<or> ssd <or> nvme", 'pool.media in ["ssd", "nvme"]', "S414"),
    ("media", "<or> a b <or> c", 'pool.media in ["a", "<or>"]', "S417 S414"),
    ("media", "<or> 10 <or> true", 'pool.media in ["10", "true"]', "S413 S414"),
    ("media", "'ssd'", "pool.media == \"'ssd'\"", "S413 S414"),
    ("media", " ssd", 'pool.media == " ssd"', "S413 S414"),
    ("media", "<all-in> ssd", 'pool.media == "<all-in> ssd"', "S413 S414"),
    ("replication_type", "dr", 'pool.replication_type == "dr"', "S414"),
    ("share_backend_name", "alpha", 'pool.share_backend_name == "alpha"', "S414 S413"),
    ("encryption_support", "share", 'pool.encryption_support == "share"', "S414 S415"),
    ("storage_protocol", "<or> NFS <or> CIFS", 'pool.storage_protocol in ["NFS", "CIFS"]', "S414"),
    ("capabilities:flash:cache", "== 5", "pool.flash_cache == 5", "S411"),
    ("hp-3par.x", "== 5", "pool.hp_3par_x == 5", "S411"),
    ("Tier", "== 5", "pool.tier == 5", "S411"),
    ("3par", "== 5", "pool.x_3par == 5", "S411"),
    ("in", "== 5", "pool.in == 5", ""),
    ("größe", "== 5", "pool.grosse == 5", "S411"),
]

SETTINGS = [
    ("storage_protocol", "<in> NFS", "protocol", "nfs"),
    ("storage_protocol", "CIFS", "protocol", "smb"),
    ("capabilities:storage_protocol", "s== cephfs", "protocol", "cephfs"),
    ("storage_protocol", "<or> nfs", "protocol", "nfs"),
    ("availability_zones", "nova, az-2,,nova", "zones", ("nova", "az-2")),
    ("availability_zones", "Rack 1", "zones", ("rack-1",)),
    ("availability_zones", "true,1", "zones", ("zone-true", "zone-1")),
    ("provisioning:min_share_size", "10", "limits.min_size", "10 GiB"),
    ("provisioning:max_share_size", " 2048 ", "limits.max_size", "2048 GiB"),
    ("snapshot_support", "True", "snapshots.allowed", True),
    ("snapshot_support", "<is> false", "snapshots.allowed", False),
    ("snapshot_support", "<is>True", "snapshots.allowed", True),
    ("snapshot_support", "off", "snapshots.allowed", False),
]

NOTHING = [
    # key, value, code, part of the text
    ("iops", "s> 10", "S404", "letter by letter"),
    ("iops", "s<= 10", "S404", "letter by letter"),
    ("media", '"ssd"', "S404", "double quote"),
    ("media", '<in> "', "S404", "double quote"),
    ("media", '<or> a <or> "b"', "S404", "double quote"),
    ("media", "<in> s*d", "S404", "stands for itself"),
    ("media", "a\nb", "S404", "characters that a rule cannot have"),
    ("media", "s== \x1b[31m", "S404", "characters that a rule cannot have"),
    ("media", "x" * 256, "S404", "255 characters"),
    ("k" * 256, "x", "S404", "255 characters"),
    ("iops", "== 1e200", "S404", "too many digits"),
    ("iops", "== 1e-200", "S404", "too many digits"),
    ("iops", "== fast", "S405", "is no number"),
    ("iops", ">= nan", "S405", "false for every number"),
    ("iops", ">= inf", "S405", "false for every number"),
    ("iops", "=", "S405", "without a value"),
    ("media", "<or>", "S405", "IndexError"),
    ("media", "", "S405", "empty value"),
    ("dedupe", "<in> true", "S405", "TypeError"),
    ("dedupe", "s> a", "S405", "TypeError"),
    ("dedupe", "maybe", "S405", "neither true nor false"),
    ("mount_snapshot_support", "<is>True", "S405", "neither true nor false"),
    ("", "x", "S405", "names no capability"),
    ("capabilities", "x", "S405", "names no capability"),
    ("capabilities:a:", "x", "S405", "names no capability"),
    ("provisioning:min_share_size", "small", "S406", "whole GiB"),
    ("provisioning:max_share_size", "0", "S406", "whole GiB"),
    ("provisioning:max_share_size", "9" * 200, "S406", "whole GiB"),
    ("availability_zones", " , ", "S406", "no zone"),
]

IGNORED = [
    ("netapp:dedup", "true", "S418"),
    ("Capabilities:dedupe", "<is> True", "S418"),
    (":dedupe", "<is> True", "S418"),
    ("provisioning:max_share_extend_size", "5", "S418"),
    ("provisioning:mount_point_prefix", "x", "S418"),
    ("provisioning:other", "x", "S418"),
    ("default_qos_type", "Gold", "S418"),
    ("capabilities:availability_zones", "x", ""),
    ("driver_handles_share_servers", "False", ""),
]


def codes(translation: Translation) -> str:
    """The codes of what is said, in order."""
    return " ".join(remark.code for remark in translation.remarks)


@pytest.mark.parametrize(("key", "value", "rule", "said"), RULES)
def test_spec_becomes_this_rule_with_these_remarks(key: str, value: str, rule: str, said: str) -> None:
    """The rule has Manila's meaning, and every surprise is named."""
    found = translate(key, value)
    assert (found.expression, codes(found)) == (rule, said)
    assert rule in found.target
    assert not found.unsupported
    assert not found.ignored


@pytest.mark.parametrize(("key", "value", "field", "setting"), SETTINGS)
def test_spec_becomes_this_setting(key: str, value: str, field: str, setting: object) -> None:
    """What a share type says under a key of its own is no rule about pools."""
    found = translate(key, value)
    assert (found.field, found.setting) == (field, setting)
    assert field in found.target


@pytest.mark.parametrize(("key", "value", "code", "part"), NOTHING)
def test_spec_that_cannot_be_carried_over_says_why(key: str, value: str, code: str, part: str) -> None:
    """No rule is guessed: the reason and the next step stand in its place."""
    found = translate(key, value)
    assert found.expression is None
    assert code in codes(found)
    assert part in found.unsupported
    assert not found.ignored


@pytest.mark.parametrize(("key", "value", "code"), IGNORED)
def test_spec_that_asks_nothing_of_a_pool_is_named_as_ignored(key: str, value: str, code: str) -> None:
    """What Manila's scheduler does not look at becomes no rule."""
    found = translate(key, value)
    assert (found.expression, found.setting, codes(found)) == (None, None, code)
    assert found.ignored
    assert not found.unsupported


@pytest.mark.parametrize("value", MATCHES)
def test_every_observed_value_is_written_or_explained(value: str) -> None:
    """A value that the peer was asked about becomes a rule that can be parsed, or a reason."""
    found = translate("x", value)
    assert (found.expression is None) == bool(found.unsupported)
    if found.expression is not None:
        PARSER.parse(found.expression)


@pytest.mark.parametrize("word", OPERATORS)
def test_every_operator_is_translated_or_refused_for_a_reason(word: str) -> None:
    """None falls through to text."""
    found = translate("x", f"{word} 5")
    assert found.unsupported or f'"{word} 5"' not in str(found.expression)


numbers = st.integers(-(2**52), 2**52) | st.integers(-(2**40), 2**40).map(lambda number: number / 4)
operands = numbers.map(str) | st.sampled_from(["nan", "inf", "-inf", "x", "1_0", "٣", "1e3", ".5", "5.", "+7", "1e40"])
words = st.text("abc1<>=*'.-", min_size=1, max_size=4)


@given(st.sampled_from(["=", "==", "!=", ">=", "<="]), operands, numbers, st.booleans())
def test_rule_about_a_number_means_what_manila_means(sign: str, operand: str, has: float, same: bool) -> None:
    """For every operator, operand and number the rule and Manila agree; without a rule Manila never matches."""
    if same and operand in ("1_0", "٣", "1e3", ".5", "5.", "+7"):
        has = float(operand)
    value = f"{sign} {operand}"
    found = translate("x", value)
    if found.expression is not None:
        assert evaluate(found.expression, {"x": has}) == matches(value, has)
    elif "too many digits" not in found.unsupported:
        assert not matches(value, has)


@given(
    st.sampled_from(["", "s== ", "s!= ", "<in> ", "<or> "]),
    st.lists(words | st.just("<or>"), min_size=1, max_size=4),
    words,
    st.integers(0, 9),
)
def test_rule_about_a_text_means_what_manila_means(start: str, parts: list[str], other: str, pick: int) -> None:
    """In one case of letters, for every operator and text that is no word for a boolean, the rule and Manila agree."""
    assume(start or parts[0] not in ("=", "==", "!=", ">=", "<="))  # those compare numbers, also numbers as text
    value = start + " ".join(parts)
    has = (*parts, " ".join(parts), other, value, f"a{parts[0]}b")[pick % (len(parts) + 4)]
    found = translate("x", value)
    if found.expression is not None and "S416" not in codes(found):
        assert evaluate(found.expression, {"x": has}) == matches(value, has)
    elif found.expression is None and "S405" in codes(found):
        assert not matches(value, has)


@given(
    st.sampled_from(["", "<is> ", "<IS> "]), st.sampled_from(["1", "t", "True", "on", "y", "YES", "0", "f", "no", "x"])
)
def test_rule_about_a_boolean_means_what_manila_means(start: str, word: str) -> None:
    """Every word for true and false, with the operator and without."""
    found = translate("x", start + word)
    assert found.expression is not None
    for has in (True, False):
        assert evaluate(found.expression, {"x": has}) == matches(start + word, has)


@given(st.sampled_from(sorted(BOOLEANS)), specs)
def test_rule_about_a_known_boolean_means_what_manila_means(key: str, value: str) -> None:
    """For a capability that is always true or false there is one right answer to every spec, however odd."""
    rewritten = scheduled_specs({key: value})[key]
    found = translate(key, value)
    attribute = COUNTERPARTS.get(key, key)
    for has in (True, False):
        if found.expression is not None:
            assert evaluate(found.expression, {attribute: has}) == matches(rewritten, has)
        elif "S405" in codes(found):
            assert not matches(rewritten, has)


@given(st.text(max_size=12) | st.sampled_from(["dedupe", "snapshot_support", "availability_zones"]), specs)
def test_no_text_raises_and_everything_said_can_be_shown(key: str, value: str) -> None:
    """Any key and value end in a translation whose parts a terminal can print and a rule can hold."""
    found = translate(key, value)
    assert found.source.isprintable()
    assert found.target.isprintable()
    assert found.target or found.ignored or found.unsupported
    for remark in found.remarks:
        assert remark.code in CATALOGUE
        assert len(remark.text) <= MAX_TEXT
        assert remark.hint
        assert remark.text.isprintable()
        assert remark.hint.isprintable()
    if found.expression is not None:
        PARSER.parse(found.expression)
        assert found.expression.count(f"pool.{found.attribute}") == 1


def test_secret_for_a_driver_is_not_shown() -> None:
    """The value of a key that names a secret is not repeated."""
    assert "hunter2" not in str([translate("netapp:password", "hunter2").source])
    assert "hunter2" not in str(translate("netapp:password", "hunter2").remarks)


@given(st.text(max_size=80))
def test_every_name_becomes_a_valid_one(text: str) -> None:
    """Whatever a name is in Manila, the one here is one that documents can have."""
    for name, kind in ((document_name(text, "type"), NAMES), (attribute_name((text, text)), ATTRIBUTES)):
        assert kind.validate_python(name) == name


@pytest.mark.parametrize("word", ["true", "False", "NULL"])
def test_name_that_yaml_takes_for_a_value_gets_a_word_in_front(word: str) -> None:
    """A document's name is text without quotes."""
    assert document_name(word, "type") == f"type-{word.lower()}"


def test_taken_name_gets_the_next_number() -> None:
    """Also when the name is as long as names may be."""
    assert numbered("gold", set()) == "gold"
    assert numbered("gold", {"gold", "gold-2"}) == "gold-3"
    assert numbered("x" * 31, {"x" * 31}) == "x" * 29 + "-2"
