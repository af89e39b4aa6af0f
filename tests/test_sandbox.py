"""Contexts of payloads are left out where nobody needs them, and only there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter as Converter
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

import worker
from shareflow.converter import StrictPayloadConverter, data_converter
from shareflow.sandbox import ContextFreeSandbox, needs_contexts


class Sealing(PayloadCodec):
    """A codec, as one that encrypts would be."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


class Told(StrictPayloadConverter, WithSerializationContext):
    """A converter that wants to know whose payload it has."""

    def with_context(self, _context: SerializationContext) -> Told:
        return Told()


def test_our_converter_needs_no_contexts_so_workflows_are_not_asked_for_them() -> None:
    """Workers run workflows in the sandbox that is not entered for every payload."""
    assert not needs_contexts(data_converter)
    assert isinstance(worker.sandbox(), ContextFreeSandbox)


def test_a_converter_with_a_codec_or_with_contexts_gets_them() -> None:
    """The day somebody adds encryption, its codec is told whose payload it has."""
    assert needs_contexts(dataclasses.replace(data_converter, payload_codec=Sealing()))
    assert needs_contexts(dataclasses.replace(data_converter, payload_converter_class=Told))
    assert not needs_contexts(Converter.default)


def test_converters_share_what_they_have_learned_about_types() -> None:
    """The SDK makes one for every activation; a new one would learn all types again."""
    first, second = StrictPayloadConverter(), StrictPayloadConverter()
    assert list(first.converters.values()) == list(second.converters.values())
