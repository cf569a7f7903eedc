"""Converts the service's answer to the bytes that C's clients read.  Pure.

Reply codes: facts, fence-virt 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from fencebus_host.ports import Answer
from fencebus_schemas.model import FenceOutcome, Reason, VmRecord, VmState
from fencebus_schemas.serialline import pack_reply
from fencebus_schemas.xvm import (
    REPLY_DENIED,
    REPLY_FAILURE,
    REPLY_LIST,
    REPLY_OFF,
    REPLY_SUCCESS,
    ListRecord,
    pack_list,
    pack_records,
)

STATE_RUNNING = 1
STATE_SHUTOFF = 5
"""libvirt's numbers (virDomainState); C's client prints "on" for 1 and "off" for every other."""


def reply_code(outcome: FenceOutcome) -> int:
    """The one byte for everything but a list: success or ON 0, failure 1, OFF 2, denied 3."""
    if outcome.reason is Reason.DENIED:
        return REPLY_DENIED
    if not outcome.ok:
        return REPLY_FAILURE
    return REPLY_OFF if outcome.reason is Reason.STATUS_OFF else REPLY_SUCCESS


def list_records(vms: Iterable[VmRecord]) -> list[ListRecord]:
    """The records of a list.  Only a VM that is off is shown as off: list and status agree, and unknown is not off."""
    return [ListRecord(vm.name, vm.uuid, STATE_SHUTOFF if vm.state is VmState.OFF else STATE_RUNNING) for vm in vms]


def network_reply(answer: Answer) -> bytes:
    """The bytes for multicast, TCP and vsock."""
    if answer.outcome.ok and answer.outcome.reason is Reason.LISTED:
        return pack_list(list_records(answer.vms))
    return bytes([reply_code(answer.outcome)])


def line_reply(answer: Answer) -> bytes:
    """The bytes for a serial line or a VM channel.

    C ends a list with a second reply of 5 bytes that no client reads.  It would stay on the line, and the next
    program that asks there could take its "success" for the answer to a fence; it is left out.
    """
    if answer.outcome.ok and answer.outcome.reason is Reason.LISTED:
        return pack_reply(REPLY_LIST) + pack_records(list_records(answer.vms))
    return pack_reply(reply_code(answer.outcome))
