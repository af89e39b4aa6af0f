"""Errors that people and programs see. Each has a stable code, the fact with the wrong value, and the next step.

ShareflowError
+-- InvalidInput        SF100  a field is malformed
+-- NotFound            SF101  nothing of that name or id in this project
+-- NameTaken           SF102  another resource in view has the name
+-- InvalidState        SF103  the resource is not in a state that allows this
+-- RequestReused       SF104  the request id belongs to a request with other content
+-- Busy                SF105  another operation holds the resource (only with on_busy: fail)
+-- DoesNotFit          SF106  the new size is below what is in use, or below what it must hold
+-- NotSupported        SF107  the backend or the share's type cannot do this
+-- CommandRefused      SF108  a command came at a time when it cannot be carried out
+-- SpecsMoved          SF109  the applied specs, or what uses what is removed, moved since the plan
+-- RemovalNeedsAllow   SF110  the plan removes what is in use and nobody has allowed it by name
+-- NoPoolFits          SF200  placement found no pool; the reason of every pool is kept
+-- QuotaExceeded       SF201  the project's quota does not allow it
+-- UnknownType         SF202  no share type of that name
+-- UnknownQos          SF203  no QoS class of that name
+-- BackendRefused      SF300  the backend refused, for the reason given
+-- BackendUnavailable  SF301  the backend, or any worker that serves it, does not answer
+-- DatabaseUnavailable SF302  the inventory does not answer
+-- StaleClaim          SF303  an attempt went on after its operation had lost its claim; nothing was changed
+-- OperationFailed     SF304  the operation ended failed-clean; its reason is the message
+-- OperationCancelled  SF305  the operation was cancelled and undone
+-- ContentDiffers      SF306  a copy is not equal to its source
+-- FenceLeaks          SF307  a share's content can still be changed although writers were stopped
+-- ServerUnavailable   SF400  no Temporal server answers, or none can be started
+-- StateDirectoryError SF401  the state directory cannot be used
+-- SchemaError         SF402  the database schema is not one this version can use
+-- SpecError           SF403  the spec files are not valid
"""

from __future__ import annotations

from typing import Any, ClassVar


class ShareflowError(Exception):
    """Base of all errors.

    Attributes:
        code: stable code, ``SF`` and three digits.
        message: the fact, with the value that was wrong.
        hint: the next step, or empty.
        field: name of the input field, or empty.
    """

    code: ClassVar[str] = "SF000"

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        self.message = message
        self.hint = hint
        self.field = field
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        help_line = f" [{self.hint}]" if self.hint else ""
        return f"{self.code} {where}{self.message}{help_line}"


class InvalidInput(ShareflowError):
    """A field is missing, unknown or malformed. Nothing was changed."""

    code = "SF100"


class NotFound(ShareflowError):
    """Nothing of that name or id in this project. Another project's resource gets the same answer."""

    code = "SF101"


class NameTaken(ShareflowError):
    """Another resource in view has the name."""

    code = "SF102"


class InvalidState(ShareflowError):
    """The resource is not in a state that allows this."""

    code = "SF103"


class RequestReused(ShareflowError):
    """The request id belongs to an earlier request with other content."""

    code = "SF104"


class Busy(ShareflowError):
    """Another operation holds the resource and the caller asked not to wait."""

    code = "SF105"


class DoesNotFit(ShareflowError):
    """The new size is below what is in use, or below what it must hold."""

    code = "SF106"


class NotSupported(ShareflowError):
    """The backend or the share's type cannot do this."""

    code = "SF107"


class CommandRefused(ShareflowError):
    """A command into a running operation came at a time when it cannot be carried out."""

    code = "SF108"


class SpecsMoved(ShareflowError):
    """The applied specs, or the shares that use what is removed, are not what the plan was made on any more."""

    code = "SF109"


class RemovalNeedsAllow(ShareflowError):
    """The plan removes what shares use, and that was not allowed by name. Nothing was changed."""

    code = "SF110"


class NoPoolFits(ShareflowError):
    """Placement found no pool. The verdict on every pool is kept with the operation.

    Attributes:
        placement: the verdicts in bounded form, where placement got that far.
    """

    code = "SF200"
    placement: dict[str, Any] | None = None


class QuotaExceeded(ShareflowError):
    """The project's quota does not allow it."""

    code = "SF201"


class UnknownType(ShareflowError):
    """There is no share type of that name."""

    code = "SF202"


class UnknownQos(ShareflowError):
    """There is no QoS class of that name."""

    code = "SF203"


class BackendRefused(ShareflowError):
    """The backend refused, for the reason given. Nothing was changed there."""

    code = "SF300"


class BackendUnavailable(ShareflowError):
    """The backend does not answer, or no worker serves it."""

    code = "SF301"


class DatabaseUnavailable(ShareflowError):
    """The inventory database does not answer."""

    code = "SF302"


class StaleClaim(ShareflowError):
    """An attempt went on after its operation had lost the claim. Nothing was changed."""

    code = "SF303"


class OperationFailed(ShareflowError):
    """The operation ended failed-clean: everything was undone, and this is why."""

    code = "SF304"


class OperationCancelled(ShareflowError):
    """The operation was cancelled and everything was undone."""

    code = "SF305"


class ContentDiffers(ShareflowError):
    """A copy is not equal to its source; the first differences are named. Neither was changed."""

    code = "SF306"


class FenceLeaks(ShareflowError):
    """A share's content can still be changed although its writers were to be stopped; who can is named."""

    code = "SF307"


class ServerUnavailable(ShareflowError):
    """No Temporal server answers, or none could be found or built."""

    code = "SF400"


class StateDirectoryError(ShareflowError):
    """The state directory is in use, read-only, or cannot be made."""

    code = "SF401"


class SchemaError(ShareflowError):
    """The database schema is newer than this version, or is not Shareflow's."""

    code = "SF402"


class SpecError(ShareflowError):
    """The spec files are missing or not valid."""

    code = "SF403"


def _all_subclasses(cls: type[ShareflowError]) -> list[type[ShareflowError]]:
    direct = cls.__subclasses__()
    return direct + [deep for sub in direct for deep in _all_subclasses(sub)]


ERRORS_BY_CODE: dict[str, type[ShareflowError]] = {cls.code: cls for cls in _all_subclasses(ShareflowError)}
ERRORS_BY_NAME: dict[str, type[ShareflowError]] = {cls.__name__: cls for cls in _all_subclasses(ShareflowError)}
