"""The voice of the demo: acts, facts, events and checks."""

from __future__ import annotations

import time

from shareflow.cli.output import print_json, print_line


class Narrator:
    """Says what happens. ``silent`` keeps it to one JSON document at the end.

    Attributes:
        checks: every check with its outcome.
        finished: the story was told to its end.
    """

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.checks: list[tuple[str, bool]] = []
        self.finished = False
        self._acts = 0
        self._began = time.monotonic()

    @property
    def held(self) -> bool:
        """The story was told to its end and every check held."""
        return self.finished and all(ok for _, ok in self.checks)

    def act(self, title: str, command: str) -> None:
        """A new act, with the command that does the same."""
        self._acts += 1
        self._print()
        self._print(f"{self._acts}. {title}", "bold")
        self._print(f"   $ {command}", "cyan")

    def line(self, words: str) -> None:
        """A fact."""
        self._print(f"   {words}")

    def event(self, words: str) -> None:
        """Something that happened to the processes."""
        self._print(f"   !! {words}", "bold yellow")

    def check(self, words: str, *, ok: bool) -> None:
        """A check. The story goes on when it fails, and the demo fails at its end."""
        self.checks.append((words, ok))
        self._print(f"   {'ok  ' if ok else 'FAIL'} {words}", "green" if ok else "bold red")

    def summary(self) -> None:
        """How it ended, and how to go on."""
        seconds = time.monotonic() - self._began
        failed = [words for words, ok in self.checks if not ok]
        if self.silent:
            checks = [{"check": words, "ok": ok} for words, ok in self.checks]
            print_json({"ok": self.held, "seconds": round(seconds, 1), "checks": checks})
            return
        self._print()
        if not self.finished:
            self._print("stopped before the end", "bold yellow")
        elif failed:
            self._print(f"{len(failed)} of {len(self.checks)} checks FAILED: {'; '.join(failed)}", "bold red")
        else:
            self._print(f"All {len(self.checks)} checks held, in {seconds:.0f} s.", "bold green")
            self._print(
                "Go on with:  shareflow up    and in another terminal:  shareflow share create home --size '1 GiB'"
            )

    def _print(self, words: str = "", style: str = "") -> None:
        if not self.silent:
            print_line(words, style=style)
