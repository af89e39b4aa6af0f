"""Every code that a spec problem can carry, with its cause and its fix.

``S0xx`` files and YAML, ``S1xx`` one document, ``S2xx`` the set as a whole, ``S3xx`` expressions, ``S4xx`` what comes
from Manila, ``S5xx`` what commands say. A code never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dsl.catalogue import of_documents, of_expressions
from dsl.catalogue.entry import Entry

__all__ = ["CATALOGUE", "Entry"]

CATALOGUE: Mapping[str, Entry] = MappingProxyType({**of_documents.ENTRIES, **of_expressions.ENTRIES})
