"""Every kind of document that people write: those of a set, and tests of sets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dsl.document import Document
from dsl.documents import KINDS
from dsl.spec_tests.documents import PlacementTestSpec

WRITTEN: Mapping[str, type[Document]] = MappingProxyType({**KINDS, PlacementTestSpec.kind: PlacementTestSpec})
