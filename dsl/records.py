"""Sets of specs that come as records and not as files: read as strictly as files are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dsl.documents import KINDS, SpecDocument
from dsl.problems import Problem, Source, SpecProblems, printable, suggest
from dsl.secret_options import secret_problems
from dsl.set_check import check_set
from dsl.spec_set import SpecSet, from_records
from dsl.yaml_tree import decode, parse

_CODES = {"extra_forbidden": "S104", "missing": "S103"}


def checked(records: Sequence[Mapping[str, object]]) -> SpecSet:
    """The set of :meth:`dsl.spec_set.SpecSet.records`, wherever the records come from.

    Raises:
        SpecProblems: a record is no document, holds a secret instead of a reference, or the set is refused.
    """
    documents: list[SpecDocument] = []
    problems: list[Problem] = []
    for number, record in enumerate(records, 1):
        document = _document(record, f"document {number}")
        if isinstance(document, list):
            problems += document
        else:
            documents.append(document)
            problems += _secrets(record, f"{document.kind} {document.key}")
    if not records:
        problems.append(Problem("S002", "no document was found", hint="send at least one document"))
    if not problems:
        problems += [problem for problem in check_set(documents) if problem.severity == "error"]
    if problems:
        raise SpecProblems(problems)
    return from_records(records)


def _document(record: Mapping[str, object], where: str) -> SpecDocument | list[Problem]:
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        near = suggest(kind, KINDS) if isinstance(kind, str) else None
        hint = f"did you mean `{near}`?" if near else f"the kinds are {', '.join(KINDS)}"
        return [Problem("S101", f"there is no kind `{printable(str(kind))[:40]}`", where, hint=hint)]
    places = record.get("places", {})
    if not isinstance(places, Mapping) or not all(isinstance(place, str) for place in places.values()):
        return [Problem("S105", "`places` must be names with texts", where, hint="leave `places` out")]
    try:
        return KINDS[kind].from_record(record)
    except ValidationError as error:
        return [_problem(kind, detail, where) for detail in error.errors(include_url=False, include_context=False)]


def _problem(kind: str, detail: ErrorDetails, where: str) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    message = f"{kind}: `{printable(key)[:60]}`: {printable(detail['msg'])[:200]}"
    code = _CODES.get(detail["type"], "S106")
    return Problem(code, message, where, hint="`shareflow spec check` says more of the files")


def _secrets(record: Mapping[str, object], where: str) -> Iterator[Problem]:
    """The reader of files knows what a secret looks like; JSON is YAML."""
    if record.get("kind") != "Backend":
        return
    source = decode(json.dumps(record).encode(), where)
    if isinstance(source, Source):
        parsed = parse(source)
        yield from parsed.problems
        for node in parsed.documents:
            yield from secret_problems(node, source)
    else:
        yield source
