"""The doctor: says what is there and what to install for the rest, quickly, and changes nothing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from shareflow import doctor
from shareflow.server import pins


def _by_name(environ: dict[str, str]) -> dict[str, doctor.Finding]:
    return {found.name: found for found in doctor.examine(environ)}


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with nothing but the system's own commands."""
    return {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def test_every_finding_that_is_not_ok_says_what_to_do(bare: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No bad news without the next step, and no step without bad news."""
    monkeypatch.setattr(doctor, "find_command", lambda _: None)
    findings = doctor.examine(bare)
    assert len({found.name for found in findings}) == len(findings)
    assert {found.name for found in findings if not found.ok} >= {"rsync", "btrfs-progs", "postgresql", "driver-btrfs"}
    for found in findings:
        assert found.detail
        assert found.needed_for
        assert bool(found.install) is not found.ok


def test_examination_is_quick_and_leaves_no_file(bare: dict[str, str], tmp_path: Path) -> None:
    """It may run in a script before every start."""
    started = time.monotonic()
    doctor.examine(bare)
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []


def test_configured_server_that_answers_is_ok_and_one_that_does_not_is_named(bare: dict[str, str]) -> None:
    """A variable decides, as it does for every Temporal client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        found = _by_name({**bare, "TEMPORAL_ADDRESS": address})["temporal-server"]
        assert (found.ok, found.detail) == (True, f"{address} is configured and answers")
    found = _by_name({**bare, "TEMPORAL_ADDRESS": address})["temporal-server"]
    assert (found.ok, found.detail) == (False, f"{address} is configured and does not answer")


@pytest.mark.parametrize("address", ["", "no-port", "host:port", "localhost:99999999999", "[::1"])
def test_malformed_address_is_reported_and_raises_nothing(bare: dict[str, str], address: str) -> None:
    """Whatever a variable holds, the doctor answers."""
    assert "temporal-server" in _by_name({**bare, "TEMPORAL_ADDRESS": address})


@pytest.mark.parametrize(("server", "ok"), [("1.31.0", False), (pins.SERVER_VERSION, True), ("1.40.2", True)])
def test_server_inside_the_named_binary_decides(bare: dict[str, str], tmp_path: Path, server: str, *, ok: bool) -> None:
    """A command is good when the server inside is new enough."""
    binary = tmp_path / "mine"
    binary.write_text(f"#!/bin/sh\necho 'temporal version 9.9.9 (Server {server}, UI 2.50.1)'\n")
    binary.chmod(0o755)
    found = _by_name({**bare, "TEMPORAL_CLI": str(binary)})["temporal-server"]
    assert found.ok is ok
    assert server in found.detail


def test_single_finding_is_the_same_as_in_the_list() -> None:
    """Tests that skip by a finding say what the doctor says."""
    listed = {found.name: found for found in doctor.examine() if found.name != "disk"}
    assert {name: doctor.finding(name) for name in listed} == listed
    with pytest.raises(KeyError):
        doctor.finding("crystal-ball")
