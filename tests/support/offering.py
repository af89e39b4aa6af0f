"""Drivers of tests, offered to Shareflow as other packages offer theirs."""

from __future__ import annotations

from pathlib import Path


def offer(directory: Path, name: str, target: str) -> Path:
    """Write the metadata of a package that offers ``target`` as the driver ``name``.

    Returns the directory to put on ``sys.path``.
    """
    info = directory / f"tests_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tests-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[shareflow.drivers]\n{name} = {target}\n")
    return directory
