"""Make ``.venv`` from the lock file, once; run by ``scripts/setup.sh``. Standard library only.

A stamp in ``.venv`` says what it was made from. When that is still true there is nothing to do, which takes a few
milliseconds. The stamp is written last, so whatever is interrupted is done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "shareflow-stamp"
LOCK_FILE = ROOT / "requirements.lock"
_QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INPUT": "1"}


def stamp() -> str:
    """What a current ``.venv`` is made from: lock file, package metadata, interpreter, place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = {
        "lock": hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest(),
        "package": {key: project[key] for key in ("build-system", "project")},
        "build": project["tool"]["hatch"],
        "python": sys.version,
        "place": str(VENV),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def current(wanted: str) -> bool:
    """Whether ``.venv`` is what the stamp asks for."""
    try:
        return STAMP.read_text(encoding="ascii") == wanted and os.access(PYTHON, os.X_OK)
    except OSError:
        return False


def same_interpreter() -> bool:
    """Whether there is a ``.venv`` of this interpreter, made in this place, which can be brought up to date."""
    code = "import sys, pip; print(sys.version); print(sys.prefix)"
    try:
        done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.stdout != f"{sys.version}\n{VENV}\n":
        return False
    # After a move the interpreter works, but the commands beside it still name the old place.
    return str(PYTHON) in (VENV / "bin" / "pip").read_text(encoding="utf-8", errors="replace")


def pip(*arguments: str) -> None:
    """Run pip in ``.venv``; its own messages go to the terminal. Leaves with its exit code when it fails."""
    argv = [str(PYTHON), "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, **_QUIET}, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print(
            "setup: pip failed (see above). It needs a package index that it can reach; a proxy or a mirror is set "
            "with pip's own variables or pip.conf. `make setup` goes on where this stopped.",
            file=sys.stderr,
        )
        sys.exit(1)


def make(wanted: str) -> None:
    """Bring ``.venv`` up to date."""
    started = time.monotonic()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"setup: making .venv with Python {version} from requirements.lock; about a minute ...", flush=True)
    STAMP.unlink(missing_ok=True)
    if not same_interpreter():
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(VENV)
    pip("--require-hashes", "-r", str(LOCK_FILE))
    pip("--no-deps", "--no-build-isolation", "-e", ".")
    STAMP.write_text(wanted, encoding="ascii")
    print(f"setup: .venv is ready after {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    """Do nothing, or wait for another process that does it, or do it."""
    wanted = stamp()
    if current(wanted):
        return
    with (ROOT / ".venv.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another process is making .venv; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not current(wanted):
            make(wanted)


if __name__ == "__main__":
    main()
