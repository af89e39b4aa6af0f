"""Files of tests, and the set beside them that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dsl.problems import Problem, Source, printable
from dsl.reading import read_kind
from dsl.spec_set import SpecSet, is_test_file, read_files, read_set
from dsl.spec_tests.checking import check_tests
from dsl.spec_tests.documents import PlacementTestSpec
from dsl.yaml_tree import parse

TEST_KINDS = {PlacementTestSpec.kind: PlacementTestSpec}


class Suite(NamedTuple):
    """Tests and the set that they are about.

    Attributes:
        specs: the set, None when it is refused.
        tests: in order of their places; none when there is an error.
        problems: of the set and of the tests, warnings included, in order of reading.
    """

    specs: SpecSet | None
    tests: tuple[PlacementTestSpec, ...]
    problems: tuple[Problem, ...]

    @property
    def usable(self) -> bool:
        """Whether the tests can run."""
        return not any(problem.severity == "error" for problem in self.problems)


def read_tests(paths: Sequence[Path]) -> Suite:
    """The tests in files and below directories, with the set that these paths hold.

    Where only files of tests are named, the set is what stands in their directories. Raises nothing.
    """
    specs, found = read_set(_spec_paths(paths))
    problems = list(found)
    tests: list[PlacementTestSpec] = []
    unreadable: list[Problem] = []  # what the set cannot read is among its problems already
    for path, source in read_files(paths, unreadable, tests=True):
        if is_test_file(path):
            tests += _read(source, problems)
    problems += [problem for problem in unreadable if problem not in problems]
    if not tests and not any(problem.severity == "error" for problem in problems):
        where = printable(", ".join(str(path) for path in paths))
        hint = "put at least one into a file that ends in .test.yaml"
        problems.append(Problem("S262", "no test was found", where, hint=hint))
    if specs is not None:
        problems += check_tests(tests, specs)
    problems.sort(key=lambda problem: problem.sort_key)
    made = Suite(specs, tuple(tests), tuple(problems))
    return made if made.usable else made._replace(tests=())


def _spec_paths(paths: Sequence[Path]) -> list[Path]:
    others = [path for path in paths if not is_test_file(path) or path.is_dir()]
    return others or list(dict.fromkeys(path.parent for path in paths))


def _read(source: Source, problems: list[Problem]) -> Iterator[PlacementTestSpec]:
    parsed = parse(source)
    problems += parsed.problems
    for node in parsed.documents:
        test = read_kind(node, source, TEST_KINDS)
        if isinstance(test, list):
            problems += test
        else:
            yield test
