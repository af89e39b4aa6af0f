"""The keys of a QoS class as a strict model, with the rules about which key may stand beside which."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from dsl.fields import Refusal
from dsl.qos.budget import Budget
from dsl.qos.fields import BurstFor, Enforce, Iops, IopsPerGib, IoSize, Latency, Scope, SizedBy, Throughput
from shareflow.contracts.qos import BURSTS, FLOORS, LIMITS, SPLITS, dimension, format_limit

FORMS = ("", "_per_gib", "_at_least", "_at_most")
"""How a limit may be written: as it is, per GiB, and the two clamps of what is written per GiB."""


class QosKeys(BaseModel):
    """What a class says; every limit is in IOPS or in bytes per second.

    Attributes:
        burst_for: seconds for which a burst lasts; None leaves that to the backend.
        sized_by: what ``_per_gib`` counts: the provisioned size, or the bytes in use.
        io_size: bytes that count as one I/O; None leaves that to the backend.
        scope: who shares a limit: the share's clients together, each client, or the shares of the class in one pool.
        latency_target: microseconds; pools whose ``latency`` is within it are preferred, but it is never promised.
        enforce: ``required``: a pool that cannot enforce a key is no place for the share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_iops: Iops | None = None
    max_iops_per_gib: IopsPerGib | None = None
    max_iops_at_least: Iops | None = None
    max_iops_at_most: Iops | None = None
    max_throughput: Throughput | None = None
    max_throughput_per_gib: Throughput | None = None
    max_throughput_at_least: Throughput | None = None
    max_throughput_at_most: Throughput | None = None
    max_read_iops: Iops | None = None
    max_read_iops_per_gib: IopsPerGib | None = None
    max_read_iops_at_least: Iops | None = None
    max_read_iops_at_most: Iops | None = None
    max_write_iops: Iops | None = None
    max_write_iops_per_gib: IopsPerGib | None = None
    max_write_iops_at_least: Iops | None = None
    max_write_iops_at_most: Iops | None = None
    max_read_throughput: Throughput | None = None
    max_read_throughput_per_gib: Throughput | None = None
    max_read_throughput_at_least: Throughput | None = None
    max_read_throughput_at_most: Throughput | None = None
    max_write_throughput: Throughput | None = None
    max_write_throughput_per_gib: Throughput | None = None
    max_write_throughput_at_least: Throughput | None = None
    max_write_throughput_at_most: Throughput | None = None
    min_iops: Iops | None = None
    min_iops_per_gib: IopsPerGib | None = None
    min_iops_at_least: Iops | None = None
    min_iops_at_most: Iops | None = None
    min_throughput: Throughput | None = None
    min_throughput_per_gib: Throughput | None = None
    min_throughput_at_least: Throughput | None = None
    min_throughput_at_most: Throughput | None = None
    burst_iops: Iops | None = None
    burst_iops_per_gib: IopsPerGib | None = None
    burst_iops_at_least: Iops | None = None
    burst_iops_at_most: Iops | None = None
    burst_throughput: Throughput | None = None
    burst_throughput_per_gib: Throughput | None = None
    burst_throughput_at_least: Throughput | None = None
    burst_throughput_at_most: Throughput | None = None
    burst_for: BurstFor | None = None
    sized_by: SizedBy = "provisioned"
    io_size: IoSize | None = None
    scope: Scope = "share"
    latency_target: Latency | None = None
    enforce: Enforce = "required"

    @field_validator("*")
    @classmethod
    def _fits_the_others(cls, value: object, info: ValidationInfo) -> object:
        """Every rule is asked of the later one of the keys that it is about, so that the message stands there."""
        if info.field_name is not None and value is not None:
            _Check(info.field_name, value, info.data).run()
        return value

    @property
    def limits(self) -> tuple[str, ...]:
        """The limits that the class sets, in whichever form."""
        return tuple(key for key in LIMITS if any(getattr(self, f"{key}{form}") is not None for form in FORMS[:2]))


