"""One connection to Temporal: reads, with every error in Shareflow's words. Shared by the client and its operations."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from shareflow import failures, names
from shareflow.contracts.base import StrictModel
from shareflow.contracts.reads import ListQuery, Page
from shareflow.converter import data_converter
from shareflow.errors import ServerUnavailable

DEFAULT_ADDRESS = "127.0.0.1:7233"
ANSWER_SECONDS = 10.0
"""How long one call may take before the server counts as unreachable."""
READ_SECONDS = 20.0
"""How long a read may take altogether, tries of the worker included."""
UNSERVED_SECONDS = 10.0
"""How long a read waits for a worker to take it."""

Answer = TypeVar("Answer")
Row = TypeVar("Row", bound=StrictModel)


@dataclass(frozen=True, slots=True)
class Wire:
    """A connected Temporal client with the project and the name under which it acts.

    Attributes:
        address: of the server, for messages.
        by: who asks, for the audit.
        patience: seconds that a wait for a result bears an unreachable server.
    """

    client: Client
    address: str
    project: str
    by: str
    patience: float

    @contextlib.asynccontextmanager
    async def call(self, seconds: float | None = ANSWER_SECONDS) -> AsyncIterator[None]:
        """Limit what is inside to ``seconds`` and raise its errors as Shareflow errors."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except (TemporalError, RPCError, TimeoutError) as error:
            raise failures.translate(error, self.address) from error

    async def read(self, name: str, query: StrictModel, answer: type[Answer]) -> Answer:
        """Ask the inventory through a worker; nothing is changed.

        Raises:
            ShareflowError: the refusal of the inventory; BackendUnavailable when no worker answers; ServerUnavailable.
        """
        async with self.call(READ_SECONDS + UNSERVED_SECONDS):
            result: Answer = await self.client.execute_activity(
                name,
                query,
                id=f"read-{uuid.uuid4()}",
                task_queue=names.QUEUE,
                result_type=answer,
                schedule_to_start_timeout=timedelta(seconds=UNSERVED_SECONDS),
                start_to_close_timeout=timedelta(seconds=UNSERVED_SECONDS),
                schedule_to_close_timeout=timedelta(seconds=READ_SECONDS),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4),
                rpc_timeout=timedelta(seconds=READ_SECONDS),
            )
        return result

    async def rows(self, name: str, query: ListQuery, page: type[Page[Row]]) -> AsyncIterator[Row]:
        """All rows of a list, fetched page by page as they are consumed."""
        while True:
            found = await self.read(name, query, page)
            for row in found.items:
                yield row
            if not found.next:
                return
            query = query.model_copy(update={"after": found.next})


async def open_wire(address: str | None, namespace: str | None, project: str, by: str, patience: float) -> Wire:
    """Connect to the server that the arguments, else the Temporal profile and its variables name.

    Raises:
        ServerUnavailable: it does not answer within 10 s, or the profile cannot be read.
    """
    config = _profile()
    if address:
        config["target_host"] = address
    if namespace:
        config["namespace"] = namespace
    target = config.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            client = await Client.connect(**config, data_converter=data_converter)
    except (RuntimeError, ValueError, TimeoutError, RPCError) as error:
        raise failures.server_unavailable(target, _short(error)) from error
    return Wire(client, target, project, by, patience)


def _profile() -> ClientConnectConfig:
    try:
        return ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise ServerUnavailable(
            f"the Temporal profile cannot be read: {str(error)[:300]}",
            hint="correct TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE or the file they name",
        ) from error


def _short(error: BaseException) -> str:
    """The innermost fact of a connection error, without the layers around it."""
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    text = str(error).removeprefix("Failed client connect: ")
    marker = 'message: "'
    return text.rpartition(marker)[2].partition('"')[0] if marker in text else text
