"""What is to be said about a translation: the surprise, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dsl.problems import Problem, Source, Span

NOT_A_LIST = "S401"
NO_NAME = "S402"
UNREADABLE = "S403"
NO_COUNTERPART = "S404"
MATCHES_NOTHING = "S405"
NOT_ACCEPTED = "S406"
RENAMED = "S411"
SAME_NAME = "S412"
SURPRISING = "S413"
CASE = "S414"
LIST_OF_VALUES = "S415"
GUESSED = "S416"
LOST = "S417"
LEFT_OUT = "S418"
OTHER_DEFAULT = "S419"

MAX_TEXT = 72


class Remark(NamedTuple):
    """One thing to know about a translation.

    Attributes:
        code: ``S4xx``, in :data:`dsl.catalogue.CATALOGUE`. Up to ``S409`` something of the source is not carried over
            that changes which pools fit; from ``S411`` on the translation stands, and this is a warning.
        text: the fact, in one line of at most 72 characters.
        hint: the next step.
    """

    code: str
    text: str
    hint: str

    @property
    def severity(self) -> Literal["error", "warning"]:
        """``error`` when something is lost."""
        return "error" if self.code < "S410" else "warning"

    def problem(self, source: Source, span: Span, note: str = "") -> Problem:
        """The remark at a place of a file."""
        return source.problem(self.code, self.text, span, hint=self.hint, note=note, severity=self.severity)


def remark(code: str, text: str, hint: str) -> Remark:
    """A remark whose text is cut to its bound."""
    return Remark(code, text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "...", hint)
