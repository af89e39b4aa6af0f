"""The driver that is put to the test: its class, its configuration, and how to reach its data."""

from __future__ import annotations

import dataclasses
import importlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from drivers.conformance.client import Client, PathClient
from drivers.contract import AttributeValue, BackendConfig, Capabilities, Driver, PoolConfig, SupportsHostAccess
from shareflow.contracts.units import parse_size

MIB = 2**20
_FILE_KEYS = ("name", "deployment", "options", "pools", "share_size", "job_timeout", "client")
_POOL_KEYS = ("name", "options", "attributes")


@dataclass
class DriverUnderTest:
    """Opens driver instances on one and the same storage.

    Two instances stand for two processes: they share the storage and the state directory, and nothing in memory.

    Attributes:
        driver_class: the class to test; called with ``config``.
        config: backend with one pool or more; each pool must have room for 16 shares of ``share_size``.
        share_size: bytes of an ordinary share in the tests, a multiple of 1 MiB.
        job_timeout: seconds after which a job that still runs counts as stuck.
        client: makes the client of a driver instance; None for one through ``data_path``, where the driver has it.
        peer: another backend with which snapshots can be exchanged; None for transfers between the pools of this one.
    """

    driver_class: type[Driver]
    config: BackendConfig
    share_size: int = 16 * MIB
    job_timeout: float = 60.0
    client: Callable[[Driver], Client] | None = None
    peer: DriverUnderTest | None = None
    _open: list[Driver] = field(default_factory=list)

    def open(self, **changes: Any) -> Driver:
        """A fresh instance; ``changes`` replace fields of the configuration. Raises what the constructor raises."""
        driver = self.driver_class(dataclasses.replace(self.config, **changes))
        self._open.append(driver)
        return driver

    def close(self) -> None:
        """Close every instance that was opened, the last one first."""
        while self._open:
            self._open.pop().close()
        if self.peer is not None:
            self.peer.close()

    def capabilities(self) -> Capabilities:
        """What the driver declares on this machine."""
        driver = self.driver_class(self.config)
        try:
            return driver.capabilities()
        finally:
            driver.close()

    def client_for(self, driver: Driver) -> Client | None:
        """The client of an instance: the one given, else through ``data_path``, else None."""
        if self.client is not None:
            return self.client(driver)
        if isinstance(driver, SupportsHostAccess) and driver.capabilities().host_access:
            return PathClient(driver)
        return None


def load_driver(path: str) -> type[Driver]:
    """The class behind ``package.module:Class``.

    Raises:
        ValueError: the text has another form, the module or the class is missing, or it is not a driver.
    """
    found = _import(path, "driver")
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise ValueError(f"{path!r} is not a subclass of drivers.contract.Driver")  # noqa: TRY004 - a wrong option
    return found


def load_options(driver_class: type[Driver], file: Path, state_dir: Path) -> DriverUnderTest:
    """What an options file describes (see README.md of this package).

    Raises:
        ValueError: the file is not YAML, has an unknown key, or a value of the wrong kind; names the key.
        OSError: the file cannot be read.
    """
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from None
    top = _mapping(data, "the file", _FILE_KEYS)
    pools = top.get("pools")
    if not isinstance(pools, list) or not pools:
        raise ValueError("'pools' must be a list of at least one pool, each with a 'name'")
    config = BackendConfig(
        name=_text(top, "name", "conformance"),
        deployment=_text(top, "deployment", f"conformance-{uuid.uuid4()}"),
        pools=tuple(_pool(item, index) for index, item in enumerate(pools)),
        state_dir=state_dir,
        options=_mapping(top.get("options", {}), "'options'"),
    )
    timeout = top.get("job_timeout", 60)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        raise ValueError(f"'job_timeout' must be a number of seconds above 0, not {timeout!r}")
    client = top.get("client")
    return DriverUnderTest(
        driver_class=driver_class,
        config=config,
        share_size=parse_size(top.get("share_size", 16 * MIB)),
        job_timeout=float(timeout),
        client=None if client is None else _import(str(client), "client"),
    )


def _import(path: str, what: str) -> Any:
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"{path!r} does not name a {what}; write package.module:Name")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{what} {path!r} cannot be loaded: {error}") from None


def _mapping(value: object, what: str, known: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{what} must be a mapping, not {value!r}")
    if unknown := [key for key in value if known and key not in known]:
        raise ValueError(f"{what} has an unknown key {unknown[0]!r}; known are {', '.join(known)}")
    return value


def _text(top: Mapping[str, object], key: str, default: str) -> str:
    value = top.get(key, default)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key!r} must be text, not {value!r}")
    return value


def _pool(item: object, index: int) -> PoolConfig:
    what = f"pool {index + 1}"
    data = _mapping(item, what, _POOL_KEYS)
    attributes: dict[str, AttributeValue] = {}
    for key, value in _mapping(data.get("attributes", {}), f"'attributes' of {what}").items():
        attributes[key] = tuple(value) if isinstance(value, list) else value
    return PoolConfig(
        name=_text(data, "name", ""), options=_mapping(data.get("options", {}), f"'options' of {what}"),
        attributes=attributes,
    )  # fmt: skip
