"""Finding a Temporal server binary, or getting one.

In this order: the ``TEMPORAL_CLI`` variable, ``temporal`` on ``PATH``, the cache, the SDK's download of a release, a
build from source. A server that already runs (``TEMPORAL_ADDRESS``, a profile) needs no binary and is none of this
module's business.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from shareflow.errors import ServerUnavailable
from shareflow.server import pins, provision
from shareflow.server.provision import NotProvided, Report

CLI_VARIABLE = "TEMPORAL_CLI"
MODULE_DIR = Path(__file__).resolve().parents[2] / "tools" / "temporal"

_INSTALL_HINT = (
    f"install Go {pins.GO_VERSION} or newer, or put a `temporal` command with server "
    f"{'.'.join(map(str, pins.MINIMUM_SERVER))} or newer (CLI {pins.RELEASED_CLI_VERSION}) on PATH or into "
    f"{CLI_VARIABLE}, or set TEMPORAL_ADDRESS to a server that runs"
)


def cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where binaries are kept: ``$XDG_CACHE_HOME/shareflow/temporal``, by default under ``~/.cache``."""
    given = (os.environ if environ is None else environ).get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    root = Path(given) if given.startswith("/") else Path.home() / ".cache"
    return root / "shareflow" / "temporal"


def cached_binaries(environ: Mapping[str, str] | None = None, module_dir: Path = MODULE_DIR) -> tuple[Path, Path]:
    """Where a build from source and a downloaded release are kept, in order of preference; they may not exist."""
    root = cache_dir(environ)
    return root / provision.built_key(module_dir) / "temporal", root / provision.released_key() / "temporal"


def find_temporal(
    *,
    report: Report,
    environ: Mapping[str, str] | None = None,
    module_dir: Path = MODULE_DIR,
    may_download: bool = True,
) -> Path:
    """The path of a ``temporal`` binary whose server is new enough; gets one when there is none.

    Blocks: milliseconds when one is there, up to half a minute for a download, minutes for the first build. Processes
    that do this at once wait for one another and share the result. Whatever is interrupted leaves nothing half.

    Args:
        report: is given one line of text for everything a user should know while waiting.
        environ: the environment to look at, by default this process's.
        module_dir: the Go module that pins the server.
        may_download: whether the SDK may download a release.

    Raises:
        ServerUnavailable: nothing worked; the message says what was tried, the hint what to install.
    """
    environ = os.environ if environ is None else environ
    given = environ.get(CLI_VARIABLE, "")
    if given:
        return _given(Path(given))
    tried = [f"{CLI_VARIABLE} is not set"]
    ways: tuple[Callable[[], Path], ...] = (
        lambda: _on_path(environ, report),
        lambda: _cached(environ, module_dir),
        lambda: _provided(environ, module_dir, report, may_download=may_download),
    )
    for way in ways:
        try:
            return way()
        except NotProvided as reason:
            tried.append(str(reason))
    raise ServerUnavailable("no Temporal server can be started: " + "; ".join(tried), hint=_INSTALL_HINT)


def _given(binary: Path) -> Path:
    """The binary that the user named. A wish that cannot be kept is an error, not a reason to look elsewhere."""
    try:
        _require_new_enough(binary)
    except NotProvided as reason:
        raise ServerUnavailable(f"{CLI_VARIABLE}: {reason}", hint=f"correct or unset {CLI_VARIABLE}") from None
    return binary.absolute()


def _on_path(environ: Mapping[str, str], report: Report) -> Path:
    found = shutil.which("temporal", path=environ.get("PATH", os.defpath))
    if not found:
        raise NotProvided("there is no `temporal` on PATH")
    binary = Path(found)
    try:
        _require_new_enough(binary)
    except NotProvided as reason:
        report(f"Skipping the `temporal` on PATH: {reason}.")
        raise
    return binary


def _cached(environ: Mapping[str, str], module_dir: Path) -> Path:
    for binary in cached_binaries(environ, module_dir):
        if os.access(binary, os.X_OK):
            return binary
    raise NotProvided(f"there is none in the cache {cache_dir(environ)}")


def _provided(environ: Mapping[str, str], module_dir: Path, report: Report, *, may_download: bool) -> Path:
    built, released = cached_binaries(environ, module_dir)
    reasons = []
    with provision.only_one(cache_dir(environ), report):
        for binary in (built, released):
            if os.access(binary, os.X_OK):  # the process that held the lock before has got it
                return binary
        if may_download:
            try:
                provision.download(released, report)
            except NotProvided as reason:
                reasons.append(f"download of the release: {reason}")
                report(f"No download: {reason}.")
            else:
                return released
        try:
            provision.build(built, module_dir, environ, report)
        except NotProvided as reason:
            reasons.append(f"build from source: {reason}")
            raise NotProvided("; ".join(reasons)) from None
        return built


def _require_new_enough(binary: Path) -> None:
    version = provision.ask_version(binary)
    if version.server[:2] < pins.MINIMUM_SERVER:
        wanted = ".".join(map(str, pins.MINIMUM_SERVER))
        raise NotProvided(f"{binary} has server {version.server_text}, and {wanted} or newer is needed")
