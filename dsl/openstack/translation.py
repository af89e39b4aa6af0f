"""One extra spec of Manila as what it is in our documents, with everything that is to be known about the change."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dsl.openstack.capabilities import BOOLEAN_SPECS, QOS_TYPE, ZONES, scheduled_specs
from dsl.openstack.names import attribute_name, document_name
from dsl.openstack.operators import OR, alternatives, as_boolean
from dsl.openstack.remarks import (
    LEFT_OUT,
    LIST_OF_VALUES,
    MATCHES_NOTHING,
    NO_COUNTERPART,
    NOT_ACCEPTED,
    RENAMED,
    SAME_NAME,
    SURPRISING,
    Remark,
    remark,
)
from dsl.openstack.rules import rule_for
from dsl.problems import looks_secret, shown
from shareflow.contracts.units import MAX_BYTES, SIZE_UNITS

MAX_LENGTH = 255
"""Characters that Manila can store of a key, and of a value."""

COUNTERPARTS = {
    "snapshot_support": "snapshots",
    "create_share_from_snapshot_support": "clone",
    "revert_to_snapshot_support": "revert",
}
"""Capabilities of Manila that our drivers report under another name."""

BOOLEANS = frozenset(BOOLEAN_SPECS) | {
    "compression",
    "dedupe",
    "ipv4_support",
    "ipv6_support",
    "mount_point_name_support",
    "network_allocation_update_support",
    "qos",
    "qos_type_support",
    "security_service_update_support",
    "share_replicas_migration_support",
    "share_server_multiple_subnet_support",
    "thin_provisioning",
}
"""Capabilities that are true, false, or a list of both in every driver of Manila."""

PROTOCOLS = {"nfs": "nfs", "cifs": "smb", "smb": "smb", "cephfs": "cephfs"}
"""Protocols of Manila, in lower case, and what they are called here."""

SHARE_SERVERS = "driver_handles_share_servers"
_BOTH = frozenset(("compression", "dedupe", "qos", "thin_provisioning"))
_LARGEST_GIB = MAX_BYTES // SIZE_UNITS["GiB"]
_SIZES = {"provisioning:min_share_size": "limits.min_size", "provisioning:max_share_size": "limits.max_size"}
_SETTINGS = {
    "provisioning:max_share_extend_size": (
        "bounds how far administrators extend",
        "`limits.max_size` bounds every growth here",
    ),
    "provisioning:mount_point_prefix": ("begins the names of mount points", "export paths are made from ids here"),
}

Setting = bool | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """One extra spec and what becomes of it.

    Attributes:
        key, value: the source, as it is written.
        expression: a rule for ``require``; None when the spec asks nothing of a pool, or nothing that can be written.
        attribute: what the rule asks for, without ``pool.``; empty without a rule.
        field: the key of a share type that takes the setting, such as ``limits.min_size``; empty when none does.
        setting: what stands under that key: true or false, text, or texts.
        ignored: why nothing has to be done, empty when something was.
        remarks: what is lost, and what surprises.
    """

    key: str
    value: str
    expression: str | None = None
    attribute: str = ""
    field: str = ""
    setting: Setting | None = None
    ignored: str = ""
    remarks: tuple[Remark, ...] = ()

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """Where Manila's meaning surprises, and what was changed or guessed."""
        return tuple(remark for remark in self.remarks if remark.severity == "warning")

    @property
    def unsupported(self) -> str:
        """Why this is not carried over although it decides which pools fit; empty when it is carried over."""
        return next((remark.text for remark in self.remarks if remark.severity == "error"), "")

    @property
    def source(self) -> str:
        """``key = "value"``, bounded and printable; a value that may be a secret is not shown."""
        value = "..." if looks_secret(self.key) else shown(self.value, 80)
        return f'{shown(self.key, 80)} = "{value}"'

    @property
    def target(self) -> str:
        """The rule and the setting as one line of text; empty when there is neither."""
        parts = [self.expression] if self.expression else []
        if self.setting is not None:
            parts.append(f"{self.field}: {setting_text(self.setting)}")
        return "; ".join(parts)


def translate(key: str, value: str) -> Translation:
    """What an extra spec of a share type becomes in our documents. Raises nothing, whatever the texts are.

    Args:
        key: with its scope, such as ``capabilities:dedupe`` or ``netapp:thin_provisioned``.
        value: with its operator, such as ``<is> True``.
    """
    if len(key) > MAX_LENGTH or len(value) > MAX_LENGTH:
        text = f"Manila stores no key or value of more than {MAX_LENGTH} characters"
        return _refused(key, value, NO_COUNTERPART, text, "shorten it")
    path = tuple(key.split(":"))
    scoped = len(path) > 1
    if key == ZONES:
        return _zones(value)
    if key in _SIZES:
        return _size(key, value)
    if key in (QOS_TYPE, f"capabilities:{ZONES}") or (scoped and path[0] != "capabilities"):
        return _without_rule(key, value)
    return _capability(key, value, path[1:] if path[0] == "capabilities" else path)


def setting_text(setting: Setting) -> str:
    """A setting as YAML writes it in one line."""
    if isinstance(setting, bool):
        return "true" if setting else "false"
    return setting if isinstance(setting, str) else f"[{', '.join(setting)}]"


def _refused(key: str, value: str, code: str, text: str, hint: str) -> Translation:
    return Translation(key, value, remarks=(remark(code, text, hint),))


