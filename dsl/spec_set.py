"""Files and directories to one checked set of specs."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from dsl.attributes import schema_of
from dsl.documents import (
    KINDS,
    NO_LIMITS,
    BackendSpec,
    Document,
    PlacementSpec,
    PoolSpec,
    QosClassSpec,
    QuotaLimits,
    QuotaSpec,
    ShareTypeSpec,
    SnapshotPolicySpec,
    SpecDocument,
    digest_of,
)
from dsl.expressions import Schema
from dsl.problems import Problem, Source, SpecProblems, printable
from dsl.reading import read_part
from dsl.salvage import NO_DOUBTS, Doubts, joined
from dsl.set_check import check_set
from dsl.yaml_tree import SPEC_FILE, Bounds, decode, parse

K = TypeVar("K", bound=Document)
MAX_FILES = 10_000
_SUFFIXES = (".yaml", ".yml")
_TESTS = (".test.yaml", ".test.yml")
_KIND = re.compile(r"^kind:[ \t]*([A-Za-z]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SpecSet:
    """Everything that a set of spec files says, checked as a whole.

    Attributes:
        share_types, backends, qos_classes, snapshot_policies: by name.
        quotas: by project; ``*`` holds the limits of projects without their own.
        placement: defaults of placement.
        digest: SHA-256 of the content; place, order and comments do not change it.
        warnings: what is allowed but probably not meant.
    """

    share_types: Mapping[str, ShareTypeSpec]
    backends: Mapping[str, BackendSpec]
    quotas: Mapping[str, QuotaSpec]
    digest: str
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    qos_classes: Mapping[str, QosClassSpec] = field(default_factory=dict)
    snapshot_policies: Mapping[str, SnapshotPolicySpec] = field(default_factory=dict)
    placement: PlacementSpec = field(default_factory=PlacementSpec)

    def documents(self) -> Iterator[SpecDocument]:
        """Every document, in order of kind and name; the defaults of placement only where they say something."""
        for kind in (self.backends, self.qos_classes, self.quotas, self.share_types, self.snapshot_policies):
            yield from (kind[name] for name in sorted(kind))
        if self.placement != PlacementSpec():
            yield self.placement

    def records(self) -> list[dict[str, object]]:
        """The set as JSON values; :func:`from_records` reads them again."""
        return [document.record() for document in self.documents()]

    def schema(self) -> Schema:
        """The attributes that rules may name."""
        return schema_of(self.backends.values())

    def quota_limits(self, project: str) -> QuotaLimits:
        """The limits of a project: its own document as a whole, else that of ``*``, else none."""
        quota = self.quotas.get(project) or self.quotas.get("*")
        return quota.limits if quota is not None else NO_LIMITS

    def pools(self) -> Iterator[tuple[BackendSpec, PoolSpec]]:
        """Every pool with its backend, in order of names."""
        for name in sorted(self.backends):
            for pool in sorted(self.backends[name].pools, key=lambda p: p.name):
                yield self.backends[name], pool


def load_specs(paths: Sequence[Path]) -> SpecSet:
    """Reads files and directories as one set.

    A directory is read with everything below it: ``*.yaml`` and ``*.yml``, without hidden files and ``*.test.yaml``.
    Reads nothing outside of the given paths and changes nothing.

    Raises:
        SpecProblems: a path cannot be read, no document is there, or a document or the set is refused. Every problem
            that could be found is in it, warnings as well.
    """
    specs, problems = read_set(paths)
    if specs is None:
        raise SpecProblems(problems)
    return specs


def from_records(records: Sequence[Mapping[str, object]]) -> SpecSet:
    """The set of :meth:`SpecSet.records`.

    Raises:
        pydantic.ValidationError: a record is none of its kind.
        KeyError: its kind is unknown.
    """
    return _spec_set([KINDS[str(record["kind"])].from_record(record) for record in records], ())


def read_set(paths: Sequence[Path]) -> tuple[SpecSet | None, list[Problem]]:
    """The set, or None when a problem is an error; with all problems, warnings included, in order of reading."""
    problems: list[Problem] = []
    if not paths:
        problems.append(Problem("S002", "no path of a spec file was given", hint="name a directory with spec files"))
    sources = [source for _, source in read_files(paths, problems)]
    return read_sources(sources, problems, printable(", ".join(str(path) for path in paths)))


def read_sources(
    sources: Iterable[Source], unread: Sequence[Problem] = (), where: str = ""
) -> tuple[SpecSet | None, list[Problem]]:
    """The set that texts hold, or None when a problem is an error; with all problems.

    Args:
        sources: each the text of one file.
        unread: problems of files whose texts are not known; what may stand in them is not missed.
        where: what messages call all of them.
    """
    problems = list(unread)
    documents: list[SpecDocument] = []
    doubts = [Doubts(kinds=frozenset(KINDS)) if unread else NO_DOUBTS]
    for source in sources:
        parsed = parse(source)
        problems += parsed.problems
        doubts += [_unread(text) for text in parsed.unread]
        for node in sorted((*parsed.documents, *parsed.damaged), key=lambda node: node.span.line):
            document, found, unclear = read_part(node, source)
            documents += [document] if document is not None else []
            problems += found
            doubts.append(unclear)
    if not documents and not problems:
        hint = "put at least one document into a file that ends in .yaml"
        problems.append(Problem("S002", "no document was found", where, hint=hint))
    problems += check_set(documents, joined(doubts))
    problems.sort(key=lambda problem: problem.sort_key)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    return _spec_set(documents, problems), problems


def _unread(text: str) -> Doubts:
    """What may be in the text of a document that could not be read; where its kind can be seen, only that."""
    kinds = {line[1] for line in _KIND.finditer(text)}
    return Doubts(kinds=frozenset(kinds if kinds and kinds <= KINDS.keys() else KINDS))


def _spec_set(documents: Sequence[SpecDocument], warnings: Sequence[Problem]) -> SpecSet:
    content = sorted((doc.kind, doc.key, doc.canonical()) for doc in documents)
    return SpecSet(
        _by_key(documents, ShareTypeSpec),
        _by_key(documents, BackendSpec),
        _by_key(documents, QuotaSpec),
        digest_of(content),
        tuple(warnings),
        _by_key(documents, QosClassSpec),
        _by_key(documents, SnapshotPolicySpec),
        next((doc for doc in documents if isinstance(doc, PlacementSpec)), PlacementSpec()),
    )


def _by_key(documents: Sequence[SpecDocument], kind: type[K]) -> Mapping[str, K]:
    return MappingProxyType({doc.key: doc for doc in documents if isinstance(doc, kind)})


def is_test_file(path: Path) -> bool:
    """Whether a file holds tests, by its name."""
    return path.name.endswith(_TESTS)


def read_files(paths: Sequence[Path], problems: list[Problem], *, tests: bool = False) -> Iterator[tuple[Path, Source]]:
    """Spec files with their texts: those that are named, and those below directories that are named; each once.

    Args:
        paths: files and directories.
        problems: takes what cannot be read.
        tests: files of tests in directories are read as well.
    """
    seen: set[str] = set()
    for path in paths:
        yield from _sources(Path(path), problems, seen, tests=tests)


def _sources(path: Path, problems: list[Problem], seen: set[str], *, tests: bool) -> Iterator[tuple[Path, Source]]:
    try:
        walk = _walk(path, problems, tests=tests)
        found = list(itertools.islice(walk, MAX_FILES + 1)) if path.is_dir() else [path]
    except OSError as error:
        problems.append(_unreadable(path, error))
        return
    if len(found) > MAX_FILES:
        message = f"the directory has more than {MAX_FILES:,} spec files"
        problems.append(Problem("S001", message, printable(str(path)), hint="name a smaller directory"))
        return
    for file in found:
        real = os.path.realpath(file) if "\0" not in str(file) else str(file)
        if real in seen:
            continue
        seen.add(real)
        source = read_file(file)
        if isinstance(source, Problem):
            problems.append(source)
        else:
            yield file, source


def _walk(root: Path, problems: list[Problem], *, tests: bool) -> Iterator[Path]:
    """Spec files below a directory, in order of their names. Links that lead out of it are refused."""
    inside = Path(os.path.realpath(root))
    for directory, folders, names in os.walk(root, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for folder in (Path(directory, name) for name in folders):
            if folder.is_symlink():
                hint = "name the directory that it leads to as a path of its own"
                message = "a link to a directory is not followed"
                problems.append(Problem("S001", message, printable(str(folder)), hint=hint))
        for name in sorted(names):
            if name.startswith(".") or not name.endswith(_SUFFIXES) or (name.endswith(_TESTS) and not tests):
                continue
            file = Path(directory, name)
            if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(inside):
                hint = "copy the file into the directory"
                problems.append(Problem("S001", "the link leads out of its directory", printable(str(file)), hint=hint))
                continue
            yield file


def _raise(error: OSError) -> None:
    raise error


def read_file(path: Path, bounds: Bounds = SPEC_FILE) -> Source | Problem:
    """The text of one file, or why it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            hint = "name a regular file or a directory"
            return Problem("S001", "this is not a regular file", printable(str(path)), hint=hint)
        with path.open("rb") as file:
            return decode(file.read(bounds.size + 1), printable(str(path)), bounds)
    except (OSError, ValueError) as error:
        return _unreadable(path, error)


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    hint = "check the path" if isinstance(error, FileNotFoundError) else "check the path and its permissions"
    return Problem("S001", f"cannot be read: {printable(reason)[:50]}", printable(str(path)), hint=hint)
