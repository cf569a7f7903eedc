"""Decides what the manager's word for a VM's state means for fencing: the table of all states of the API.  Pure.

Only what the manager calls "not running" is the end of a life; ``unknown`` says that its host is out of reach, and is
never off.  A word that is not in the table is unknown too.
"""

from __future__ import annotations

from enum import Enum

from fencebus_schemas.model import VmState


class Conclusion(Enum):
    """What a state means for somebody who wants the VM to be off."""

    ENDED = "ended"
    """No process, and none to come by itself."""
    SAVED = "saved"
    """No process, but its memory waits to be resumed: a stop discards it."""
    ALIVE = "alive"
    """There is a process, and the manager stops it when it is told to."""
    BUSY = "busy"
    """There is a process that the manager does not stop now (409): try again."""
    ABNORMAL = "abnormal"
    """No process, as the manager sees it, for a reason beside the VM's power: believed if it stays so."""
    UNKNOWN = "unknown"
    """It may or may not run."""


_TABLE = {
    "down": (Conclusion.ENDED, VmState.OFF),
    "suspended": (Conclusion.SAVED, VmState.SAVED),
    "up": (Conclusion.ALIVE, VmState.RUNNING),
    "powering_up": (Conclusion.ALIVE, VmState.RUNNING),
    "powering_down": (Conclusion.ALIVE, VmState.RUNNING),
    "reboot_in_progress": (Conclusion.ALIVE, VmState.RUNNING),
    "wait_for_launch": (Conclusion.ALIVE, VmState.RUNNING),
    "migrating": (Conclusion.ALIVE, VmState.RUNNING),
    "not_responding": (Conclusion.ALIVE, VmState.RUNNING),
    "paused": (Conclusion.ALIVE, VmState.PAUSED),
    "saving_state": (Conclusion.BUSY, VmState.RUNNING),
    "restoring_state": (Conclusion.BUSY, VmState.RUNNING),
    "image_locked": (Conclusion.ABNORMAL, VmState.OFF),
    "": (Conclusion.ABNORMAL, VmState.OFF),
    "unknown": (Conclusion.UNKNOWN, VmState.UNKNOWN),
    "unassigned": (Conclusion.UNKNOWN, VmState.UNKNOWN),
}
STATES = frozenset(_TABLE)


def conclusion(status: str) -> Conclusion:
    """What the state means for a fence."""
    return _TABLE.get(status, _TABLE["unknown"])[0]


def vm_state(status: str) -> VmState:
    """What the state is to the rest of fencebus.  An abnormal one counts as off only to those who saw it stay."""
    return _TABLE.get(status, _TABLE["unknown"])[1]


def is_settled(status: str) -> bool:
    """False for a state that has to be read twice before it is believed."""
    return conclusion(status) is not Conclusion.ABNORMAL


def shown(status: str) -> str:
    """The state in a message."""
    return status or "without a state (its disk image is illegal)"
