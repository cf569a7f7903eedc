"""Converts an answer to what C's client prints, to its exit status, and to one line for the system's log."""

from __future__ import annotations

from fencebus_schemas.frozen import Frozen
from fencebus_schemas.xvm import REPLY_DENIED, REPLY_FAILURE, REPLY_LIST, REPLY_OFF, REPLY_SUCCESS

from .failures import EXIT_DENIED, EXIT_OFF, EXIT_SUCCESS, FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fencebus_schemas.xvm import ListRecord

    from .answers import Answer

LISTING = ("list", "list-status")
"""A list in answer to anything else is no success."""
RUNNING = 1
"""libvirt's number; every other state is printed as "off", as C does."""


class Report(Frozen):
    """Text for standard output, text for standard error, exit status, and a line for the log ("" for none)."""

    __slots__ = ("errors", "log", "output", "status")
    errors: str
    log: str
    output: str
    status: int

    def __init__(self, status: int, output: str = "", errors: str = "", log: str = "") -> None:
        self._fill(errors, log, output, status)


def report(action: str, plug: str, answer: Answer, as_json: bool) -> Report:
    """Return what the client says about ``answer``."""
    if answer.code == REPLY_LIST and action in LISTING:
        return Report(EXIT_SUCCESS, _list_json(answer.records) if as_json else _list(answer.records))
    if answer.code == REPLY_SUCCESS:
        return Report(EXIT_SUCCESS, _state("on", as_json) if action == "status" else "", log=_done(action, plug))
    if answer.code == REPLY_OFF:
        return Report(EXIT_OFF, _state("off", as_json), log=f'Domain "{plug}" is OFF')
    if answer.code == REPLY_DENIED:
        return Report(
            EXIT_DENIED,
            errors="Permission denied\n",
            log=f'{action} of domain "{plug}" is not permitted to this guest',
        )
    text = FAILED if answer.code == REPLY_FAILURE else f"Unknown response ({answer.code})"
    cause = "fence_virtd could not do it; its log on the host says why" if answer.code == REPLY_FAILURE else ""
    return Report(
        answer.code,
        errors=f"{text}\n" + (f"{cause}\n" if cause else ""),
        log=f'{action} of domain "{plug}": {text}',
    )


def _done(action: str, plug: str) -> str:
    state = {"off": "OFF", "on": "ON", "status": "ON"}.get(action)
    return f'Domain "{plug}" is {state}' if state else f'{action} of domain "{plug}" succeeded' if plug else ""


def _state(state: str, as_json: bool) -> str:
    return f'{{"state": "{state}"}}\n' if as_json else f"Status: {state.upper()}\n"


def _power(record: ListRecord) -> str:
    return "on" if record.state == RUNNING else "off"


def _list(records: tuple[ListRecord, ...]) -> str:
    return "".join(f"{_printable(r.name):<32} {_printable(r.uuid)} {_power(r)}\n" for r in records)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or "\udc80" <= sign <= "\udcff" else "?" for sign in text)


def _list_json(records: tuple[ListRecord, ...]) -> str:
    from json import dumps

    vms = [{"name": r.name, "uuid": r.uuid, "state": _power(r), "libvirt_state": r.state} for r in records]
    return dumps({"vms": vms}, indent=2) + "\n"
