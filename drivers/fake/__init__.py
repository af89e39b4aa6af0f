"""The reference double: every capability of the contract, scripted faults, and a ledger that checks the invariants."""

from __future__ import annotations

from drivers.fake.array import FakeArray, disk_array, fake_array, forget_array
from drivers.fake.client import FakeClient
from drivers.fake.driver import FakeDriver
from drivers.fake.ledger import Ledger
from drivers.fake.script import Fault, FaultKind, FaultScript, StaleListing

__all__ = [
    "FakeArray",
    "FakeClient",
    "FakeDriver",
    "Fault",
    "FaultKind",
    "FaultScript",
    "Ledger",
    "StaleListing",
    "disk_array",
    "fake_array",
    "forget_array",
]
