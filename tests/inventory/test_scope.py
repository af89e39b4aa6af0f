"""Every question stays inside its project; what belongs to others looks as if it were nowhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, update

from inventory import queries, tables
from inventory.database import Database
from shareflow.errors import NotFound
from tests.inventory.rows import PROJECT, bin_share, make_share, make_snapshot, open_operation, operation_id

# What belongs to the operator and not to a project.
WITHOUT_PROJECT = {"list_pools", "list_qos_classes", "list_share_types", "list_findings"}


def questions() -> dict[str, Callable[..., Any]]:
    """Every public question."""
    found = inspect.getmembers(queries, inspect.isfunction)
    return {
        name: function
        for name, function in found
        if function.__module__ == queries.__name__ and not name.startswith("_")
    }


def test_every_question_names_its_project() -> None:
    """A new question cannot forget it: its only other argument is a query with a project."""
    for name, function in questions().items():
        if name in WITHOUT_PROJECT:
            continue
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
        assert [each.name for each in parameters] == ["connection", "query"], name
        assert "project" in parameters[1].annotation.model_fields, name


def secrets_of(connection: Connection, project: str) -> dict[str, str]:
    """Ids and names of everything in a project."""
    share = make_share(connection, "secret", project=project)
    snapshot = make_snapshot(connection, share, "hidden")
    binned = make_share(connection, "binned", project=project)
    bin_share(connection, binned)
    operation = open_operation(connection, operation_id(), project=project)
    connection.execute(update(tables.operations).where(tables.operations.c.id == operation.id).values(share_id=share))
    return {"share": share, "snapshot": snapshot, "binned": binned, "operation": operation.id}


def asked_with(model: type[BaseModel], values: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Queries of this kind that point at the other project by everything they can point with."""
    fields = model.model_fields
    pointers = {
        "share": [values["share"], values["binned"], "secret", "binned"],
        "snapshot": [values["snapshot"], "hidden"],
        "operation": [values["operation"]],
        "resource": [values["share"], values["snapshot"], values["binned"], "secret"],
    }
    base: dict[str, Any] = {"project": PROJECT}
    if {"share", "snapshot"} <= fields.keys():
        yield from ({**base, "share": a, "snapshot": b} for a in pointers["share"] for b in pointers["snapshot"])
        return
    required = {name for name, field in fields.items() if field.is_required()}
    if not required:
        yield base
    for name in pointers.keys() & fields.keys():
        for pointer in pointers[name]:
            yield {**base, name: pointer}
            if "deleted" in fields:
                yield {**base, name: pointer, "deleted": True}


@pytest.mark.parametrize("name", sorted(questions().keys() - WITHOUT_PROJECT))
def test_no_question_reaches_into_another_project(database: Database, name: str) -> None:
    """By id, by name, by digest, alive or in the recycle bin: nothing, or the answer that an unknown one gets."""
    with database.write() as connection:
        values = secrets_of(connection, "red")
        make_share(connection, "mine")
    function = questions()[name]
    model = inspect.signature(function, eval_str=True).parameters["query"].annotation
    tried = 0
    for values_of_query in asked_with(model, values):
        tried += 1
        with database.read() as connection:
            try:
                answer = function(connection, model.model_validate(values_of_query))
            except NotFound as error:
                assert_like_unknown(connection, function, model, values_of_query, error, values)
                continue
        text = answer.model_dump_json()
        assert not any(secret in text for secret in (*values.values(), "secret", "hidden", "red")), values_of_query
    assert tried


def assert_like_unknown(
    connection: Connection,
    function: Callable[..., Any],
    model: type[BaseModel],
    asked: dict[str, Any],
    error: NotFound,
    values: dict[str, str],
) -> None:
    """The same words as for something that is nowhere."""
    unknown = {key: "nowhere" if isinstance(value, str) and key != "project" else value for key, value in asked.items()}
    with pytest.raises(NotFound) as caught:
        function(connection, model.model_validate(unknown))
    assert (caught.value.hint, caught.value.field) == (error.hint, error.field)
    pointed = next(value for key, value in asked.items() if key in ("share", "operation", "resource"))
    assert error.message.replace(repr(pointed), repr("nowhere")) == caught.value.message
