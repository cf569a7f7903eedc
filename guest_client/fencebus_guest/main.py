"""Decides what one run of fence_virt or fence_xvm does: which program, which action, which transport, which exit
status.
"""

from __future__ import annotations

import sys

from fencebus_schemas.xvm import (
    ACTION_LIST,
    ACTION_MONITOR,
    ACTION_NULL,
    ACTION_OFF,
    ACTION_ON,
    ACTION_REBOOT,
    ACTION_STATUS,
)

from .arguments import CommandLine, read_lines
from .failures import EXIT_FAILURE, EXIT_SUCCESS, NoAnswer, UsageError
from .options import FENCE_VIRT, FENCE_XVM
from .report import Report, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .answers import Answer
    from .settings import Settings

CODES = {
    "null": ACTION_NULL,
    "off": ACTION_OFF,
    "reboot": ACTION_REBOOT,
    "on": ACTION_ON,
    "status": ACTION_STATUS,
    "monitor": ACTION_MONITOR,
    "list": ACTION_LIST,
    "list-status": ACTION_LIST,
}
WITHOUT_TARGET = ("monitor", "list", "list-status", "metadata")
AT_ONCE = ("status", "monitor", "list", "list-status")
"""The delay is for actions that change something."""


def main(argv: list[str]) -> int:
    """Run the client with C's argv and return its exit status."""
    program = FENCE_XVM if argv[0].rpartition("/")[2] == FENCE_XVM else FENCE_VIRT
    settings = None
    try:
        settings = _settings(program, argv[1:])
        outcome = run(program, argv[0], settings)
    except UsageError as error:
        outcome = _misused(program, argv[0], error)
    except NoAnswer as error:
        lines = f"{error.headline}\n{program}: {error}\n"
        what = f'{settings.action} of domain "{settings.plug}"' if settings else program
        outcome = Report(error.status, errors=lines, log=f"{what}: {error}")
    except KeyboardInterrupt:
        outcome = Report(130, errors=f"{program}: interrupted; whether the target is fenced is not known\n")
    _say(program, outcome)
    return outcome.status


def run(program: str, argv0: str, settings: Settings) -> Report:
    """Do what ``settings`` say and return what to print.

    Raises:
        UsageError: settings that contradict each other. NoAnswer: no valid answer came.
    """
    if settings.help or settings.version:
        from . import help as texts

        return Report(EXIT_SUCCESS, texts.usage(argv0, program) if settings.help else texts.version(program))
    if settings.debug:
        _dump(settings)
    if settings.doctor:
        from .doctor import examine

        return examine(program, settings)
    if settings.action == "metadata":
        from .metadata import metadata

        return Report(EXIT_SUCCESS, metadata(program))
    _check(settings)
    if settings.action == "validate-all":
        return Report(EXIT_SUCCESS)
    if settings.verbose:
        from .way import way

        _remark(f"{program}: {way(program, settings)}")
    if settings.delay and settings.action not in AT_ONCE:
        from time import sleep

        sleep(settings.delay)
    return report(settings.action, settings.plug, ask(program, settings), settings.json)


def ask(program: str, settings: Settings) -> Answer:
    """Ask by the transport that the settings choose: vsock before TCP before what the program's name stands for."""
    code = CODES[settings.action]
    if program == FENCE_VIRT and not (settings.vsock or settings.ipaddr):
        from . import serial

        device = settings.serial_device or serial.named_channel(settings)
        return serial.ask_device(settings, device, code) if device else serial.ask_channel(settings, code)
    from .request import Asking

    asking = Asking(settings, code)
    if program == FENCE_XVM:
        from . import multicast

        return multicast.ask(asking)
    from . import stream

    return stream.ask_vsock(asking, settings.vsock) if settings.vsock else stream.ask_tcp(asking, settings.ipaddr)


def _settings(program: str, arguments: list[str]) -> Settings:
    if arguments:
        return CommandLine(program, _remark).read(arguments)
    if sys.stdin is None:
        raise UsageError("without options they are read from standard input, which is closed")
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    return read_lines(program, text.splitlines(), _remark)


def _check(settings: Settings) -> None:
    show = settings.action != "validate-all"
    if not settings.plug and settings.action not in WITHOUT_TARGET:
        raise UsageError(f"{settings.action} needs a target: -n NAME, or plug=NAME on standard input", show_usage=show)
    if settings.key_file_given:
        from posix import stat

        try:
            stat(settings.key_file)
        except OSError as error:
            raise UsageError(f"key file {settings.key_file}: {error.strerror}", show_usage=show) from None


def _dump(settings: Settings) -> None:
    lines = [f"  {name} = {value}" for name, value in sorted(vars(settings).items())]
    sys.stdout.write("\n".join(["-- args @ --", *lines, "-- end args --", ""]))


def _misused(program: str, argv0: str, error: UsageError) -> Report:
    from .help import usage

    shown = usage(argv0, program) if error.show_usage else ""
    return Report(EXIT_FAILURE, output=shown, errors=f"{program}: {error}\n")


def _remark(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _say(program: str, outcome: Report) -> None:
    if outcome.output:
        sys.stdout.flush()
        sys.stdout.buffer.write(outcome.output.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()
    if outcome.errors:
        sys.stderr.write(outcome.errors)
    if outcome.log:
        # Last, and late: the caller has its answer already.
        import syslog

        syslog.openlog(program, syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(syslog.LOG_NOTICE, outcome.log.encode("utf-8", "replace").decode())
