"""Knowing when a Temporal server serves, and giving its namespace the search attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from shareflow import names

_CALL_LIMIT = timedelta(seconds=5)
_PAUSE = 0.03


async def wait_until_serving(address: str, namespace: str) -> None:
    """Return once the server answers for the namespace, and that has our search attributes. Waits without limit."""
    host, _, port = address.rpartition(":")
    await _until_listening(host, int(port))
    while True:
        try:
            client = await Client.connect(address, namespace=namespace, connect_timeout=_CALL_LIMIT)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=_CALL_LIMIT
            )
            await ensure_search_attributes(client)
        except (RPCError, RuntimeError):  # the SDK says RuntimeError when it cannot connect
            await asyncio.sleep(_PAUSE)
        else:
            return


async def ensure_search_attributes(
    client: Client, attributes: Sequence[SearchAttributeKey[Any]] = names.SEARCH_ATTRIBUTES
) -> list[str]:
    """Add the search attributes that the client's namespace lacks. Idempotent.

    Returns:
        The names that were added.

    Raises:
        RPCError: the server does not answer or does not allow it.
    """
    service = client.operator_service
    known = await service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_CALL_LIMIT
    )
    missing = {key.name: key for key in attributes if key.name not in known.custom_attributes}
    if not missing:
        return []
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, key in missing.items():
        request.search_attributes[name] = IndexedValueType.ValueType(key.indexed_value_type)
    try:
        await service.add_search_attributes(request, timeout=_CALL_LIMIT)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # somebody else was faster
            raise
    return sorted(missing)


async def _until_listening(host: str, port: int) -> None:
    """Wait for the port with plain sockets: a client that connects too early backs off for longer."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_PAUSE)
        else:
            writer.close()
            return
