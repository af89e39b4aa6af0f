"""All tests and fixtures of the suite, for ``from drivers.conformance.suite import *`` in a test module."""

from __future__ import annotations

from drivers.conformance.cases_access import TestAccessMode, TestHostAccess
from drivers.conformance.cases_capabilities import TestCapabilities, TestOptions, TestPools
from drivers.conformance.cases_clones import TestClone
from drivers.conformance.cases_concurrency import TestConcurrency
from drivers.conformance.cases_fencing import TestFencing
from drivers.conformance.cases_hostile import TestOperationIds, TestPoolNames, TestSizes
from drivers.conformance.cases_jobs import TestCancel, TestCloneJobs, TestSnapshotAndRevertJobs
from drivers.conformance.cases_qos import TestQos, TestQosVerdict
from drivers.conformance.cases_reverts import TestRevertCalls, TestRevertData
from drivers.conformance.cases_shares import TestCreate, TestDelete, TestDurability, TestObserve, TestResize
from drivers.conformance.cases_snapshots import TestSnapshots
from drivers.conformance.cases_transfer import TestChanged, TestTransfer, TestTransferJobs, TestUnchanged
from drivers.conformance.cases_writers import TestFindWriters
from drivers.conformance.fixtures import bench

__all__ = [
    "TestAccessMode",
    "TestCancel",
    "TestCapabilities",
    "TestChanged",
    "TestClone",
    "TestCloneJobs",
    "TestConcurrency",
    "TestCreate",
    "TestDelete",
    "TestDurability",
    "TestFencing",
    "TestFindWriters",
    "TestHostAccess",
    "TestObserve",
    "TestOperationIds",
    "TestOptions",
    "TestPoolNames",
    "TestPools",
    "TestQos",
    "TestQosVerdict",
    "TestResize",
    "TestRevertCalls",
    "TestRevertData",
    "TestSizes",
    "TestSnapshotAndRevertJobs",
    "TestSnapshots",
    "TestTransfer",
    "TestTransferJobs",
    "TestUnchanged",
    "bench",
]