class QosBudget(BaseModel):
    """What a pool can promise in floors, all together; None: it promises none of that kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    iops: Iops | None = None
    throughput: Throughput | None = None

    @property
    def budget(self) -> Budget:
        """As plain figures."""
        return Budget(self.iops, self.throughput)


class _Check:
    """One key against those before it. A key that was itself refused is in no rule: its own message is enough."""

    def __init__(self, field: str, value: Any, before: Mapping[str, Any]) -> None:
        self.field = field
        self.value = value
        self.before = before
        self.limit, self.form = _parts(field)

    def run(self) -> None:
        """Raises Refusal."""
        match self.field:
            case "burst_for":
                self._needs_any("a burst", *BURSTS)
            case "io_size":
                self._needs_any("a limit of IOPS", *(key for key in LIMITS if dimension(key) == "iops"))
            case "sized_by" if self.value == "used":
                self._used()
            case "scope" if self.value != "share":
                self._scoped()
        if self.limit:
            self._limit()

    def _limit(self) -> None:
        total = f"max_{dimension(self.limit)}"
        if self.form in FORMS[2:]:
            self._clamps()
            return
        if self.limit in SPLITS and (beside := self._given(total)):
            message = f"a split ceiling cannot stand beside `{beside}`"
            raise Refusal(message, "keep the total, or the split in reads and writes", code="S250")
        if self.limit in BURSTS:
            if not self._given(total) and {f"{total}{form}" for form in FORMS[:2]} <= self.before.keys():
                raise self._lonely(f"`{total}` to go beyond", f"add `{total}: ...`")
            self._order(total, "below", lambda burst, most: burst < most)
        if self.limit in FLOORS:
            self._order(total, "above", lambda floor, most: floor > most)

    def _clamps(self) -> None:
        scaled = f"{self.limit}_per_gib"
        if scaled not in self.before:
            return
        if self.before[scaled] is None:
            raise self._lonely(f"`{scaled}` to clamp", f"add `{scaled}: ...`, or write `{self.limit}`")
        least = self.before.get(f"{self.limit}_at_least")
        if self.form == "_at_most" and least is not None and self.value < least:
            raise self._contradicts(f"is below `{self.limit}_at_least`", f"write {self._shown(least)} or more")

    def _order(self, other: str, word: str, wrong: Any) -> None:
        """This limit against another one in the same form; other forms can only be compared for a share."""
        bound = self.before.get(f"{other}{self.form}")
        if bound is not None and wrong(self.value, bound):
            more = "more" if word == "below" else "less"
            raise self._contradicts(f"is {word} `{other}{self.form}`", f"write {self._shown(bound)} or {more}")

    def _used(self) -> None:
        scaled = [key for key in LIMITS if self.before.get(f"{key}_per_gib") is not None]
        if not scaled and all(f"{key}_per_gib" in self.before for key in LIMITS):
            raise self._lonely("key `..._per_gib` to count for", "remove it, or write a limit per GiB")
        bare = next((key for key in scaled if self.before.get(f"{key}_at_least", 0) is None), None)
        if bare is not None:
            message = f"a share that is empty would have no `{bare}`"
            raise Refusal(message, f"add `{bare}_at_least: ...`", code="S252")

    def _scoped(self) -> None:
        floor = next((key for key in FLOORS if self._given(key)), None)
        if floor is not None:
            message = f"`{floor}` is promised to a share, not to a {self.value}"
            raise Refusal(message, "remove the floor, or write `scope: share`", code="S252")
        scaled = next((f"{key}_per_gib" for key in LIMITS if self.before.get(f"{key}_per_gib") is not None), None)
        if self.value == "pool_group" and scaled is not None:
            message = f"`{scaled}` needs one share's size, a pool_group has many"
            raise Refusal(message, "write the limit without `_per_gib`", code="S252")

    def _given(self, limit: str) -> str:
        """The form in which a limit is given, or empty."""
        return next((f"{limit}{form}" for form in FORMS[:2] if self.before.get(f"{limit}{form}") is not None), "")

    def _needs_any(self, what: str, *limits: str) -> None:
        unknown = any(f"{limit}{form}" not in self.before for limit in limits for form in FORMS[:2])
        if not unknown and not any(self._given(limit) for limit in limits):
            raise self._lonely(f"{what} beside it", f"remove it, or add `{limits[0]}: ...`")

    def _lonely(self, what: str, hint: str) -> Refusal:
        return Refusal(f"`{self.field}` has no {what}".replace("no a ", "no "), hint, code="S251")

    def _contradicts(self, how: str, hint: str) -> Refusal:
        return Refusal(f"`{self.field}` {how}", hint, code="S252")

    def _shown(self, value: int | Fraction) -> str:
        return str(value) if isinstance(value, Fraction) else format_limit(self.limit, value)


def _parts(field: str) -> tuple[str, str]:
    """The limit and the form of a field; both empty for a field that is no limit."""
    for form in reversed(FORMS):
        limit = field.removesuffix(form) if form else field
        if field.endswith(form) and limit in LIMITS:
            return limit, form
    return "", ""
