"""What every command has: where the server is, the project, the kind of output, and one way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.output import console, print_json, print_line, safe
from shareflow.errors import ShareflowError

if TYPE_CHECKING:
    from shareflow.client import Shares
    from shareflow.operation import Operation


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


class OnBusy(StrEnum):
    """What to do when another operation holds the resource."""

    QUEUE = "queue"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Cli:
    """The options that every command has."""

    address: str | None = None
    namespace: str | None = None
    project: str = "default"
    output: Output = Output.TABLE

    @property
    def json(self) -> bool:
        """Whether results are printed as JSON."""
        return self.output is Output.JSON

    @property
    def lively(self) -> bool:
        """Whether a person watches, so that progress may be drawn on standard error."""
        return not self.json and console(stderr=True).is_terminal

    @contextlib.asynccontextmanager
    async def shares(self) -> AsyncIterator[Shares]:
        """A connected client. Raises ServerUnavailable."""
        from temporalio.runtime import Runtime, TelemetryConfig  # noqa: PLC0415 - `--help` has to be quick

        from shareflow.client import connect  # noqa: PLC0415

        # The SDK logs its retries to standard output, which belongs to results.
        with contextlib.suppress(RuntimeError):
            Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
        async with connect(self.address, self.namespace, self.project) as shares:
            yield shares

    async def conclude(self, start: Start, operation: Operation[Any], what: str) -> None:
        """Print a started operation's id (``--no-wait``), or wait for its end and print what it made."""
        from shareflow.cli import results  # noqa: PLC0415

        await results.conclude(self, start, operation, what)

    async def conclude_delete(self, start: Start, operation: Operation[Any], share: str) -> None:
        """As :meth:`conclude`, until the share is in the recycle bin."""
        from shareflow.cli import results  # noqa: PLC0415

        await results.conclude_delete(self, start, operation, share)

    async def conclude_migration(self, start: Start, operation: Operation[Any], share: str, *, follows: bool) -> int:
        """As :meth:`conclude`; with ``follows`` only until the destination follows. Gives the exit code."""
        from shareflow.cli import results  # noqa: PLC0415

        return await results.conclude_migration(self, start, operation, share, follows=follows)

    async def conclude_evacuation(self, start: Start, operation: Operation[Any], place: str) -> int:
        """As :meth:`conclude`; gives the exit code, 1 when shares are left."""
        from shareflow.cli import results  # noqa: PLC0415

        return await results.conclude_evacuation(self, start, operation, place)

    async def conclude_failover(self, start: Start, operation: Operation[Any], what: str) -> int:
        """As :meth:`conclude`; gives the exit code, 1 when shares are left."""
        from shareflow.cli import results  # noqa: PLC0415

        return await results.conclude_failover(self, start, operation, what)

    async def watch(self, operation: Operation[Any]) -> None:
        """Show every step of an operation until it has ended, then what it made."""
        from shareflow.cli import watching  # noqa: PLC0415

        await watching.watch(self, operation)


@dataclass(frozen=True, slots=True)
class Start:
    """The options of every command that starts an operation."""

    wait: bool
    request_id: str | None
    on_busy: OnBusy
    reason: str

    @property
    def options(self) -> dict[str, Any]:
        """As the client takes them."""
        return {"request_id": self.request_id, "on_busy": self.on_busy.value, "reason": self.reason}


_SERVER = "Server and output"
_OPERATION = "Operation"
_CLI_OPTIONS: dict[str, tuple[Any, Any]] = {
    "address": (
        Annotated[
            str | None,
            typer.Option(help="host:port of the Temporal server; default: the profile's", rich_help_panel=_SERVER),
        ],
        None,
    ),
    "namespace": (
        Annotated[str | None, typer.Option(help="Temporal namespace; default: the profile's", rich_help_panel=_SERVER)],
        None,
    ),
    "project": (
        Annotated[
            str | None,
            typer.Option(help="the tenant; default: default", envvar="SHAREFLOW_PROJECT", rich_help_panel=_SERVER),
        ],
        None,
    ),
    "output": (
        Annotated[
            Output | None,
            typer.Option(
                "--output", "-o", help="table for people (default), json for programs", rich_help_panel=_SERVER
            ),
        ],
        None,
    ),
}
_START_OPTIONS: dict[str, tuple[Any, Any]] = {
    "wait": (
        Annotated[
            bool,
            typer.Option("--wait/--no-wait", help="wait for the end, or print the id", rich_help_panel=_OPERATION),
        ],
        True,
    ),
    "request_id": (
        Annotated[
            str | None,
            typer.Option(help="the same id gives the same operation, never a second", rich_help_panel=_OPERATION),
        ],
        None,
    ),
    "on_busy": (
        Annotated[OnBusy, typer.Option(help="when another operation holds it", rich_help_panel=_OPERATION)],
        OnBusy.QUEUE,
    ),
    "reason": (Annotated[str, typer.Option(help="why, for the audit", rich_help_panel=_OPERATION)], ""),
}


