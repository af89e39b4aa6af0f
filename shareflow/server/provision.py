"""Getting a Temporal server binary into the cache: by the SDK's download, or by a build from source.

Both happen under one lock per cache, write under a temporary name, look at what the binary says of itself, and rename
it into place. So a cached binary is always whole, however many processes start at once and whenever one is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shareflow.process import dies_with_parent, terminate_group
from shareflow.server import pins

Report = Callable[[str], None]

DOWNLOAD_LIMIT = 180.0
BUILD_LIMIT = 1800.0
BUILD_SPACE = 5 * 1024**3
VERSION_LIMIT = 20.0
SAY_EVERY = 30.0
_KEPT_OUTPUT = 600
_VERSION = re.compile(r"temporal version (\S+) \(Server v?(\d+)\.(\d+)\.(\d+)", re.ASCII)
_DOWNLOAD = """
import asyncio, os, sys
from temporalio.testing import WorkflowEnvironment
async def main():
    env = await WorkflowEnvironment.start_local(download_dest_dir=sys.argv[1], dev_server_download_version=sys.argv[2])
    await env.shutdown()
try:
    asyncio.run(main())
except Exception as error:
    print(error, flush=True)
    os._exit(1)
os._exit(0)
"""


class NotProvided(Exception):
    """One way of getting a binary did not work; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class BinaryVersion:
    """What ``temporal --version`` says: the CLI's version and the numbers of the server inside."""

    cli: str
    server: tuple[int, int, int]

    @property
    def server_text(self) -> str:
        """The server's version as people write it."""
        return ".".join(str(part) for part in self.server)


