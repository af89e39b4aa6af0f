"""Limits of performance on a backend against those in the inventory, and the bytes that some of them count by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from activities import qos
from drivers.contract import Driver, ObjectRef, SupportsQos
from drivers.errors import DriverError
from dsl.qos import effective
from inventory import comparison, resources
from inventory.catalogue import pool_id
from inventory.database import Database
from inventory.findings import Found
from shareflow.contracts.qos import QosView, format_limit

KIND = "differing-qos"
_MOST_KEYS = 5


@dataclass(frozen=True)
class QosSurvey:
    """One backend's shares that have a class."""

    database: Database
    driver: Driver
    backend: str

    def pool(self, pool: str) -> list[Found]:
        """What differs in a pool; the bytes in use are noted where a class counts by them."""
        driver = self.driver
        if not isinstance(driver, SupportsQos):
            return []
        with self.database.read() as connection:
            shares = comparison.shares_with_qos(connection, pool_id(self.backend, pool))
        found = []
        for share in shares:
            ref = ObjectRef(pool=pool, name=share["object"])
            try:
                differing = self._enforced(driver, ref, share) or self._by_use(ref, share)
            except DriverError:
                continue  # unknown, never different
            if differing and self._still(share):
                found.append(self._found(pool, share, differing))
        return found

    def _found(self, pool: str, share: RowMapping, detail: str) -> Found:
        subject = f"{self.backend}/{pool}/{share['object']}"
        advice = f"set it again: shareflow share qos {share['name']} {share['qos_class']}"
        return Found(KIND, subject, pool=pool, detail=f"share {share['name']}: {detail}", advice=advice)

    @staticmethod
    def _enforced(driver: SupportsQos, ref: ObjectRef, share: RowMapping) -> str:
        view = QosView.model_validate(share["qos"])
        recorded = {key.key: key.enforced for key in view.keys if key.enforced is not None}
        now = driver.enforced_qos(ref)
        return _differences(recorded, now, "the inventory says {}, the backend enforces {}")

    def _by_use(self, ref: ObjectRef, share: RowMapping) -> str:
        with self.database.read() as connection:
            spec = qos.of_share(connection, share)
        if spec is None or spec.sized_by != "used":
            return ""
        used = self.driver.used_bytes(ref)
        with self.database.write() as connection:
            resources.set_instance(connection, share["instance_id"], used_bytes=used)
        asked = {key.key: key.asked for key in QosView.model_validate(share["qos"]).keys}
        return _differences(
            asked, effective(spec, share["size"], used).limits, "was {}, for the bytes in use now it is {}"
        )

    def _still(self, share: RowMapping) -> bool:
        """Whether the share is at rest and has not been changed since it was looked at."""
        with self.database.read() as connection:
            now = comparison.shares_with_qos(connection, share["pool_id"], share["id"])
        return [row["revision"] for row in now] == [share["revision"]]


def _differences(left: Mapping[str, Any], right: Mapping[str, Any], words: str) -> str:
    """The keys that differ, in words; empty when none does."""
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    shown = [f"{key} {words.format(_shown(key, left), _shown(key, right))}" for key in keys[:_MOST_KEYS]]
    return "; ".join(shown)


def _shown(key: str, limits: Mapping[str, Any]) -> str:
    return format_limit(key, limits[key]) if key in limits else "nothing"
