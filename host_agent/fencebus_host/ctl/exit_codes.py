"""Decides with which number fence_virtctl ends; the numbers are part of what scripts rely on and never change."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the program's exit status says."""

    OK = 0
    """Done; nothing found that deserves a word."""
    FAILED = 1
    """It could not be done: a file that cannot be written, a component that is not installed."""
    USAGE = 2
    """The command line makes no sense."""
    BAD_CONFIG = 3
    """A configuration has errors; the daemon would not start with it."""
    DIFFERENT = 4
    """``config diff`` found differences."""
    WARNING = 5
    """``doctor``'s worst finding, or ``status``, is a warning."""
    BROKEN = 6
    """``doctor``'s worst finding, or ``status``, is an error."""
    DECLINED = 7
    """The preview was shown, and nothing was written, because nobody said yes."""
    NO_DAEMON = 8
    """The running daemon was needed and does not answer."""
    BAD_SOURCE = 9
    """``config convert`` cannot read what it is to convert."""
    NOT_FENCED = 10
    """``fence`` did not succeed, or ``test-fence`` found why it would not."""
