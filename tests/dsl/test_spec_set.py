"""Files and directories as one set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import dsl
from dsl.problems import SpecProblems
from dsl.spec_check import check
from dsl.spec_set import SpecSet, load_specs

ROOT = Path(dsl.__file__).parent.parent
HEADER = "apiVersion: shareflow/v1\nkind: "
TYPE = HEADER + "ShareType\nname: {}\n"
BACKEND = HEADER + "Backend\nname: local\ndriver: directory\npools: [{name: rack1, attributes: {media: ssd}}]\n"
QUOTA = HEADER + 'Quota\nproject: "{}"\nlimits: {{shares: {}}}\n'


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _codes(*paths: Path) -> list[str]:
    with pytest.raises(SpecProblems) as caught:
        load_specs(paths)
    return [problem.code for problem in caught.value.problems]


def test_embedded_specs_are_correct_and_free_of_warnings() -> None:
    """What `shareflow up` starts with has its types, two backends with three pools, and a quota for everyone."""
    specs = load_specs([ROOT / "specs"])
    assert specs.warnings == ()
    assert set(specs.share_types) >= {"standard", "fast", "archive"}
    assert [f"{backend.name}/{pool.name}" for backend, pool in specs.pools()] == [
        "archive/vault",
        "local/rack1",
        "local/rack2",
    ]
    assert specs.share_types["standard"].retention == 7 * 86_400
    assert specs.quota_limits("anyone").shares == 1000
    assert specs.quota_limits("anyone").bytes == 50 * 2**40


def test_directory_is_read_with_everything_below_it(tmp_path: Path) -> None:
    """Yaml and yml files count; hidden files and directories, tests and other files do not."""
    _write(tmp_path / "a.yaml", TYPE.format("a"))
    _write(tmp_path / "deep/er/b.yml", TYPE.format("b"))
    _write(tmp_path / ".hidden.yaml", "not: ours")
    _write(tmp_path / ".git/c.yaml", "not: ours")
    _write(tmp_path / "a.test.yaml", "not: ours")
    _write(tmp_path / "README.md", "# not ours")
    assert set(load_specs([tmp_path]).share_types) == {"a", "b"}


def test_several_paths_are_one_set_and_a_file_counts_once(tmp_path: Path) -> None:
    """A file that is named twice, or also through its directory, is read once."""
    first = _write(tmp_path / "one/a.yaml", TYPE.format("a"))
    _write(tmp_path / "two/b.yaml", TYPE.format("b"))
    assert set(load_specs([tmp_path / "one", first, tmp_path / "two"]).share_types) == {"a", "b"}


def test_file_that_is_named_may_have_any_ending(tmp_path: Path) -> None:
    """The endings only pick files out of a directory."""
    assert set(load_specs([_write(tmp_path / "spec.txt", TYPE.format("a"))]).share_types) == {"a"}


def test_digest_does_not_depend_on_files_order_or_comments(tmp_path: Path) -> None:
    """The digest is of what the set says, so that it can be compared between machines."""
    _write(tmp_path / "one/all.yaml", "---\n".join([TYPE.format("a"), BACKEND, TYPE.format("b")]))
    _write(tmp_path / "two/x.yaml", "# a comment\n" + TYPE.format("b"))
    _write(tmp_path / "two/y.yaml", BACKEND + "---\n" + TYPE.format("a"))
    _write(tmp_path / "three/x.yaml", "---\n".join([TYPE.format("a"), BACKEND, TYPE.format("c")]))
    one, two, three = (load_specs([tmp_path / name]).digest for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_missing_path_is_named(tmp_path: Path) -> None:
    """A typo in a path is a problem, never an empty set."""
    assert _codes(tmp_path / "missing") == ["S001"]
    assert _codes(Path("bad\0name")) == ["S001"]


def test_nothing_to_read_is_a_problem(tmp_path: Path) -> None:
    """No paths, an empty directory and a file of comments are refused."""
    assert _codes() == ["S002"]
    assert _codes(tmp_path) == ["S002"]
    assert _codes(_write(tmp_path / "a.yaml", "# nothing\n")) == ["S002"]


def test_pipe_in_a_directory_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Only regular files are opened."""
    os.mkfifo(tmp_path / "a.yaml")
    assert _codes(tmp_path) == ["S001"]


