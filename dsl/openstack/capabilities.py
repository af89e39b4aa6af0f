"""The capabilities filter of Manila 23: does a pool satisfy the extra specs of a share type, and why."""

from __future__ import annotations

import enum
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from dsl.openstack.operators import OR, alternatives, answer, as_boolean, is_operator
from dsl.problems import printable

BOOLEAN_SPECS = (
    "driver_handles_share_servers",
    "snapshot_support",
    "create_share_from_snapshot_support",
    "revert_to_snapshot_support",
    "mount_snapshot_support",
    "snapshot_inherit_share_access_support",
)
"""The extra specs that Manila's scheduler rewrites with ``<is>``."""

QOS_TYPE = "default_qos_type"
ZONES = "availability_zones"
_NOT_MATCHED: Mapping[str, str] = MappingProxyType(
    {
        ZONES: "zones are matched by another filter of Manila",
        f"capabilities:{ZONES}": "Manila uses this key nowhere",
        QOS_TYPE: "only its presence counts, and it is asked first",
    }
)
_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "=": "a number of at least {0}",
        "==": "a number equal to {0}",
        "!=": "a number other than {0}",
        ">=": "a number of at least {0}",
        "<=": "a number of at most {0}",
        "s==": "the text {0}",
        "s!=": "anything but the text {0}",
        "s<": "text that sorts before {0}",
        "s<=": "text that sorts up to {0}",
        "s>": "text that sorts behind {0}",
        "s>=": "text that sorts from {0} on",
        "<in>": "text that contains {0}",
    }
)


class Outcome(enum.StrEnum):
    """What became of one extra spec."""

    MATCHED = "matched"
    FAILED = "failed"
    ABSENT = "absent"
    ABORTS = "aborts"
    IGNORED = "ignored"


_PASSING = (Outcome.MATCHED, Outcome.IGNORED)


