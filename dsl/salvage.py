"""What can be told of documents although parts of them are refused, so that one run finds every mistake.

A mistyped key is read as the key that was meant, what is refused is taken out of the tree, and what has to be there
gets a stand-in. What was taken out leaves doubts: nobody may call a name unknown that might be in there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from dsl.yaml_tree import Entries, Items, Node, Path, Scalar, find, load

# Never seen by an author: a document with a stand-in has an error.
_STAND_INS = {
    "name": "unnamed",
    "driver": "unknown",
    "pools": "[{name: unnamed}]",
    "project": "unnamed",
    "limits": "{}",
    "schedule": "[{every: 1 h, keep: 1}]",
    "prefer.weight": "1",
}
# Where the names of a kind stand: those of its documents, or those that it declares for others.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "Backend": ("attributes", "pools"),
    "QosClass": ("name",),
    "SnapshotPolicy": ("name",),
}


class Doubts(NamedTuple):
    """What a set may hold beside what could be read.

    Attributes:
        words: keys and values in what was refused.
        kinds: kinds of documents of which names could not be read at all.
    """

    words: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def about(self, kind: str, name: str) -> bool:
        """Whether documents of a kind may hold a name that was not found in them."""
        return kind in self.kinds or name in self.words


Edit = Node | str | None
"""A value for a key, another name for it, or None to take a key or an item out."""

NO_DOUBTS = Doubts()


def joined(doubts: Sequence[Doubts]) -> Doubts:
    """All of them together."""
    words, kinds = (one.words for one in doubts), (one.kinds for one in doubts)
    return Doubts(frozenset().union(*words), frozenset().union(*kinds))


def doubts_of(kind: str, lost: Mapping[Path, Node | None], *, damaged: bool) -> Doubts:
    """What a document of a kind may hold in what was taken out of it.

    Args:
        kind: of the document.
        lost: what was taken out, by path; None where a stand-in was put in.
        damaged: a problem of YAML stands in the document.
    """
    words = {str(path[-1]) for path in lost}
    words.update(word for node in lost.values() if node is not None for word in _words(node))
    names = _NAMES.get(kind, ())
    unknown = any((name,) in lost and not isinstance(lost[(name,)], Entries | Items) for name in names)
    return Doubts(frozenset(words), frozenset([kind] if damaged or unknown else ()))


def _words(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield node.text
    for key, value in node.entries if isinstance(node, Entries) else ():
        yield key.text
        yield from _words(value)
    for item in node.items if isinstance(node, Items) else ():
        yield from _words(item)


def stand_in(path: Path) -> Node | None:
    """A value for a key that is missing, None when the mapping around it cannot be kept."""
    text = _STAND_INS.get(".".join(step for step in path if isinstance(step, str)))
    return load(text)[0] if text is not None else None


def refused_paths(node: Node, path: Path = ()) -> Iterator[Path]:
    """Where problems of YAML stand: the values that were refused, and the mappings in which a key was."""
    if (isinstance(node, Scalar) and node.refused) or (isinstance(node, Entries) and node.incomplete):
        yield path
    for key, value in node.entries if isinstance(node, Entries) else ():
        yield from refused_paths(value, (*path, key.text))
    for index, item in enumerate(node.items if isinstance(node, Items) else ()):
        yield from refused_paths(item, (*path, index))


def existing(node: Node, path: Path) -> Path:
    """The path, or the longest beginning of it that leads to a node."""
    for length, step in enumerate(path):
        below = find(node, (step,))
        if below is node:
            return path[:length]
        node = below
    return path


def edited(node: Node, edits: Mapping[Path, Edit]) -> Node:
    """The tree with changes at some paths, none of which is empty or leads through another."""
    if not edits:
        return node
    steps: dict[str | int, dict[Path, Edit]] = {}
    for path, edit in edits.items():
        steps.setdefault(path[0], {})[path[1:]] = edit
    if isinstance(node, Entries):
        return replace(node, by_key=dict(_edited_keys(node, steps)))
    if isinstance(node, Items):
        made = ((item, steps.get(index, {})) for index, item in enumerate(node.items))
        return replace(node, items=tuple(edited(item, edits) for item, edits in made if () not in edits))
    return node


def _edited_keys(
    node: Entries, steps: Mapping[str | int, Mapping[Path, Edit]]
) -> Iterator[tuple[str, tuple[Scalar, Node]]]:
    for key, (name, value) in node.by_key.items():
        below = steps.get(key, {})
        edit = below.get((), key)
        if isinstance(edit, str):
            inside = edited(value, below) if () not in below else value
            yield edit, (replace(name, value=edit, text=edit), inside)
    for step, below in steps.items():
        edit = below.get(())
        if isinstance(edit, Scalar | Items | Entries):
            name = Scalar(str(step), str(step), plain=True, span=node.span)
            yield name.text, (name, edit)
