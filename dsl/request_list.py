"""Files of requests that are replayed: one list, in YAML or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dsl.problems import START, Problem, Source, shown
from dsl.reading import read_model
from dsl.share_request import NamedRequest
from dsl.spec_set import read_file
from dsl.yaml_tree import LARGE_FILE, Entries, Items, Node, find, parse

_HINT = "write a list, like `[{size: 10 GiB, type: standard}]`"
_MAX_PROBLEMS = 50


def read_requests(path: Path) -> tuple[list[NamedRequest], list[Problem]]:
    """The requests that a file holds, in their order, and what is wrong with it; one of both is empty.

    Raises nothing.
    """
    source = read_file(path, LARGE_FILE)
    if isinstance(source, Problem):
        return [], [source]
    parsed = parse(source, LARGE_FILE)
    if parsed.problems:
        return [], list(parsed.problems)
    if len(parsed.documents) != 1:
        message = f"the file holds {len(parsed.documents) or 'no'} lists of requests, not one"
        return [], [source.problem("S270", message, START, hint=_HINT)]
    node = parsed.documents[0]
    if not isinstance(node, Items) or not node.items:
        fact = "the list of requests is empty" if isinstance(node, Items) else "this is no list of requests"
        return [], [source.problem("S270", fact, node.span, hint=_HINT)]
    return _read(node, source)


def _read(node: Items, source: Source) -> tuple[list[NamedRequest], list[Problem]]:
    requests: list[NamedRequest] = []
    problems: list[Problem] = []
    for item in node.items:
        found = _item(item, source)
        if isinstance(found, list):
            problems += found
        else:
            requests.append(found)
        if len(problems) >= _MAX_PROBLEMS:
            break
    problems = problems or list(_equal_names(requests, node, source))
    return ([], sorted(problems, key=lambda problem: problem.sort_key)) if problems else (requests, [])


def _item(item: Node, source: Source) -> NamedRequest | list[Problem]:
    if isinstance(item, Entries):
        return read_model(item, source, NamedRequest, "request")
    return [source.problem("S270", "a request is a mapping", item.span, hint="write `{size: 10 GiB, type: standard}`")]


def _equal_names(requests: list[NamedRequest], node: Items, source: Source) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for index, request in enumerate(requests):
        key = (request.project, request.name)
        if request.name and first.setdefault(key, index) != index:
            message = f"the share `{shown(request.name)}` is asked for twice"
            note = f"first at {source.at(find(node, (first[key], 'name')).span)}"
            span = find(node, (index, "name")).span
            yield source.problem("S201", message, span, hint="rename or remove one of them", note=note)
