"""Share types of Manila to documents of ours, every translation beside its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from dsl.openstack.emitting import document_text, file_text
from dsl.openstack.names import document_name, numbered
from dsl.openstack.remarks import (
    LEFT_OUT,
    NOT_ACCEPTED,
    OTHER_DEFAULT,
    RENAMED,
    SAME_NAME,
    Remark,
    remark,
)
from dsl.openstack.share_types import SourceType, read_types
from dsl.openstack.translation import Translation, translate
from dsl.problems import Problem, Source, Span, printable, render_problems, shown
from dsl.yaml_tree import parse

_NO_SNAPSHOTS = "Manila allows no snapshots without `snapshot_support`"


@dataclass(frozen=True, slots=True)
class ImportedType:
    """One share type.

    Attributes:
        source_name: its name in Manila.
        name: its name here.
        translations: one for each extra spec, in order.
        remarks: what is to be known about the type as a whole.
        text: the document, as YAML with the sources as comments.
    """

    source_name: str
    name: str
    translations: tuple[Translation, ...]
    remarks: tuple[Remark, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes:
        types: the share types that could be read, in order.
        problems: what could not be read or carried over (errors), and what is to be checked (warnings), by place.
    """

    types: tuple[ImportedType, ...]
    problems: tuple[Problem, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that decides which pools fit was carried over."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def text(self) -> str:
        """All documents as one YAML file; empty when there are none.

        When that is more than a spec file may hold, a problem says so; the text of each type fits a file of its own.
        """
        return file_text([imported.text for imported in self.types])

    def render(self) -> str:
        """Each translation beside its source, then the problems of reading, as text for a terminal."""
        blocks = [_block(imported) for imported in self.types]
        told = {remark.text for imported in self.types for remark in _all_remarks(imported)}
        rest = [problem for problem in self.problems if problem.message not in told]
        if rest:
            blocks.append(render_problems(rest))
        return "\n\n".join(blocks) + "\n"


def import_types(text: str, name: str = "<text>") -> Imported:
    """Reads share types of Manila and translates them.

    Understood are the output of ``openstack share type list --long -f json`` (extra specs as mappings, or as lines of
    ``key : value`` as older clients print them), that of ``share type show``, the answer of the API, and a YAML mapping
    from the names of types to mappings of extra specs.

    Raises nothing, whatever the text is. The bounds are those of a spec file: 1 MiB, 10,000 keys and values.

    Args:
        text: of the file.
        name: of the file, for messages.
    """
    found, problems, source = read_types(text, name)
    types: list[ImportedType] = []
    taken: set[str] = set()
    asked: dict[str, str] = {}
    for share_type in found:
        imported = _import(share_type, taken, source, problems)
        problems += _shared_attributes(share_type, imported, asked, source)
        types.append(imported)
    problems += _too_large(types, source)
    return Imported(tuple(types), tuple(sorted(problems, key=lambda problem: problem.sort_key)))


def _import(found: SourceType, taken: set[str], source: Source, problems: list[Problem]) -> ImportedType:
    proposed = document_name(found.name, "type")
    name = numbered(proposed, taken)
    taken.add(name)
    pairs = [(spec, translate(spec.key, spec.value)) for spec in found.specs]
    translations = tuple(translation for _, translation in pairs)
    remarks = (*_naming(found, proposed, name), *_whole(found, translations), *_conflicts(translations))
    for spec, translation in pairs:
        problems += [_problem(entry, translation.key, source, spec.span) for entry in translation.remarks]
    # What every type shares is told once; each document still says it.
    known = {problem.message for problem in problems if problem.code == OTHER_DEFAULT}
    problems += [_problem(entry, "", source, found.span) for entry in remarks if entry.text not in known]
    text = document_text(found, name, translations, remarks)
    return ImportedType(found.name, name, translations, remarks, text)


def _problem(entry: Remark, key: str, source: Source, span: Span) -> Problem:
    return entry.problem(source, span, f"extra spec `{shown(key)}`" if key else "")


def _naming(found: SourceType, proposed: str, name: str) -> Iterator[Remark]:
    if name != proposed:
        text = f"the name `{proposed}` is taken: this type is called `{name}`"
        yield remark(SAME_NAME, text, "rename one of them")
    elif name != found.name:
        text = f"the type `{shown(found.name, 20)}` is called `{name}` here"
        yield remark(RENAMED, text, "names have small letters, digits and dashes, a letter first")


def _whole(found: SourceType, translations: Sequence[Translation]) -> Iterator[Remark]:
    fields = {translation.field for translation in translations}
    if not any(translation.key == "snapshot_support" for translation in translations):
        yield remark(OTHER_DEFAULT, _NO_SNAPSHOTS, "write `snapshots: {allowed: true}` to allow them")
    if "protocol" not in fields:
        text = "in Manila each request names its protocol, here the type does"
        yield remark(OTHER_DEFAULT, text, "write `protocol: nfs`, or whatever the shares are to speak")
    if found.private:
        text = "in Manila only chosen projects may use this private type"
        yield remark(LEFT_OUT, text, "every project may use a type here; limit it with quotas")
    if found.default:
        text = "in Manila this is the type of requests that name none"
        yield remark(LEFT_OUT, text, "requests name their type here")


def _conflicts(translations: Sequence[Translation]) -> Iterator[Remark]:
    """Settings that cannot stand together."""
    settings: dict[str, Translation] = {}
    for translation in translations:
        if translation.setting is None:
            continue
        first = settings.setdefault(translation.field, translation)
        if first.setting != translation.setting:
            text = f"`{translation.field}` would have two values"
            yield remark(NOT_ACCEPTED, text, f"`{first.key}` is taken; remove `{translation.key}`")
    low, high = settings.get("limits.min_size"), settings.get("limits.max_size")
    if low is not None and high is not None and _gib(low) > _gib(high):
        text = f"the smallest size {low.setting} is above the largest {high.setting}"
        yield remark(NOT_ACCEPTED, text, "correct one of them; no share of this type can be made")


def _gib(translation: Translation) -> int:
    return int(str(translation.setting).split()[0])


def _shared_attributes(
    found: SourceType, imported: ImportedType, asked: dict[str, str], source: Source
) -> Iterator[Problem]:
    """A warning where two capabilities of Manila would be one attribute here; each pair once."""
    for spec, translation in zip(found.specs, imported.translations, strict=True):
        if not translation.attribute:
            continue
        capability = translation.key.removeprefix("capabilities:")
        first = asked.setdefault(translation.attribute, capability)
        if first != capability and f"{first}\n{capability}" not in asked:
            asked[f"{first}\n{capability}"] = ""
            text = f"`{shown(first, 20)}` and `{shown(capability, 20)}` become one attribute"
            hint = f"rename one: both would be `{shown(translation.attribute)}`"
            yield remark(SAME_NAME, text, hint).problem(source, spec.span)


def _too_large(types: Sequence[ImportedType], source: Source) -> Iterator[Problem]:
    """A problem when the documents together are more than a spec file may hold."""
    text = file_text([imported.text for imported in types])
    several = len(types) > 1
    for problem in parse(Source(source.name, text)).problems if several else ():
        message = "all documents together are too large for one spec file"
        yield Problem(problem.code, message, source.name, hint="write one file per share type, or import in parts")


def _all_remarks(imported: ImportedType) -> Iterator[Remark]:
    return chain(imported.remarks, *(translation.remarks for translation in imported.translations))


def _block(imported: ImportedType) -> str:
    """A type with its translations in two columns, remarks below theirs."""
    width = max((len(translation.source) for translation in imported.translations), default=0)
    lines = [f"{imported.name} (in Manila: {printable(imported.source_name)[:80]})"]
    lines += [f"    {_line(entry)}" for entry in imported.remarks]
    for translation in imported.translations:
        target = translation.target or f"nothing{': ' if translation.ignored else ''}{translation.ignored}"
        lines.append(f"  {translation.source:<{min(width, 60)}}  ->  {target}")
        lines += [f"      {_line(entry)}" for entry in translation.remarks]
    return "\n".join(lines)


def _line(entry: Remark) -> str:
    return f"{entry.severity}[{entry.code}]: {entry.text}; {entry.hint}"
