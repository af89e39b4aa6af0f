"""Files that commands write: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shareflow.errors import InvalidInput


def replace_file(path: Path, text: str) -> None:
    """Give an existing file another content in one step; its mode and, where allowed, its owner stay.

    A link stays a link. Until the end the old content is there, also when the machine fails.

    Raises:
        OSError: the file or its directory cannot be written; nothing was changed.
    """
    target = Path(os.path.realpath(path))
    status = target.stat()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".new")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - a handle, not a path
            with contextlib.suppress(PermissionError):
                os.fchown(handle, status.st_uid, status.st_gid)
            os.fchmod(handle, status.st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_files(texts: Iterable[tuple[Path, str]], *, force: bool) -> list[Path]:
    """Write new files; with ``force`` also over existing ones. Before one exists that must not, none is written.

    Raises:
        InvalidInput: one of them exists.
        OSError: a file cannot be written; those before it were.
    """
    files = list(texts)
    for path, _ in files:
        if not force and (path.exists() or path.is_symlink()):
            raise InvalidInput(f"`{path}` exists", hint="name another file, or add --force to replace it")
    for path, text in files:
        if path.is_file():
            replace_file(path, text)
        else:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
    return [path for path, _ in files]
