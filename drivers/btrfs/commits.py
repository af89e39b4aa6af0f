"""One commit for many calls: a commit holds up everything that changes the file system meanwhile, so few are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE: Final = 0.01


class GroupCommit:
    """Commits on behalf of all calls that have come to their end.

    A call that ends waits for those that are still under way, at most ``patience`` seconds, and is then committed
    together with them. A single call is committed at once. Thread-safe; knows the calls of this process only.

    Args:
        commit: makes durable what was changed before it was called.
    """

    def __init__(self, commit: Callable[[], None], patience: float = PATIENCE) -> None:
        self._commit = commit
        self._patience = patience
        self._changed = threading.Condition()
        self._active = 0
        self._waiting = 0
        self._round = 0
        self._done = 0
        self._committing = False
        self._failed: dict[int, Exception] = {}

    @contextmanager
    def call(self) -> Iterator[None]:
        """The length of one call. What it changed is durable when the context is left without an exception.

        Raises:
            Exception: what ``commit`` raised, in every call that it was made for.
        """
        with self._changed:
            self._active += 1
        try:
            yield
        except BaseException:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()
            raise
        self._wait()

    def _wait(self) -> None:
        with self._changed:
            mine, deadline = self._round, time.monotonic() + self._patience
            self._waiting += 1
            self._changed.notify_all()
            while self._done <= mine:
                left = deadline - time.monotonic()
                if not self._committing and (self._waiting >= self._active or left <= 0):
                    self._lead()
                else:
                    self._changed.wait(max(left, 0.001) if not self._committing else None)
            failure = self._failed.get(mine)
        if failure is not None:
            raise failure

    def _lead(self) -> None:
        """Commit for all that wait; the condition is held, and let go while the commit runs."""
        this = self._round
        self._round += 1
        self._active -= self._waiting
        self._waiting = 0
        self._committing = True
        self._changed.release()
        failure: Exception | None = None
        try:
            self._commit()
        except Exception as error:  # noqa: BLE001 - raised in every call that waited for it
            failure = error
        finally:
            self._changed.acquire()
            self._committing = False
            self._done = this + 1
            if failure is not None:
                self._failed[this] = failure
            self._changed.notify_all()
