"""A real PostgreSQL server for tests: made from nothing, on a Unix socket, gone when the tests are over."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from shareflow.doctor import find_command

PORT = 5432
_START_LIMIT = 30.0
_STOP_LIMIT = 20.0
_PREFIX = "shareflow-pg-"
_LEFT_BEHIND = 3600.0
# Tests kill processes, never the machine: what the kernel has is safe.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "deadlock_timeout": "200ms",
    "log_min_messages": "error",
}


class PostgresServer:
    """One cluster in a directory of its own.

    As root the server runs as ``postgres`` (or ``nobody``), because it refuses to run as root. It ends with the process
    that started it, whatever ends that one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster. Raises CalledProcessError with the output of ``initdb``."""
        owner = _owner()
        if owner is not None:
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
        options = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._run("initdb", *options, f"--pgdata={self.data}")

    def start(self) -> None:
        """Start the server and wait until it answers. Raises TimeoutError with the end of its log."""
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", str(self.data), "-k", str(self.directory), "-p", str(PORT), *settings]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_owner("--pdeathsig=INT"), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
            )
        deadline = time.monotonic() + _START_LIMIT
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                log_end = (self.directory / "log").read_text(errors="replace")[-2000:]
                self.stop()
                raise TimeoutError(
                    f"PostgreSQL does not answer after {_START_LIMIT:.0f} s; its log ends with\n{log_end}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server at once: sessions are cut off, as when a server is restarted. Idempotent."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop it as a crash of the whole cluster would: no process of it says goodbye. Idempotent."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def url(self, name: str, *, host: Path | None = None) -> str:
        """The address of a database of this server, or of one behind a socket in another directory."""
        return f"postgresql+psycopg://postgres@/{name}?host={host or self.directory}&port={PORT}"

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside a transaction, as the superuser; returns its rows."""
        with psycopg.connect(self._dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, *, template: str = "template0", options: str = "") -> str:
        """Make a database and return its name."""
        name = f"t_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, also one that is in use."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _dsn(self, database: str) -> str:
        return f"host={self.directory} port={PORT} user=postgres dbname={database} connect_timeout=5"

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*_as_owner(), _program(program), *arguments],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            timeout=60,
        )


def _owner() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as_owner(*options: str) -> list[str]:
    owner = _owner()
    identity = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"] if owner else []
    return ["setpriv", *options, *identity, "--"] if options or identity else []


def _program(name: str) -> str:
    found = find_command(name)
    if found is None:
        raise FileNotFoundError(f"{name} of PostgreSQL is not installed")
    return found


def _sweep() -> None:
    """Remove what test runs left that were killed and could not clean up; their servers ended with them."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND and not (left / "data" / "postmaster.pid").exists():
                shutil.rmtree(left)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A new server, stopped and removed at the end whatever happens."""
    _sweep()
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    server = PostgresServer(directory)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
