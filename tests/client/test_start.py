"""Starting operations: ids, idempotency, what the server is told, and what is refused before anything starts."""

from __future__ import annotations

import pytest

import shareflow
from shareflow import names
from shareflow.contracts.operations import CreateShareInput
from shareflow.server.devserver import DevServer
from shareflow.starting import kebab, request_digest
from tests.support.world import World


async def test_started_operation_shows_summary_details_and_attributes(shares: shareflow.Shares, world: World) -> None:
    """An operator sees in the UI what was asked for, by whom and why, from the first moment."""
    operation = await shares.create("home", "10 GiB", reason="new `team`")
    description = await world.client.get_workflow_handle(operation.id).describe()
    details = await description.static_details() or ""
    assert operation.id.startswith("create-share-")
    assert await description.static_summary() == "create share home, 10 GiB, type standard"
    assert "- by: `ana`" in details
    assert "- reason: `new 'team'`" in details
    assert description.typed_search_attributes[names.PROJECT] == shares.project
    assert description.typed_search_attributes[names.OPERATION] == names.CREATE_SHARE


async def test_same_request_id_and_content_gives_the_same_operation(shares: shareflow.Shares, key: str) -> None:
    """A start that is repeated after a lost answer makes no second share."""
    first = await shares.create("home", "1 GiB", request_id=key)
    again = await shares.create("home", 2**30, request_id=key, reason="asked again")
    assert first.id == again.id == f"{shares.project}:{key}"
    assert await first.result() == await again.result()
    after_the_end = await shares.create("home", "1 GiB", request_id=key)
    assert await after_the_end.result() == await first.result()
    assert [share.name async for share in shares.list()] == ["home"]


async def test_same_request_id_with_other_content_is_refused(shares: shareflow.Shares, key: str) -> None:
    """A request id never silently stands for something else than it did before."""
    await shares.create("home", "1 GiB", request_id=key)
    with pytest.raises(shareflow.RequestReused, match="SF104 request_id"):
        await shares.create("home", "2 GiB", request_id=key)
    with pytest.raises(shareflow.RequestReused):
        await shares.delete("home", request_id=key)


async def test_request_id_of_an_operation_started_with_stock_tools_is_compared_by_its_record(
    shares: shareflow.Shares, world: World, key: str
) -> None:
    """The stock CLI leaves no digest; then what the inventory recorded decides."""
    request = {"project": shares.project, "name": "home", "size": "1 GiB"}
    started = await world.start(names.CREATE_SHARE, request, operation=f"{shares.project}:{key}")
    await world.result(started)
    assert (await shares.create("home", "1 GiB", request_id=key)).id == started.id
    with pytest.raises(shareflow.RequestReused):
        await shares.create("other", "1 GiB", request_id=key)


async def test_request_ids_of_two_projects_do_not_meet(
    shares: shareflow.Shares, server: DevServer, world: World, key: str
) -> None:
    """One tenant's request id says nothing about another's."""
    mine = await shares.create("home", "1 GiB", request_id=key)
    async with shareflow.connect(server.address, project=world.project()) as others:
        theirs = await others.create("home", "2 GiB", request_id=key)
        assert (await theirs.result()).size == 2 * 2**30
    assert (await mine.result()).size == 2**30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "0"}, "SF100 size: .*at least 1 byte"),
        ({"size": -1}, "SF100 size: .*at least 1 byte"),
        ({"size": float("nan")}, "SF100 size: .*not a size"),
        ({"size": 1.5}, "SF100 size: .*not a size"),
        ({"size": "1.5 B"}, "SF100 size: .*whole number of bytes"),
        ({"size": "ten"}, "SF100 size: .*not a size"),
        ({"size": "10 GB"}, "SF100 size: .*did you mean GiB"),
        ({"size": "10 Gib"}, "SF100 size: .*did you mean GiB"),
        ({"name": ""}, "SF100 name: .*cannot be empty"),
        ({"name": "x" * 256}, "SF100 name: .*at most 63"),
        ({"name": "a\0b"}, "SF100 name: "),
        ({"name": "a/b"}, "SF100 name: .*'/' cannot be in a name"),
        ({"name": ".."}, "SF100 name: "),
        ({"name": "-rf"}, "SF100 name: .*not with '-'"),
        ({"name": "h\u043eme"}, "SF100 name: "),
        ({"type": "a b"}, "SF100 type: "),
        ({"description": "x\x1b[31m"}, "SF100 description: "),
        ({"description": "x" * (3 * 2**20)}, "SF100 description: .*at most 255"),
        ({"on_busy": "wait"}, "SF100 on_busy: "),
        ({"request_id": ""}, "SF100 request_id: "),
        ({"request_id": "a\nb"}, "SF100 request_id: "),
        ({"request_id": "x" * 191}, "SF100 request_id: "),
    ],
)
async def test_bad_input_is_refused_before_anything_starts(
    shares: shareflow.Shares, fields: dict[str, object], message: str
) -> None:
    """Bad input names its field and value, and reaches no server."""
    arguments: dict[str, object] = {"name": "home", "size": "1 GiB", **fields}
    with pytest.raises(shareflow.InvalidInput, match=message) as refused:
        await shares.create(**arguments)  # type: ignore[arg-type]
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()
    assert [operation async for operation in shares.operations()] == []


async def test_bad_project_is_refused_before_connecting() -> None:
    """A project that is no name is an error of input, not of the server."""
    with pytest.raises(shareflow.InvalidInput, match="SF100 project"):
        async with shareflow.connect("127.0.0.1:1", project="a/b"):
            pytest.fail("connected")


def test_digest_ignores_who_and_why_and_nothing_else() -> None:
    """Only what is asked for is content."""
    base = CreateShareInput(name="a", size=1)
    assert request_digest(base) == request_digest(base.model_copy(update={"by": "x", "reason": "y"}))
    for change in ({"name": "b"}, {"size": 2}, {"zone": "z"}, {"project": "p"}, {"description": "d"}):
        assert request_digest(base) != request_digest(base.model_copy(update=change))


@pytest.mark.parametrize("kind", names.OPERATION_TYPES)
def test_operation_ids_begin_with_what_they_do(kind: str) -> None:
    """An id says in lower case what kind of operation it is."""
    assert kebab(kind).replace("-", "") == kind.lower()


def test_public_names_are_sorted_and_all_there() -> None:
    """What the package exports exists, and nothing else is promised."""
    assert shareflow.__all__ == sorted(shareflow.__all__)
    assert all(hasattr(shareflow, name) for name in shareflow.__all__)
    assert set(shareflow.__all__) <= set(dir(shareflow))
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = shareflow.nope
