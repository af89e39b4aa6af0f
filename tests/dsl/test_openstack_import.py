"""Files of share types to documents. ``SHAREFLOW_UPDATE_SNAPSHOTS=1`` writes what is expected anew, to be reviewed."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.catalogue import CATALOGUE
from dsl.documents import ShareTypeSpec
from dsl.openstack import Imported, import_types
from dsl.problems import SpecProblems
from dsl.yaml_tree import Entries, Items, load, to_plain
from tests.dsl.test_openstack_operators import OPERATORS
from tests.dsl.test_openstack_translation import PARSER

HERE = Path(__file__).parent / "manila"
FILES = sorted(path.name for path in HERE.iterdir() if path.suffix in (".json", ".yaml"))


def _imported(name: str) -> Imported:
    return import_types((HERE / name).read_text(encoding="utf-8"), name)


def _documents(text: str) -> list[tuple[ShareTypeSpec, list[str]]]:
    """What a file of ours says: each type without its rules, and its rules."""
    found = []
    for node in load(text):
        assert isinstance(node, Entries)
        body = {key.text: to_plain(value) for key, value in node.entries}
        assert (body.pop("apiVersion"), body.pop("kind")) == ("shareflow/v1", "ShareType")
        rules = body.pop("require", [])
        assert isinstance(rules, list)
        found.append((ShareTypeSpec.model_validate(body), [str(rule) for rule in rules]))
    return found


@pytest.mark.parametrize("name", FILES)
def test_file_gives_exactly_these_documents_and_messages(name: str) -> None:
    """Documents with their sources, the table for a terminal, and each problem with its place are what was reviewed."""
    found = _imported(name)
    problems = "\n\n".join(problem.render() for problem in found.problems)
    made = {"documents": found.text, "shown": found.render(), "problems": problems + "\n"}
    for kind, text in made.items():
        expected = HERE / f"{name}.{kind}.txt"
        if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
            expected.write_text(text, encoding="utf-8")
        assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_documents_are_read_as_share_types_with_rules(name: str) -> None:
    """What is written is what our own reader takes, and each rule is an expression."""
    found = _imported(name)
    documents = _documents(found.text)
    assert [spec.name for spec, _ in documents] == [imported.name for imported in found.types]
    for (_, rules), imported in zip(documents, found.types, strict=True):
        assert rules == [entry.expression for entry in imported.translations if entry.expression is not None]
        for rule in rules:
            PARSER.parse(rule)


def test_every_code_about_manila_is_shown_by_a_file() -> None:
    """A code that nothing says, or that no reviewed message shows, is a mistake."""
    said = {problem.code for name in FILES for problem in _imported(name).problems}
    assert {code for code in CATALOGUE if code.startswith("S4")} <= said


def test_every_message_is_short_and_names_the_next_step() -> None:
    """One title of at most 72 characters, one help line, a place, and the severity of its code."""
    for name in FILES:
        for problem in _imported(name).problems:
            assert len(problem.message) <= 72
            assert problem.hint
            assert problem.line
            assert problem.severity == ("error" if problem.code < "S410" else "warning")


def test_client_of_today_and_client_of_before_say_the_same() -> None:
    """Extra specs as mappings and extra specs as lines of text become the same documents."""
    specs = {"snapshot_support": "True", "capabilities:dedupe": "<is> True", "a": "b : c = d"}
    required = {"driver_handles_share_servers": "False"}

    def lines(pairs: dict[str, str]) -> str:
        return "\n".join(f"{key} : {value}" for key, value in pairs.items())

    new = {"ID": "1", "Name": "x", "Visibility": "public", "Is Default": False, "Description": "d"}
    new |= {"Required Extra Specs": required, "Optional Extra Specs": specs}
    old = {"id": "1", "name": "x", "visibility": "public", "is_default": "False", "description": "d"}
    old |= {"required_extra_specs": lines(required), "optional_extra_specs": lines(specs)}
    assert import_types(json.dumps([new])).text == import_types(json.dumps([old])).text


def test_other_forms_of_the_same_types_say_the_same() -> None:
    """One type shown alone, the answer of the API, and a plain mapping are understood as well."""
    specs = {"driver_handles_share_servers": "True", "snapshot_support": "True", "media": "ssd"}
    one = {"name": "x", "extra_specs": specs, "required_extra_specs": {"driver_handles_share_servers": "True"}}
    texts = [json.dumps(one), json.dumps([one]), json.dumps({"share_types": [one], "volume_types": [one]})]
    texts.append(json.dumps({"x": specs}))
    texts.append("x:\n" + "".join(f"  {key}: {value}\n" for key, value in specs.items()))
    rules = {tuple(sorted(_documents(import_types(text).text)[0][1])) for text in texts}
    assert len(rules) == 1


def test_values_of_yaml_are_taken_as_they_are_written() -> None:
    """A boolean or a number of YAML is the text that Manila would hold."""
    found = import_types("x:\n  flash: True\n  code: 0o17\n  size: 1.50\n")
    assert [entry.value for entry in found.types[0].translations] == ["True", "0o17", "1.50"]


def test_type_without_snapshot_support_allows_no_snapshots() -> None:
    """Manila's default is another one than ours, so it is written out."""
    found = import_types("x: {media: ssd}")
    assert _documents(found.text)[0][0].snapshots.allowed is False
    assert "S419" in {problem.code for problem in found.problems}