def command(
    app: typer.Typer, name: str, *, example: str, starts: bool = False, local: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command.

    The function's first parameter is a :class:`Cli`, with ``starts`` its second a :class:`Start`; the options of both
    are added to the command. It may be a coroutine function, and may raise any Shareflow error.

    Args:
        app: the group.
        name: the command's word.
        example: a whole command line, shown by ``--help``.
        starts: the command starts an operation.
        local: the command speaks to no server, so that of the options of a :class:`Cli` only the output is offered.
    """
    common = {"output": _CLI_OPTIONS["output"]} if local else _CLI_OPTIONS
    added = {"context": (typer.Context, inspect.Parameter.empty), **common, **(_START_OPTIONS if starts else {})}

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[2 if starts else 1 :]
        keyword = inspect.Parameter.KEYWORD_ONLY
        extra = [inspect.Parameter(n, keyword, default=d, annotation=a) for n, (a, d) in added.items()]
        parameters = [*(parameter.replace(kind=keyword) for parameter in own), *extra]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            given = {option: values.pop(option) for option in common}
            cli = make_cli(values.pop("context").find_root().obj, given)
            first = [Start(**{option: values.pop(option) for option in _START_OPTIONS})] if starts else []
            execute(cli, function, cli, *first, **values)

        run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, epilog=f"Example: {example}")(run)
        return function

    return register


def global_options(context: typer.Context, **given: Any) -> None:
    """The root's callback: the options of a :class:`Cli` may also stand before the command."""
    context.obj = given


global_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in _CLI_OPTIONS.items()
        ),
    ]
)
global_options.__annotations__ = {"context": typer.Context, **{name: kind for name, (kind, _) in _CLI_OPTIONS.items()}}


def make_cli(before: dict[str, Any] | None, after: dict[str, Any]) -> Cli:
    """The options given before the command and after it; the latter count more."""
    chosen = {name: value for name, value in (before or {}).items() if value is not None}
    chosen.update({name: value for name, value in after.items() if value is not None})
    return Cli(**chosen)


def execute(cli: Cli, function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    """Run a command to its end, or to one line on standard error and an exit code. Raises typer.Exit."""
    try:
        result = function(*arguments, **named)
        if inspect.iscoroutine(result):
            result = run_until_done(result)
    except ShareflowError as error:
        show_error(error, as_json=cli.json)
        raise typer.Exit(exits.code_of(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        show_problem("os", f"{where}{error.strerror or error}", "")
        raise typer.Exit(exits.FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(exits.INTERRUPTED) from None
    if isinstance(result, int) and result:
        raise typer.Exit(result)


def run_until_done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in an event loop of its own."""
    return asyncio.run(coroutine)


def show_error(error: ShareflowError, *, as_json: bool) -> None:
    """An error on standard error: one line and a help line, or one JSON object."""
    if as_json:
        fields = {"code": error.code, "kind": type(error).__name__, "message": error.message}
        print_json({"error": {**fields, "hint": error.hint, "field": error.field}}, stderr=True)
        return
    where = f"{error.field}: " if error.field else ""
    show_problem(error.code, f"{where}{error.message}", error.hint)


def show_problem(code: str, message: str, hint: str) -> None:
    """``error[code]: message`` and, if there is one, ``help: hint`` on standard error."""
    print_line(f"error[{code}]: {safe(message)}", style="red", stderr=True)
    if hint:
        print_line(f"help: {safe(hint)}", stderr=True)