def test_link_that_leads_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    """A set reads nothing outside of itself: neither a file, nor a directory, nor a loop."""
    outside = _write(tmp_path / "outside/a.yaml", TYPE.format("a"))
    inside = tmp_path / "inside"
    _write(inside / "b.yaml", TYPE.format("b"))
    (inside / "link.yaml").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "loop.yaml").symlink_to(inside / "loop.yaml")
    assert _codes(inside) == ["S001", "S001", "S001"]


def test_link_inside_the_directory_is_followed(tmp_path: Path) -> None:
    """Mounted configuration is often a link to a hidden directory beside it."""
    _write(tmp_path / "..data/a.yaml", TYPE.format("a"))
    (tmp_path / "a.yaml").symlink_to(Path("..data/a.yaml"))
    assert set(load_specs([tmp_path]).share_types) == {"a"}


def test_problems_of_all_files_come_together_sorted_by_place(tmp_path: Path) -> None:
    """One run shows everything: a syntax error in one file does not hide a typo in another."""
    _write(tmp_path / "a.yaml", TYPE.format("A") + "colour: red\n")
    _write(tmp_path / "b.yaml", "a: [\n")
    _write(tmp_path / "c.yaml", HEADER + "Quotas\n")
    specs, problems = check([tmp_path])
    assert specs is None
    assert [(Path(p.file).name, p.line, p.code) for p in problems] == [
        ("a.yaml", 3, "S106"),
        ("a.yaml", 4, "S104"),
        ("b.yaml", 1, "S006"),
        ("c.yaml", 2, "S101"),
        ("c.yaml", 2, "S103"),
        ("c.yaml", 2, "S103"),
    ]


def test_equal_names_in_two_files_name_both_places(tmp_path: Path) -> None:
    """The later one is refused, with the place of the first."""
    _write(tmp_path / "a.yaml", TYPE.format("gold"))
    _write(tmp_path / "b.yaml", TYPE.format("gold"))
    _, (problem,) = check([tmp_path])
    assert (problem.code, Path(problem.file).name, problem.line, problem.column) == ("S201", "b.yaml", 3, 7)
    assert problem.note == f"first at {tmp_path / 'a.yaml'}:3:7"


def test_same_name_in_two_kinds_is_no_conflict(tmp_path: Path) -> None:
    """Names are unique per kind."""
    _write(tmp_path / "a.yaml", TYPE.format("local") + "---\n" + BACKEND)
    specs = load_specs([tmp_path])
    assert set(specs.share_types) == set(specs.backends) == {"local"}


def test_zone_without_a_pool_is_refused(tmp_path: Path) -> None:
    """A reference must lead somewhere, unless the set has no pools at all."""
    alone = _write(tmp_path / "a.yaml", TYPE.format("a") + "zones: [x]\n")
    assert load_specs([alone]).share_types["a"].zones == ("x",)
    assert _codes(alone, _write(tmp_path / "b.yaml", BACKEND)) == ["S202"]


@pytest.mark.parametrize(
    ("require", "codes"),
    [
        ("media: ssd", []),
        ("media: [hdd, ssd]", []),
        ("media: hdd", ["S203"]),
        ("medai: ssd", ["S204"]),
        ("quota_enforced: true", []),
        ("media: true", ["S203"]),
    ],
)
def test_type_that_no_pool_can_satisfy_is_a_warning(tmp_path: Path, require: str, codes: list[str]) -> None:
    """A warning does not refuse the set; what a driver reports by itself is not judged here."""
    _write(tmp_path / "a.yaml", BACKEND + "---\n" + TYPE.format("a") + f"require: {{{require}}}\n")
    specs = load_specs([tmp_path])
    assert [warning.code for warning in specs.warnings] == codes
    assert all(warning.severity == "warning" for warning in specs.warnings)


def test_quota_of_a_project_replaces_the_one_of_all(tmp_path: Path) -> None:
    """A project with a document of its own has exactly those limits; without any there are none."""
    _write(tmp_path / "a.yaml", QUOTA.format("*", 5) + "---\n" + QUOTA.format("big", 500))
    specs = load_specs([tmp_path])
    assert specs.quota_limits("big").shares == 500
    assert specs.quota_limits("other").shares == 5
    alone = load_specs([_write(tmp_path / "b.txt", TYPE.format("a"))])
    assert alone.quota_limits("other").shares is None


def test_set_cannot_be_changed() -> None:
    """A loaded set is a value: neither its mappings nor its documents can be altered."""
    specs: SpecSet = load_specs([ROOT / "specs"])
    with pytest.raises(TypeError):
        specs.share_types["x"] = specs.share_types["fast"]  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        specs.share_types["fast"].retention = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        specs.digest = ""  # type: ignore[misc]
