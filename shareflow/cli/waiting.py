"""Waiting for an operation: one line that moves on a terminal, silence elsewhere, and a clear word when interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from shareflow.cli.common import Cli
from shareflow.cli.emptying import evacuation_line
from shareflow.cli.figures import short_line
from shareflow.cli.output import console, print_line, safe
from shareflow.cli.promoting import failover_line
from shareflow.contracts.steps import JobProgress, OperationStatus
from shareflow.contracts.units import format_duration, format_size
from shareflow.errors import ShareflowError
from shareflow.operation import Operation

_JOB_PAUSE = 1.0
_REFRESH = 8


class Moving:
    """The line itself: what is done, the step it is in, how far that is, and for how long."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.status: OperationStatus | None = None
        self.job: JobProgress | None = None
        self._spinner = Spinner("dots")
        self._began = time.monotonic()
        self._job_began = (0.0, 0)

    def moved(self, job: JobProgress | None) -> None:
        """Take a job's newest figures; a job that starts over is a new one."""
        if job is not None and (self.job is None or job.bytes_done < self.job.bytes_done):
            self._job_began = (time.monotonic(), job.bytes_done)
        self.job = job

    def __rich__(self) -> Table:
        """One row: spinner, words, and a bar while a copy runs."""
        line = Table.grid(padding=(0, 1))
        cells: list[Any] = [self._spinner, Text(safe(self.words()), no_wrap=True, overflow="ellipsis")]
        if self.job is not None and self.job.bytes_total:
            cells += [ProgressBar(total=self.job.bytes_total, completed=self.job.bytes_done, width=24), self._figures()]
        line.add_row(*cells)
        return line

    def words(self) -> str:
        """Title, step, what it waits for, seconds."""
        parts = [self.title]
        if self.status is not None:
            parts.append(self.status.step or self.status.phase)
            if self.status.waiting_for:
                parts.append(f"waits for {self.status.waiting_for}")
            elif self.status.phase not in ("running", "ended"):
                parts.append(self.status.phase)
            parts.append(short_line(self.status))
            if self.status.evacuation is not None:
                parts.append(evacuation_line(self.status.evacuation))
            if self.status.failover is not None:
                parts.append(failover_line(self.status.failover))
        parts.append(format_duration(time.monotonic() - self._began))
        return " | ".join(filter(None, parts))

    def _figures(self) -> str:
        job = self.job
        if job is None or not job.bytes_total:
            return ""
        shown = f"{format_size(job.bytes_done)} of {format_size(job.bytes_total)}"
        began, first = self._job_began
        spent, moved = time.monotonic() - began, job.bytes_done - first
        if spent > 1 and moved > 0:
            shown += f", {format_size(int(moved / spent))}/s"
            shown += f", {format_duration((job.bytes_total - job.bytes_done) * spent / moved)} left"
        return shown


@contextlib.contextmanager
def going_on(operation: Operation[Any]) -> Iterator[None]:
    """When the wait inside is interrupted, say that the operation is not."""
    try:
        yield
    except asyncio.CancelledError:
        print_line(f"interrupted; operation {operation.id} goes on", stderr=True)
        print_line(f"help: watch it with `shareflow op watch {operation.id}`", stderr=True)
        print_line(f"help: stop it with `shareflow op cancel {operation.id}`", stderr=True)
        raise


async def follow(cli: Cli, operation: Operation[Any], title: str, *, until: str = "") -> OperationStatus | None:
    """Watch until the operation has ended, or is in the phase ``until``; gives what it said last.

    Without a terminal only calls for an operator are printed.
    """
    moving = Moving(title)
    last: OperationStatus | None = None
    with going_on(operation):
        screen = console(stderr=True) if cli.lively else None
        async with drawn(screen, operation, moving), contextlib.aclosing(operation.progress()) as statuses:
            async for status in statuses:
                if status.phase == "needs-operator" and (last is None or last.phase != status.phase):
                    print_line(f"needs an operator: {status.note or status.waiting_for}", stderr=True, style="bold red")
                moving.status = last = status
                if until and status.phase == until:
                    break
    return last


@contextlib.asynccontextmanager
async def drawn(screen: Console | None, operation: Operation[Any], moving: Moving) -> AsyncIterator[None]:
    """Draw the line on a screen while what is inside runs; nothing where the screen is no terminal."""
    if screen is None or not screen.is_terminal:
        yield
        return
    figures = asyncio.create_task(_follow_job(operation, moving))
    try:
        with Live(moving, console=screen, transient=True, refresh_per_second=_REFRESH):
            yield
    finally:
        figures.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await figures


async def _follow_job(operation: Operation[Any], moving: Moving) -> None:
    while True:
        await asyncio.sleep(_JOB_PAUSE)
        with contextlib.suppress(ShareflowError):
            moving.moved(await operation.job())
