"""Imported share types as YAML text: the source of each line as a comment above it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from dsl.documents import API_VERSION
from dsl.openstack.remarks import Remark
from dsl.openstack.share_types import SourceType
from dsl.openstack.translation import Translation, setting_text
from dsl.problems import printable, shown

_PLAIN = re.compile(r"[a-z](?:[^:#]|:(?! |$)|(?<! )#)*")
_MAX_DESCRIPTION = 1000
_HEAD = """# Share types that were imported from Manila.
# Above each line stands the extra spec that it was made from, and what is to be known about the change.
# Rules name attributes of pools: declare those that no driver reports. Where a pool of Manila reports a list of values,
# one that matches is enough there; here a list is asked with `"value" in pool.attribute`.
"""


def file_text(documents: Sequence[str]) -> str:
    """Documents as one file; empty when there are none."""
    return "\n---\n".join([_HEAD + documents[0], *documents[1:]]) if documents else ""


def document_text(found: SourceType, name: str, translations: Sequence[Translation], remarks: Sequence[Remark]) -> str:
    """One share type as a document.

    Args:
        found: the type as it is in Manila.
        name: its name here.
        translations: of its extra specs.
        remarks: about the type as a whole.
    """
    lines = [f"apiVersion: {API_VERSION}", "kind: ShareType"]
    lines += [f"# Manila: {shown(found.name, 80)}", *(_comment(entry, "") for entry in remarks), f"name: {name}"]
    if found.description.strip():
        lines.append(f"description: {_quoted(found.description.strip()[:_MAX_DESCRIPTION])}")
    lines += _settings(translations, "protocol")
    lines += _rules(translations)
    lines += _settings(translations, "limits")
    if not any(translation.key == "snapshot_support" for translation in translations):
        lines += ["snapshots:", "  allowed: false"]
    lines += _settings(translations, "snapshots")
    lines += _settings(translations, "zones")
    return "\n".join([*lines, *_left(translations)]) + "\n"


def _rules(translations: Sequence[Translation]) -> list[str]:
    lines: list[str] = []
    for translation in translations:
        if translation.expression is not None:
            lines += [f"  # {translation.source}", *(_comment(entry, "  ") for entry in translation.remarks)]
            lines.append(f"  - {_scalar(translation.expression)}")
    return ["require:", *lines] if lines else []


def _settings(translations: Sequence[Translation], key: str) -> list[str]:
    """One key of the document with everything that goes there; of two values for one place the first is taken."""
    lines: list[str] = []
    placed: set[str] = set()
    for translation in translations:
        field, setting = translation.field, translation.setting
        if setting is None or field.partition(".")[0] != key or field in placed:
            continue
        placed.add(field)
        inside = "  " if "." in field else ""
        lines.append(f"{inside}# {translation.source}")
        if translation.expression is None:
            lines += [_comment(entry, inside) for entry in translation.remarks]
        lines.append(f"{inside}{field.rpartition('.')[2]}: {setting_text(setting)}")
    return [f"{key}:", *lines] if lines and lines[0].startswith(" ") else lines


def _left(translations: Sequence[Translation]) -> list[str]:
    """What leads to no line of its own, as comments."""
    lines: list[str] = []
    for translation in translations:
        if not translation.target:
            why = f": {translation.ignored}" if translation.ignored else ""
            lines.append(f"#   {translation.source}{why}")
            lines += [_comment(entry, "", "#   ") for entry in translation.remarks]
    return ["# Without a line of their own:", *lines] if lines else []


def _comment(entry: Remark, inside: str, start: str = "# ") -> str:
    return f"{inside}{start}  {entry.severity} {entry.code}: {printable(entry.text)}; {printable(entry.hint)}"


def _scalar(text: str) -> str:
    """Text in the plainest form that YAML reads as the same text."""
    return text if _PLAIN.fullmatch(text) and text == text.strip() else "'" + text.replace("'", "''") + "'"


def _quoted(text: str) -> str:
    return json.dumps(printable(text), ensure_ascii=False)
