"""Decides which ways of failing the client knows, what each prints and with which status it exits.

Every failure says its cause and a next step: an administrator reads it at night, out of Pacemaker's log.
"""

from __future__ import annotations

from fencebus_schemas.errors import FencebusError

EXIT_SUCCESS = 0
EXIT_FAILURE = 1
EXIT_OFF = 2
EXIT_DENIED = 3
EXIT_INTERNAL = 255
"""C's -1: a serial line or VM channel that does not answer, a port that cannot be listened on."""

FAILED = "Operation failed"
UNKNOWN = "Unknown response (-1)"


class UsageError(FencebusError):
    """The options contradict each other or cannot be understood: usage is shown, exit 1, nothing has been sent."""

    def __init__(self, detail: str, *, show_usage: bool = True) -> None:
        super().__init__(detail)
        self.detail = detail
        self.show_usage = show_usage

    def __str__(self) -> str:
        return self.detail


class NoAnswer(FencebusError):
    """No valid answer came: whether the target was fenced is unknown, which is a failure (S2, S4)."""

    def __init__(self, cause: str, remedy: str, status: int = EXIT_FAILURE) -> None:
        super().__init__(cause, remedy, status)
        self.cause = cause
        self.remedy = remedy
        self.status = status

    @property
    def headline(self) -> str:
        """C's own words for this failure."""
        return UNKNOWN if self.status == EXIT_INTERNAL else FAILED

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}"


class LineFailure(FencebusError):
    """A connection or device fell silent, ended or broke; the transport knows what that means."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return self.what


class Silence(LineFailure):
    """Nothing came in time; the line itself may be sound."""


def words(error: OSError) -> str:
    """Return what the system says about ``error``, without numbers and paths."""
    return error.strerror or str(error)
