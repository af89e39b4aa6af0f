"""Commands and embedded Shareflows as processes of their own, the way users run them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from shareflow.cli import main as cli
from tests.support.world import write_specs

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT_SECONDS = 3


def environment() -> dict[str, str]:
    """This process's, without what would change where commands look."""
    dropped = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "SHAREFLOW_PROJECT")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def argv(*arguments: str) -> list[str]:
    """The command line of one command."""
    return [sys.executable, "-m", "shareflow.cli", *arguments]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return json.loads(self.out)

    @property
    def error(self) -> Mapping[str, str]:
        """The error object on standard error."""
        found = json.loads(self.err)["error"]
        assert isinstance(found, dict)
        return found


def run(*arguments: str, timeout: float = 60, env: Mapping[str, str] | None = None) -> Done:
    """Run one command to its end."""
    done = subprocess.run(
        argv(*arguments),
        cwd=ROOT,
        env={**environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class Up:
    """One ``shareflow up`` and what it says."""

    state_dir: Path
    specs: Path
    process: subprocess.Popen[str] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.state_dir.with_name(self.state_dir.name + ".log")

    def arguments(self, *more: str) -> list[str]:
        """The command line of this one."""
        where = ["--state-dir", str(self.state_dir), "--specs", str(self.specs)]
        return argv("up", *where, "--port", "0", "--ui-port", "0", *more)

    def start(self) -> None:
        """Start it and wait until it is up."""
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.arguments(), cwd=ROOT, env=environment(), stdout=log, stderr=log, text=True
            )
        until(lambda: self.facts is not None or self.process is None or self.process.poll() is not None, 60)
        assert self.facts is not None, self.said

    @property
    def facts(self) -> dict[str, Any] | None:
        """What ``up.json`` says; None while it is not up."""
        with contextlib.suppress(FileNotFoundError):
            found = json.loads((self.state_dir / "up.json").read_text(encoding="utf-8"))
            assert isinstance(found, dict)
            return found
        return None

    @property
    def said(self) -> str:
        """Everything that it has printed."""
        return self.log.read_text(encoding="utf-8")

    def run(self, *arguments: str) -> Done:
        """Run a command against it, in this process: starting Python for each takes longer than most of them do."""
        assert self.facts is not None
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {**environment(), "TEMPORAL_ADDRESS": self.facts["address"]}, clear=True),
            patch.object(sys, "stdin", io.StringIO()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = cli.run(arguments)
        return Done(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> Any:
        """Run a command that succeeds; its JSON."""
        done = self.run(*arguments, "--output", "json")
        assert done.code == 0, done.err
        return done.data

    def has_begun(self, operation: str) -> bool:
        """Whether the inventory knows an operation; asked without another command, which may take seconds to start."""
        database = f"file:{self.state_dir / 'inventory.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True)) as inventory:
            return inventory.execute("SELECT 1 FROM operations WHERE id = ?", (operation,)).fetchone() is not None

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on its state directory, the command itself left out."""
        mine = []
        for process in psutil.process_iter(["cmdline", "pid"]):
            line = " ".join(process.info["cmdline"] or [])
            own = self.process is not None and process.pid == self.process.pid
            if str(self.state_dir) in line and not own and process.status() != psutil.STATUS_ZOMBIE:
                mine.append(process)
        return mine

    def stop(self, which: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(which)
        return self.process.wait(timeout=60)


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition; fails when it does not come."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come in time"
        time.sleep(0.05)


def fake_specs(directory: Path) -> Path:
    """Specs of a fake array on disk whose snapshots take a few seconds."""
    documents: Sequence[Mapping[str, Any]] = (
        {"kind": "ShareType", "name": "standard", "description": "anything", "retention": "7 d"},
        {
            "kind": "ShareType",
            "name": "pair",
            "description": "two copies",
            "replicas": {"apart": "zone", "interval": "2 s", "loss": "1 m"},
        },
        {
            "kind": "QosClass",
            "name": "gold",
            "description": "quick",
            "max_iops_per_gib": 10,
            "max_throughput": "1 MiB/s",
        },
        {
            "kind": "Backend",
            "name": "slow",
            "driver": "fake",
            "slots": 4,
            "options": {
                "store": "disk",
                "path": str(directory / "array"),
                "snapshot_seconds": SNAPSHOT_SECONDS,
                "qos_rounding": "decimal",
            },
            "pools": [
                {"name": "p1", "zone": "a", "options": {"capacity": "10 GiB"}},
                {"name": "p2", "zone": "b", "options": {"capacity": "8 GiB"}},
            ],
        },
    )
    return write_specs(directory / "specs", documents)


def end(up: Up) -> None:
    """Kill it and everything that runs on its state directory."""
    if up.process is not None and up.process.poll() is None:
        up.process.kill()
        up.process.wait(timeout=10)
    for process in up.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
