"""Wrong drivers whose fault is in quality of service; see :mod:`tests.drivers.wrong_drivers`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from drivers.contract import BackendConfig, Call, Capabilities, Job, ObjectRef, ShareObject
from drivers.errors import Rejected
from shareflow.contracts.qos import FLOORS, KEYS, KeyVerdict, Limits, Verdict
from tests.drivers.wrong_drivers import Wrong


class PromisesUndeclaredLimits(Wrong):
    """Declares fewer keys than its verdicts speak of."""

    caught_by = ("test_every_key_gets_one_verdict_and_undeclared_ones_are_unsupported",)

    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities(), qos_supported=("max_iops",))


class KnowsEveryKey(Wrong):
    """Says exact to whatever it is asked, and declares keys that nobody knows."""

    caught_by = ("test_unknown_key_is_unsupported", "test_supported_keys_are_standard_keys")

    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities(), qos_supported=(*KEYS, "max_colour"))

    def qos_verdict(self, limits: Limits) -> Mapping[str, KeyVerdict]:
        return {key: KeyVerdict(Verdict.EXACT, value) for key, value in limits.items()}


class RoundsAwayFromThePromise(Wrong):
    """Floors down, ceilings up."""

    caught_by = ("test_rounding_is_towards_the_promise",)

    def qos_verdict(self, limits: Limits) -> Mapping[str, KeyVerdict]:
        return {
            key: KeyVerdict(Verdict.ROUNDED, int(value) // 10 * 10 + (0 if key in FLOORS else 10), "in tens")
            for key, value in limits.items()
        }


class JudgesByInstance(Wrong):
    """Every instance has verdicts of its own."""

    caught_by = ("test_same_limits_always_get_the_same_verdicts",)

    def qos_verdict(self, limits: Limits) -> Mapping[str, KeyVerdict]:
        if int(self._owner, 16) % 2 and len(self.array.calls("pools")) > 0:
            return super().qos_verdict(limits)
        return {key: KeyVerdict(Verdict.ROUNDED, int(self._owner[:6], 16), "") for key in limits}


class SetsOtherLimitsThanItSaid(Wrong):
    """Enforces half of what its verdict and its answer say."""

    caught_by = (
        "test_what_is_set_is_enforced_as_the_verdict_said",
        "test_each_supported_key_can_be_set_alone",
        "test_ten_calls_are_as_good_as_one",
    )

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        super().set_qos(
            share, {key: value // 2 if isinstance(value, int) else value for key, value in limits.items()}, call
        )
        return dict(limits)


class AddsLimits(Wrong):
    """New limits come to the old ones; nothing is ever taken away."""

    caught_by = ("test_new_limits_replace_all_old_ones", "test_stale_call_is_refused")

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        return super().set_qos(share, {**self.enforced_qos(share), **limits}, dataclasses.replace(call, epoch=2**30))


class SetsWhatItCan(Wrong):
    """Leaves unsupported keys out without a word."""

    caught_by = ("test_unsupported_key_is_refused_and_nothing_is_set",)

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        return super().set_qos(share, {key: value for key, value in limits.items() if key in KEYS}, call)


class LimitsThePool(Wrong):
    """What is set on one share holds for all; new shares and clones have it too."""

    caught_by = ("test_limits_belong_to_one_share", "test_clone_begins_without_limits")
    _set: ClassVar[dict[str, Limits]] = {}

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        self._set[self.config.deployment] = super().set_qos(share, limits, call)
        return self._set[self.config.deployment]

    def enforced_qos(self, share: ObjectRef) -> Limits:
        return self._set.get(self.config.deployment, super().enforced_qos(share))


class LimitsEverybody(Wrong):
    """Every share has a limit from the start."""

    caught_by = ("test_new_share_has_no_limits",)

    def enforced_qos(self, share: ObjectRef) -> Limits:
        return super().enforced_qos(share) or {"max_iops": 100}


class ForgetsLimits(Wrong):
    """A resize and a revert take the limits away, and so does the end of the instance."""

    caught_by = (
        "test_data_size_and_mode_stay",
        "test_revert_keeps_the_limits",
        "test_limits_survive_the_end_of_every_instance",
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._mine: dict[ObjectRef, Limits] = {}

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        self._mine[share] = super().set_qos(share, limits, call)
        return self._mine[share]

    def enforced_qos(self, share: ObjectRef) -> Limits:
        return self._mine.get(share, {})

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        self._mine.pop(ref, None)
        return super().resize_share(ref, size, call)

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        self._mine.pop(share, None)
        return super().revert_share(share, snapshot, call)


class LimitsWhatIsNotThere(Wrong):
    """Takes limits for missing shares and for snapshots, and keeps those of shares that were deleted."""

    caught_by = ("test_missing_share_is_not_found", "test_snapshot_has_no_limits_of_its_own")
    _left: ClassVar[dict[str, Limits]] = {}

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        try:
            self._left[share.name] = super().set_qos(share, limits, call)
        except Rejected:
            self._left[share.name] = dict(limits)
        return self._left[share.name]

    def enforced_qos(self, share: ObjectRef) -> Limits:
        return self._left.get(share.name, {})


class FencesNoUnchangedLimits(Wrong):
    """Limits that are set already do not raise the fence."""

    caught_by = ("test_call_raises_the_fence",)

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        now = self.enforced_qos(share)
        return now if dict(now) == dict(limits) else super().set_qos(share, limits, call)