def test_sizes_zones_protocol_and_description_stand_under_their_keys() -> None:
    """What is no rule is a setting of the type."""
    spec, rules = _documents(_imported("types.json").text)[0]
    assert (spec.protocol, spec.zones) == ("nfs", ("az1", "nova"))
    assert (spec.limits.min_size, spec.limits.max_size) == (10 * 2**30, 2048 * 2**30)
    assert spec.snapshots.allowed
    assert spec.description == 'Fast \N{ROCKET}: for "databases" # really'
    assert 'pool.media in ["SSD", "NVMe"]' in rules


def test_names_that_become_one_are_kept_apart() -> None:
    """Each type keeps its document, and the second is told that its name was taken."""
    found = import_types('{"A b": {}, "a-b": {}, "a_b": {}}')
    assert [imported.name for imported in found.types] == ["a-b", "a-b-2", "a-b-3"]
    assert [imported.source_name for imported in found.types] == ["A b", "a-b", "a_b"]
    assert sum(problem.code == "S412" for problem in found.problems) == 2


def test_capabilities_that_become_one_attribute_are_told_once() -> None:
    """Two rules about one attribute would ask another question than Manila does."""
    found = import_types('{"a": {"x-y": "== 1", "x_y": "== 2"}, "b": {"x-y": "== 1", "x_y": "== 2"}}')
    assert [problem.message for problem in found.problems if problem.code == "S412"] == [
        "`x-y` and `x_y` become one attribute"
    ]


def test_scope_alone_makes_no_other_attribute() -> None:
    """The same capability with the scope of the scheduler and without is the same."""
    assert "S412" not in {problem.code for problem in import_types("a: {x: == 1, 'capabilities:x': == 2}").problems}


@pytest.mark.parametrize(
    ("specs", "part"),
    [
        ({"provisioning:min_share_size": "9", "provisioning:max_share_size": "5"}, "above the largest"),
        ({"storage_protocol": "NFS", "capabilities:storage_protocol": "CIFS"}, "`protocol` would have two values"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(specs: dict[str, str], part: str) -> None:
    """No share of such a type could be made; the documents say so."""
    found = import_types(json.dumps({"x": specs}))
    assert not found.complete
    assert any(part in problem.message and problem.code == "S406" for problem in found.problems)


def test_import_without_loss_is_complete() -> None:
    """Warnings alone leave it complete; a spec that could not be carried over does not."""
    assert import_types("x: {media: ssd}").complete
    assert not import_types("x: {media: s> ssd}").complete


def test_secret_for_a_driver_is_in_no_form_of_the_answer() -> None:
    """Neither in the documents, nor on the terminal, nor in a message."""
    found = _imported("types.json")
    rendered = "".join(problem.render() for problem in found.problems)
    assert "hunter2" not in found.text + found.render() + rendered
    assert "netapp:password" in found.text


@pytest.mark.parametrize("value", [">= 5", "!= 5", "> 5"])
def test_operator_that_means_something_in_yaml_is_to_be_quoted(value: str) -> None:
    """The help line shows the value in quotes."""
    found = import_types(f"x:\n  iops: {value}\n")
    assert f'quote the value: "{value}"' in [problem.hint for problem in found.problems]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "S401"),
        ("# nothing\n", "S401"),
        ("[]", "S401"),
        ("just text", "S401"),
        ("[1, 2]", "S401"),
        ("[{}]", "S402"),
        ("[{name: null}]", "S402"),
        ("x: [1]", "S403"),
        ("x: no pair", "S403"),
        ("x: {a: {b: c}}", "S403"),
        ("a: &b c", "S007"),
        ("[" * 100, "S011"),
        ("{", "S006"),
        ("\ud800", "S005"),
        ("a" * (2**20 + 1), "S003"),
        ("x: {" + ",".join(f"k{i}: v" for i in range(6000)) + "}", "S012"),
    ],
)
def test_text_that_holds_no_share_types_is_refused_with_a_reason(text: str, code: str) -> None:
    """Each has its code, and none raises."""
    found = import_types(text, "x.json")
    assert code in {problem.code for problem in found.problems}
    assert not found.complete
    assert found.render()


