"""Converts what a daemon answers, on a network or on a line, to an Answer.

The answer of a daemon that proved the key gets the whole time-out anew: it may have been found late, and a daemon
takes up to 25 s for a fence by itself. So the client's time is bounded by twice ``-t``, not by some sum of C's
per-step time-outs.
"""

from __future__ import annotations

from fencebus_schemas.errors import WireError
from fencebus_schemas.frozen import Frozen
from fencebus_schemas.handshake import Send
from fencebus_schemas.serialline import ReplyReader, SerialRequest
from fencebus_schemas.xvm import (
    ACTION_LIST,
    ACTION_MONITOR,
    ACTION_OFF,
    ACTION_STATUS,
    RECORD_LENGTH,
    REPLY_LIST,
    ListRecord,
    RecordReader,
)

from .failures import EXIT_INTERNAL, LineFailure, NoAnswer, Silence
from .patience import Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fencebus_schemas.handshake import Step

    from .line import Line

CHUNK = 32 * RECORD_LENGTH
REPEAT_SECONDS = 1
"""Between two times that a request without a reply is said on a line."""
TAKEN_SECONDS = 0.5
DAEMON_SECONDS = 25
"""What a daemon of ours takes at most (its ``request_timeout``)."""
BROKEN_LIST = "the list broke off"


class Answer(Frozen):
    """The daemon's result byte and, for a list, its records."""

    __slots__ = ("code", "records")
    code: int
    records: tuple[ListRecord, ...]

    def __init__(self, code: int, records: tuple[ListRecord, ...] = ()) -> None:
        self._fill(code, records)


def drive(step: Step, line: Line, patience: Patience) -> None:
    """Carry out a handshake over ``line``.

    Raises:
        LineFailure: the peer fell silent or left. WireError: it does not hold the key.
    """
    try:
        wanted = next(step)
        while True:
            if isinstance(wanted, Send):
                line.send(wanted.data, patience)
                wanted = next(step)
            else:
                wanted = step.send(line.receive_exactly(wanted.length, patience))
    except StopIteration:
        return


def read_network_answer(line: Line, timeout: float) -> Answer:
    """Return what comes after the handshake: a result byte, and a list behind REPLY_LIST.

    Raises:
        LineFailure: no answer within ``timeout`` seconds. NoAnswer: a list that breaks off (C prints what it has, and
        exits 0).
    """
    patience = Patience(timeout)
    code = line.receive_exactly(1, patience)[0]
    if code != REPLY_LIST:
        return Answer(code)
    reader = RecordReader()
    records: list[ListRecord] = []
    try:
        while not reader.done:
            records += reader.feed(line.receive(CHUNK, patience))
    except (LineFailure, WireError) as error:
        raise _broken(error, 1) from None
    return Answer(code, tuple(records))


def ask_on_line(line: Line, request: SerialRequest, timeout: float) -> Answer:
    """Send ``request`` on a serial line or VM channel, again each second while that is safe, and return the answer.

    QEMU throws away what is written while no daemon is connected. The request stays the same to the byte, which is how
    a daemon, C's too, knows it as one that it has.

    Raises:
        LineFailure: no answer within ``timeout`` seconds. NoAnswer: a list that breaks off.
    """
    patience, repeating = Patience(timeout), Patience(repeated_for(request.action, timeout))
    line.send(request.pack(), patience)
    reader = ReplyReader()
    try:
        while not repeating.over:
            if _hear(line, reader, Patience(min(REPEAT_SECONDS, repeating.remaining()))):
                break
            if reader.code is None and not repeating.over:
                _repeat(line, request, patience)
        if not reader.done and not _hear(line, reader, patience):
            raise LineFailure("no reply came in time")
    except (LineFailure, WireError) as error:
        if reader.code is None:
            raise
        raise _broken(error, EXIT_INTERNAL) from None
    return Answer(reader.code or 0, tuple(reader.records))


def repeated_for(action: int, timeout: float) -> float:
    """Return for how many seconds a request that gets no reply may be said again.

    What changes nothing: to the end. An ``off``: as long as a daemon's own patience fits into ours, so that it is not
    carried out when we have left (S12). ``reboot`` and ``on``: never, as they would be done twice by a daemon that was
    restarted in between (S4).
    """
    if action in (ACTION_STATUS, ACTION_MONITOR, ACTION_LIST):
        return timeout
    return timeout - DAEMON_SECONDS if action == ACTION_OFF else 0


def _hear(line: Line, reader: ReplyReader, patience: Patience) -> bool:
    """Read until the reply is whole or the patience over; return which. Raises LineFailure: the line is gone."""
    try:
        while not reader.feed(line.receive(CHUNK, patience)):
            if patience.over:  # a line full of noise never falls silent
                return False
    except Silence:
        return False
    return True


def _repeat(line: Line, request: SerialRequest, patience: Patience) -> None:
    """Say it again, if the line takes it at once; if not, the wait for the reply tells what is wrong."""
    try:
        line.send(request.pack(), Patience(min(TAKEN_SECONDS, patience.remaining())))
    except LineFailure:
        return


def _broken(error: LineFailure | WireError, status: int) -> NoAnswer:
    return NoAnswer(f"{BROKEN_LIST}: {error}", "ask again; if it breaks off again, look into fence_virtd's log", status)