class SpecVerdict(NamedTuple):
    """One extra spec asked of one pool.

    Attributes:
        key: the extra spec's key, as it is written.
        spec: its value.
        capability: what the pool reports under that key; None when it reports nothing or the key is ignored.
        outcome: ``absent`` means that the pool does not report it; ``aborts`` that Manila's own code raises there;
            ``ignored`` that this filter does not look at the key.
        reason: one line that says why.
    """

    key: object
    spec: object
    capability: object
    outcome: Outcome
    reason: str

    @property
    def ok(self) -> bool:
        """Whether this spec lets the pool pass."""
        return self.outcome in _PASSING


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a pool passes the filter; it is true or false itself.

    Attributes:
        accepted: the verdict.
        verdicts: one for every extra spec, in their order, also behind the one that decided.
        qos_refused: the type names a QoS type and the pool does not report ``qos_type_support``; decided first.
    """

    accepted: bool
    verdicts: tuple[SpecVerdict, ...] = ()
    qos_refused: bool = False

    def __bool__(self) -> bool:
        """The verdict."""
        return self.accepted

    @property
    def deciding(self) -> SpecVerdict | None:
        """The extra spec at which Manila stops; None when the pool passes or QoS types decided."""
        if self.qos_refused:
            return None
        return next((verdict for verdict in self.verdicts if not verdict.ok), None)

    @property
    def aborts(self) -> bool:
        """Whether Manila raises here: then the scheduling request fails as a whole, for every other pool too."""
        return self.deciding is not None and self.deciding.outcome is Outcome.ABORTS

    @property
    def reason(self) -> str:
        """One line that says why the pool passes or not."""
        if self.qos_refused:
            return f"`{QOS_TYPE}` is set and the pool does not report qos_type_support"
        if self.deciding is not None:
            return f"`{shown_value(self.deciding.key, quote=False)}`: {self.deciding.reason}"
        matched = sum(verdict.outcome is Outcome.MATCHED for verdict in self.verdicts)
        return f"{matched} matched, {len(self.verdicts) - matched} ignored"

    def render(self) -> str:
        """The reason, and below it one line for every extra spec."""
        lines = [f"{'accepted' if self.accepted else 'refused'}: {self.reason}"]
        for verdict in self.verdicts:
            spec = f"{shown_value(verdict.key, quote=False)} = {shown_value(verdict.spec)}"
            lines.append(f"  {verdict.outcome:<8}{spec}: {verdict.reason}")
        return "\n".join(lines)


def accepts(extra_specs: Mapping[str, str], capabilities: Mapping[str, object]) -> Acceptance:
    """Whether a pool passes Manila 23's capabilities filter, with the reason for every extra spec. Raises nothing.

    A key is split at ``:``. A first part other than ``capabilities`` makes it another program's, and it is ignored; the
    parts behind ``capabilities`` lead through nested mappings. A capability that is missing or None fails. Of a list,
    one element that matches is enough. Where Manila's code raises, the answer is false and :attr:`Acceptance.aborts` is
    True.

    This is the filter alone; :func:`scheduled_specs` is what the scheduler does to extra specs before.

    Args:
        extra_specs: of a share type.
        capabilities: what one pool reports, as Manila's scheduler holds it.
    """
    verdicts = tuple(_verdict(key, spec, capabilities) for key, spec in extra_specs.items())
    refused = bool(extra_specs.get(QOS_TYPE)) and not _truth(capabilities.get("qos_type_support", False))
    return Acceptance(not refused and all(verdict.ok for verdict in verdicts), verdicts, refused)


def scheduled_specs(
    extra_specs: Mapping[str, str], *, protocol: str | None = None, near: bool = False
) -> dict[str, str]:
    """The extra specs as Manila 23's scheduler hands them to its filters, in a new mapping. Raises nothing.

    The specs of :data:`BOOLEAN_SPECS` get ``<is>`` in front, unless they begin with exactly that (``<IS> True`` does
    not, and comes to mean false). The protocol of the request becomes ``storage_protocol: <in> PROTOCOL``, unless the
    type has that spec. ``share_backend_name`` is dropped for replicas and for clones of snapshots.

    Args:
        extra_specs: of a share type.
        protocol: what the request asks for, such as ``NFS``; None when it is not known.
        near: the request is for a replica, or for a share from a snapshot.
    """
    specs = dict(extra_specs)
    for key in BOOLEAN_SPECS:
        value = specs.get(key)
        if isinstance(value, str) and not value.startswith("<is>"):
            specs[key] = f"<is> {value}"
    if protocol is not None and specs.get("storage_protocol") is None:
        specs["storage_protocol"] = f"<in> {protocol}"
    if near:
        specs.pop("share_backend_name", None)
    return specs


def meaning(spec_value: object) -> str:
    """What a value asks for, in words that show how Manila reads it."""
    words = spec_value.split() if isinstance(spec_value, str) else []
    if not words or not is_operator(words[0]):
        return f"exactly {shown_value(spec_value)}"
    name, operands = words[0].lower(), words[1:]
    if not operands:
        return f"nothing, `{name}` has no operand"
    if name == OR:
        return f"one of the texts {', '.join(shown_value(word) for word in alternatives(operands)[:8])}"
    if name == "<is>":
        return "true" if as_boolean(operands[0]) else "false"
    return _MEANINGS[name].format(shown_value(operands[0], quote=name.startswith(("s", "<in"))))


def shown_value(value: object, *, quote: bool = True) -> str:
    """A value for a message: printable, short, text in quotes when asked for. Raises nothing."""
    try:
        text = value if isinstance(value, str) and not quote else reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a value that cannot show itself is still reported
        text = f"a {type(value).__name__}"
    return printable(text if len(text) <= 80 else text[:77] + "...")


def _verdict(key: object, spec: str, capabilities: Mapping[str, object]) -> SpecVerdict:
    ignored = _ignored(key)
    if ignored:
        return SpecVerdict(key, spec, None, Outcome.IGNORED, ignored)
    if not isinstance(key, str):
        return SpecVerdict(key, spec, None, Outcome.ABORTS, f"{_aborts('AttributeError')}: the key is not text")
    return _compared(key, spec, capabilities)


def _ignored(key: object) -> str:
    """Why the filter does not look at a key; empty when it does."""
    if not isinstance(key, str):
        return ""
    scope, colon, _ = key.partition(":")
    if key in _NOT_MATCHED:
        return _NOT_MATCHED[key]
    return f"the scope `{shown_value(scope, quote=False)}` is not the scheduler's" if _foreign(scope, colon) else ""


def _foreign(scope: str, colon: str) -> bool:
    return bool(colon) and scope != "capabilities"


def _compared(key: str, spec: str, capabilities: Mapping[str, object]) -> SpecVerdict:
    path = key.split(":")
    capability: Any = capabilities
    for part in path[1:] if path[0] == "capabilities" else path:
        try:
            capability = capability.get(part)
        except AttributeError:
            capability = None
        except Exception as error:  # noqa: BLE001 - whatever escapes here, escapes from Manila as well
            return SpecVerdict(key, spec, None, Outcome.ABORTS, _aborts(type(error).__name__))
        if capability is None:
            reason = f"the pool does not report {shown_value(part)}"
            return SpecVerdict(key, spec, None, Outcome.ABSENT, reason)
    for value in capability if isinstance(capability, list) else [capability]:
        found = answer(spec, value)
        if found.matches:
            reason = f"has {shown_value(value)}, wants {meaning(spec)}"
            return SpecVerdict(key, spec, capability, Outcome.MATCHED, reason)
        if found.raises:
            reason = f"{_aborts(found.raises)}: has {shown_value(value)}, wants {meaning(spec)}"
            return SpecVerdict(key, spec, capability, Outcome.ABORTS, reason)
    reason = f"has {shown_value(capability)}, wants {meaning(spec)}"
    return SpecVerdict(key, spec, capability, Outcome.FAILED, reason)


def _aborts(raised: str) -> str:
    return f"Manila raises {raised} and aborts the whole request"


def _truth(value: object) -> bool:
    try:
        return bool(value)
    except Exception:  # noqa: BLE001 - Manila's request ends here, so no host passes
        return False