def _check(found: Imported) -> None:
    """Whatever the text was: documents that can be read, messages that can be shown."""
    if any("too large for one spec file" in problem.message for problem in found.problems):
        assert all(len(load(imported.text)) == 1 for imported in found.types)
    elif found.text:
        assert len(load(found.text)) == len(found.types)
    for problem in found.problems:
        assert problem.hint
        assert len(problem.message) <= 72
    rendered = SpecProblems(found.problems).render() + found.render()
    assert all(ch == "\n" or ch.isprintable() for ch in rendered)


texts = st.text(max_size=20) | st.sampled_from(
    ["<is> True", "= 5", "a : b\nc : d", "\x00", "\u202e", "\ud800", '"', "'"]
)
names = st.text(max_size=20) | st.sampled_from(["dedupe", "snapshot_support", "availability_zones", "netapp:x", "a-b"])
HEADINGS = ["Name", "name", "Required Extra Specs", "optional_extra_specs", "extra_specs", "Description", "Visibility"]
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(HEADINGS), values), max_size=3) | st.dictionaries(names, values))
@settings(max_examples=300, deadline=None)
def test_any_value_under_any_heading_ends_in_documents_or_problems(content: object) -> None:
    """What a client could print, with everything in it that it should not hold."""
    _check(import_types(json.dumps(content)))
    _check(import_types(json.dumps(content, ensure_ascii=False)))


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_ends_in_documents_or_problems(text: str) -> None:
    """Nothing raises."""
    _check(import_types(text, text))


@given(st.sampled_from(FILES), st.randoms(use_true_random=False), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_mutated_files_end_in_documents_or_problems(name: str, chance: random.Random, changes: int) -> None:
    """Files with pieces cut, doubled and put in."""
    text = (HERE / name).read_text(encoding="utf-8")
    for _ in range(changes):
        start = chance.randrange(len(text) + 1)
        end = min(start + chance.randrange(30), len(text))
        piece = chance.choice(["", text[start:end] * 2, "{", "]", '"', "\\ud83d", "\\", " : ", "\n", "<is> True"])
        text = text[:start] + piece + text[end:]
    _check(import_types(text))


MIB = 2**20
HUGE = {
    "types": json.dumps({f"t{i}": {"media": "ssd", "iops": "= 5", "x-y": "s> 1"} for i in range(1200)}),
    "specs": json.dumps({"x": {f"k-{i}": "= 5" for i in range(4900)}}),
    "equal_names": json.dumps([{"name": "a", "extra_specs": {}} for _ in range(1900)]),
    "lines": json.dumps([{"name": "x", "extra_specs": "\n".join(f"k-{i} : v" for i in range(60_000))}]),
    "bad_lines": json.dumps([{"name": "x", "extra_specs": "x\n" * 300_000}])[:MIB],
    "escapes": '["' + "\\ud83d\\ude80" * 80_000 + '"]',
    "operators": "x: " + ": >" * (MIB // 4) + "'",
    "long_value": json.dumps({"x": {"a": "<or> b " * 100_000}}),
    "long_name": json.dumps({"é-" * 300_000: {}}),
    "zones": json.dumps({"x": {"availability_zones": "A," * 120}}),
}


@pytest.mark.parametrize("name", HUGE)
def test_text_of_a_mebibyte_made_to_hurt_is_imported_in_time(name: str) -> None:
    """Nothing costs more than time in proportion to the text."""
    begun = time.process_time()
    _check(import_types(HUGE[name]))
    assert time.process_time() - begun < 6.0


def test_types_that_do_not_fit_into_one_file_each_fit_into_their_own() -> None:
    """The whole is refused with the way out; nothing is cut off silently."""
    found = import_types(HUGE["equal_names"])
    assert "S012" in {problem.code for problem in found.problems}
    assert not found.complete
    assert [len(load(imported.text)) for imported in found.types] == [1] * len(found.types)
    assert "only the first ones are taken" in str(import_types(HUGE["specs"]).problems)


def test_default_that_differs_is_told_once() -> None:
    """Each document says it, the list of problems says it for the first type."""
    found = import_types("{a: {}, b: {}, c: {}}")
    assert sum(problem.code == "S419" for problem in found.problems) == 2
    assert found.text.count("S419") == 6


def test_list_of_documents_begins_with_what_to_know() -> None:
    """The head of the file says what the comments are; several types are several documents."""
    text = _imported("types.json").text
    assert text.startswith("# Share types that were imported from Manila.\n")
    assert len(re.findall(r"^---$", text, re.MULTILINE)) == 1
    assert all(isinstance(node, Entries) and isinstance(node.get("require"), Items) for node in load(text))


def test_page_about_manila_names_every_operator_and_shows_what_is_written() -> None:
    """The example of the page is the answer of the code."""
    page = (Path(dsl.__file__).parent.parent / "docs" / "from-manila.md").read_text(encoding="utf-8")
    assert [word for word in OPERATORS if f"`{word} " not in page] == []
    source, document = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert import_types(source).types[0].text == document