def _without_rule(key: str, value: str) -> Translation:
    """What Manila's scheduler does not match: settings of its own, and what is for a driver."""
    scope, _, name = key.partition(":")
    if key == f"capabilities:{ZONES}":
        return Translation(key, value, ignored="Manila uses this key nowhere")
    if key == QOS_TYPE:
        ignored = "it names a QoS type, which is no capability"
        text = f"the QoS type `{shown(value, 30)}` is not carried over"
        hint = f"declare a QosClass `{document_name(value, 'qos')}` and refer to it in the share type"
    elif key in _SETTINGS:
        ignored, hint = _SETTINGS[key]
        text = f"`{shown(name, 30)}` is not carried over"
    else:
        ignored = "Manila's scheduler ignores it and hands it to the driver"
        text = f"the scope `{shown(scope, 30)}` is for a driver, not for the scheduler"
        hint = "look for an option of the backend with this effect"
        if scope.strip().lower() == "capabilities":
            hint = "only `capabilities`, in lower case, is matched; check whether a rule was meant"
    return Translation(key, value, ignored=ignored, remarks=(remark(LEFT_OUT, text, hint),))


def _zones(value: str) -> Translation:
    written = [zone.strip() for zone in value.split(",") if zone.strip()]
    if not written:
        return _refused(ZONES, value, NOT_ACCEPTED, "no zone is listed", "list zones, separated by commas")
    names = [document_name(zone, "zone") for zone in written]
    remarks = [
        remark(RENAMED, f"the zone `{shown(zone, 20)}` is called `{name}` here", f"name the zone of the pools `{name}`")
        for zone, name in zip(written, names, strict=True)
        if zone != name
    ]
    if len(set(names)) < len(set(written)):
        remarks.append(remark(SAME_NAME, "two zones have one name here", "rename one of them in Manila first"))
    return Translation(ZONES, value, field="zones", setting=tuple(dict.fromkeys(names)), remarks=tuple(remarks))


def _size(key: str, value: str) -> Translation:
    try:
        size = int(value)
    except ValueError:
        size = 0
    if not 1 <= size <= _LARGEST_GIB:
        text = f"`{shown(value, 30)}` is no size in whole GiB"
        hint = f"write a whole number from 1 to {_LARGEST_GIB}"
        return _refused(key, value, NOT_ACCEPTED, text, hint)
    return Translation(key, value, field=_SIZES[key], setting=f"{size} GiB")


def _capability(key: str, value: str, path: tuple[str, ...]) -> Translation:
    if not path or not all(path):
        return _refused(key, value, MATCHES_NOTHING, "the key names no capability", "remove the spec")
    name = path[0] if len(path) == 1 else ""
    protocol = _protocol(value) if name == "storage_protocol" else None
    if protocol is not None:
        return Translation(key, value, field="protocol", setting=protocol)
    effective = scheduled_specs({key: value})[key]
    attribute = COUNTERPARTS.get(name) or attribute_name(path)
    rule = rule_for(attribute, effective, boolean=name in BOOLEANS, rewritten=effective != value)
    field, setting, refused = _snapshots(value) if key == "snapshot_support" else ("", None, ())
    if rule.expression is None:
        return Translation(key, value, field=field, setting=setting, remarks=(*refused, *rule.remarks))
    if name == SHARE_SERVERS and rule.expression.endswith("== false"):
        return Translation(key, value, ignored="no share here has a server of its own", remarks=rule.remarks)
    remarks = (*refused, *_renamed(path, attribute), *rule.remarks, *_about(name, rule.expression))
    return Translation(key, value, rule.expression, attribute, field, setting, remarks=remarks)


def _protocol(value: str) -> str | None:
    """Our name of the one protocol that a value asks for; None when it asks for anything else."""
    words = value.split()
    operator = words[0].lower() if words else ""
    if operator in ("<in>", "s==") and len(words) > 1:
        return PROTOCOLS.get(words[1].lower())
    if operator == OR and len(alternatives(words[1:])) == 1:
        return PROTOCOLS.get(words[1].lower())
    return PROTOCOLS.get(value.lower())


def _renamed(path: tuple[str, ...], attribute: str) -> tuple[Remark, ...]:
    if path in ((attribute,), *((name,) for name in COUNTERPARTS)):
        return ()
    where = "the nested capability" if len(path) > 1 else "the capability"
    text = f"{where} `{shown(':'.join(path), 28)}` becomes an attribute"
    return (remark(RENAMED, text, f"declare it on the pools as `{attribute}`"),)


def _about(name: str, expression: str) -> tuple[Remark, ...]:
    """What is to be known about the capability itself."""
    if name in _BOTH:
        text = "a pool of Manila may report both true and false, and then passes"
        return (remark(LIST_OF_VALUES, text, "drop the rule, or declare two pools, where a pool does both"),)
    if name == "encryption_support":
        text = "a pool of Manila may report a list, of which one value is enough"
        return (remark(LIST_OF_VALUES, text, f'for a list write `"share" in pool.{name}`'),)
    if name == "share_backend_name":
        text = "Manila drops this spec for replicas and for clones of snapshots"
        return (remark(SURPRISING, text, "here the rule holds for them as well"),)
    if name in COUNTERPARTS and expression.endswith("== false"):
        text = f"this asks for pools that are unable to do it: {COUNTERPARTS[name]}"
        return (remark(SURPRISING, text, "drop the rule unless that is really wanted"),)
    return ()


def _snapshots(value: str) -> tuple[str, Setting | None, tuple[Remark, ...]]:
    """Whether users may take snapshots; Manila reads this again when a share is made, and more loosely."""
    marked = re.fullmatch(r"<is>\s*(true|false)", value.strip(), re.IGNORECASE)
    truth = as_boolean(marked[1] if marked else value, otherwise=None)
    if isinstance(truth, bool):
        return "snapshots.allowed", truth, ()
    text = f"Manila refuses every share while this is `{shown(value, 25)}`"
    return "", None, (remark(NOT_ACCEPTED, text, "write True or False"),)