def ask_version(binary: Path) -> BinaryVersion:
    """What the binary says of itself. Raises NotProvided when it does not run or says something else."""
    try:
        done = subprocess.run(
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_LIMIT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise NotProvided(f"{binary} --version gave no answer within {VERSION_LIMIT:.0f} s") from None
    except OSError as error:
        raise NotProvided(f"{binary} does not start: {error.strerror}") from None
    found = _VERSION.search(done.stdout)
    if not found:
        raise NotProvided(f"{binary} --version does not name a Temporal server: {_tail(done.stdout + done.stderr)!r}")
    return BinaryVersion(found[1], (int(found[2]), int(found[3]), int(found[4])))


def built_key(module_dir: Path) -> str:
    """Cache key of the build from source: versions, machine, and a digest of what decides its content."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        with contextlib.suppress(FileNotFoundError):
            digest.update((module_dir / name).read_bytes())
    return f"{pins.SERVER_VERSION}-cli-{pins.BUILT_CLI_VERSION}-{_machine()}-{digest.hexdigest()[:12]}"


def released_key() -> str:
    """Cache key of the released binary."""
    return f"{pins.SERVER_VERSION}-cli-{pins.RELEASED_CLI_VERSION}-{_machine()}-release"


def _machine() -> str:
    return f"{platform.system()}-{platform.machine()}".lower()


@contextlib.contextmanager
def only_one(cache_dir: Path, report: Report) -> Iterator[None]:
    """Hold the cache's lock; says so when another process has it, and waits until that one is done or dead.

    Raises:
        NotProvided: the cache directory cannot be written.
    """
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotProvided(f"the cache {cache_dir} cannot be written: {error.strerror}") from None
    try:
        _wait_for_lock(handle, report)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int, report: Report) -> None:
    started = said = time.monotonic()
    first = True
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            now = time.monotonic()
            if first or now - said >= SAY_EVERY:
                report(
                    f"Another process is getting the Temporal server; waiting for it ({now - started:.0f} s so far)."
                )
                first, said = False, now
            time.sleep(0.2)
        else:
            return


def download(target: Path, report: Report) -> None:
    """Let the SDK download the released binary and put it at ``target``. The caller holds the lock.

    Raises:
        NotProvided: the host cannot be reached, or what came is not the pinned version.
    """
    report(f"Downloading the Temporal CLI {pins.RELEASED_CLI_VERSION} (seconds to a minute) ...")
    with _workspace(target) as workspace:
        argv = [sys.executable, "-I", "-c", _DOWNLOAD, str(workspace), f"v{pins.RELEASED_CLI_VERSION}"]
        _run(argv, limit=DOWNLOAD_LIMIT, report=report, doing="downloading")
        files = [path for path in workspace.rglob("*") if path.is_file() and os.access(path, os.X_OK)]
        if len(files) != 1:
            raise NotProvided(f"the download left {len(files)} programs instead of one")
        _install(files[0], target, pins.RELEASED_CLI_VERSION)


def build(target: Path, module_dir: Path, environ: Mapping[str, str], report: Report) -> None:
    """Build the pinned Go module and put the binary at ``target``. The caller holds the lock.

    Raises:
        NotProvided: there is no Go toolchain or no module, or the build failed (with the end of its output).
    """
    go = find_go(environ)
    if go is None:
        raise NotProvided(f"there is no Go toolchain on PATH to build it with (Go {pins.GO_VERSION} or newer)")
    if not (module_dir / "go.mod").is_file():
        raise NotProvided(f"{module_dir} is missing, so there is nothing to build; run from a clone of the repository")
    report(
        f"Building the Temporal server {pins.SERVER_VERSION} from source, once: 3 to 5 minutes and about 4 GiB of "
        "Go caches the first time ..."
    )
    with _workspace(target) as workspace:
        if shutil.disk_usage(workspace).free < BUILD_SPACE:
            report(f"Less than 5 GiB are free under {workspace.parent}; the build may run out of space.")
        binary = workspace / "temporal"
        flags = f"-s -w -X {pins.VERSION_SYMBOL}={pins.BUILT_CLI_VERSION}"
        argv = [str(go), "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
        argv += ["-o", str(binary), pins.COMMAND_PACKAGE]
        quiet = {**environ, "CGO_ENABLED": "0", "GOWORK": "off"}
        started = time.monotonic()
        _run(argv, limit=BUILD_LIMIT, report=report, doing="building", cwd=module_dir, environ=quiet)
        _install(binary, target, pins.BUILT_CLI_VERSION)
        report(f"Built in {time.monotonic() - started:.0f} s: {target}")


def find_go(environ: Mapping[str, str]) -> Path | None:
    """The Go command: on PATH, else where Go's own installer puts it."""
    found = shutil.which("go", path=environ.get("PATH", os.defpath))
    if found:
        return Path(found)
    usual = Path("/usr/local/go/bin/go")
    return usual if os.access(usual, os.X_OK) else None


@contextlib.contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """An empty directory beside the target's own; those of processes that were killed are removed first."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob("tmp-*"):
            shutil.rmtree(stale, ignore_errors=True)
        workspace = Path(tempfile.mkdtemp(prefix="tmp-", dir=target.parent))
    except OSError as error:
        raise NotProvided(f"the cache {target.parent} cannot be written: {error.strerror}") from None
    try:
        yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _install(binary: Path, target: Path, cli: str) -> None:
    """Check what was made and move it into place in one step."""
    version = ask_version(binary)
    if version.server_text != pins.SERVER_VERSION or version.cli != cli:
        raise NotProvided(
            f"what was made is CLI {version.cli} with server {version.server_text}, "
            f"not CLI {cli} with server {pins.SERVER_VERSION}"
        )
    try:
        binary.chmod(0o755)
        # Crash window: after a power loss a renamed file without this could be empty under its final name.
        with binary.open("rb") as handle:
            os.fsync(handle.fileno())
        binary.replace(target)
    except OSError as error:
        raise NotProvided(f"{target} cannot be written: {error.strerror}") from None


def _run(
    argv: Sequence[str],
    *,
    limit: float,
    report: Report,
    doing: str,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a tool to its end, saying every half minute that it still runs; it dies with this process."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            dies_with_parent(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if environ is None else dict(environ),
            start_new_session=True,
        )
        started = time.monotonic()
        try:
            code = _wait(process, started + limit, report, doing)
        finally:
            terminate_group(process, grace=0.0)
        if code != 0:
            output.seek(0)
            raise NotProvided(f"{doing} failed: {_tail(output.read().decode(errors='replace'))}")


def _wait(process: subprocess.Popen[bytes], deadline: float, report: Report, doing: str) -> int:
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=min(SAY_EVERY, max(deadline - time.monotonic(), 0.01)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise NotProvided(f"{doing} was not done after {deadline - started:.0f} s") from None
            report(f"... still {doing}, {time.monotonic() - started:.0f} s")


def _tail(text: str) -> str:
    """The end of a tool's output on one line, bounded, without control characters."""
    words = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return words if len(words) <= _KEPT_OUTPUT else "..." + words[-_KEPT_OUTPUT:]
