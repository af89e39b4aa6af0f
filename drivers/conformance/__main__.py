"""``python -m drivers.conformance --driver mypkg.mydriver:MyDriver --options options.yaml [pytest arguments]``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.conformance.under_test import load_driver

TEST_TIMEOUT = 600
"""Seconds after which one test is given up, where pytest-timeout is installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit status is pytest's (0 all passed, 1 some failed, 4 wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="python -m drivers.conformance",
        description="Put a storage driver to the tests of the driver contract.",
        epilog="Further arguments go to pytest, for example: -x -q -k revert",
    )
    parser.add_argument("--driver", required=True, metavar="MODULE:CLASS", help="the driver class")
    parser.add_argument("--options", required=True, metavar="FILE", type=Path, help="YAML file; see README.md")
    known, rest = parser.parse_known_args(arguments)
    sys.path.insert(0, str(Path.cwd()))
    try:
        load_driver(known.driver)
    except ValueError as error:
        parser.error(str(error))
    if not known.options.is_file():
        parser.error(f"options file {str(known.options)!r} does not exist")
    fixed = [
        str(Path(__file__).with_name("suite.py")),
        "-c", os.devnull, f"--rootdir={Path.cwd()}",
        "-p", "drivers.conformance.plugin", "-p", "no:cacheprovider", "-p", "no:asyncio",
        f"--conformance-driver={known.driver}", f"--conformance-options={known.options.absolute()}",
    ]  # fmt: skip
    if importlib.util.find_spec("pytest_timeout") is not None:
        fixed.append(f"--timeout={TEST_TIMEOUT}")
    return int(pytest.main([*fixed, *rest]))


if __name__ == "__main__":
    sys.exit(main())
