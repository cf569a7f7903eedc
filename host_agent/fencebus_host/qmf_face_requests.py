"""Converts a console's method call to a fence request, and what came of the request to the call's answer.

Pure.  The request goes the way of every request: policy, ledger, router, verdict.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from fencebus_agent.qmf_calls import CallRefused
from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Source
from fencebus_schemas.qmf2_messages import Code

VIA = "qmf"
RANDOM_BYTES = 10
"""As much as a request on the wire has."""
DOMAIN_FENCES = {"create": Action.ON, "destroy": Action.OFF, "reboot": Action.REBOOT}
"""Methods of a Domain that are fence requests."""
ACTIONS = {"off": Action.OFF, "reboot": Action.REBOOT, "on": Action.ON}
"""What FenceControl.fence may be asked for."""
_CODES = {Reason.DENIED: Code.FORBIDDEN, Reason.UNKNOWN_VM: Code.UNKNOWN_OBJECT}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, by QMF."""

    action: Action
    target: str
    user: str
    """For whom the broker vouches; empty if for nobody."""
    request_id: str = ""
    """The console's own id of the request; two requests of one user with one id are the same request (S7)."""


def source_of(user: str) -> Source:
    """Who asks, as policy and logs see it: ``qmf:USER``, which a group may name as one of its ``ip`` entries."""
    return Source("qmf:" + "".join(one if one.isprintable() and one != " " else "?" for one in user))


def request_of(asked: Asked, patience: float, clock: Clock = boottime) -> FenceRequest:
    """The request, received now; ``patience`` in seconds."""
    now = clock()
    unique = hashlib.sha256(asked.request_id.encode("utf-8", "surrogateescape")).digest()
    return FenceRequest(
        id=RequestId(secrets.token_hex(16)),
        action=asked.action,
        target=asked.target,
        source=source_of(asked.user),
        via=VIA,
        deadline=Deadline(now + patience, clock),
        received_at=now,
        random=unique[:RANDOM_BYTES] if asked.request_id else secrets.token_bytes(RANDOM_BYTES),
    )


def refusal(outcome: FenceOutcome) -> CallRefused:
    """The exception that tells of a failure.

    An old fence_virtd hands the code on to the guest in one byte, where 0 is a success and 2 means off: no failure may
    have such a code (facts: qmf2 4.3).
    """
    return CallRefused(_CODES.get(outcome.reason, Code.EXCEPTION), told(outcome))


def told(outcome: FenceOutcome) -> str:
    """The outcome for people."""
    return f"{outcome.reason.value}: {outcome.text}" if outcome.text else outcome.reason.value


def domain_answer(outcome: FenceOutcome) -> Map:
    """The outputs of ``create``, ``destroy`` and ``reboot``: none.  Raises CallRefused for a failure."""
    if not outcome.ok:
        raise refusal(outcome)
    return {}


def fence_answer(outcome: FenceOutcome) -> dict[str, Value]:
    """The outputs of FenceControl.fence."""
    return {"ok": outcome.ok, "reason": outcome.reason.value, "text": outcome.text}


def asked_for(arguments: Map, user: str) -> Asked:
    """What FenceControl.fence is asked for.  Raises CallRefused for an action that there is not."""
    action = ACTIONS.get(str(arguments["action"]))
    if action is None:
        raise CallRefused(Code.INVALID_PARAMETER, f"Invalid argument: action is one of {', '.join(ACTIONS)}")
    return Asked(action, str(arguments["target"]), user, str(arguments["requestId"]))


def patience_of(arguments: Map, longest: float) -> float:
    """Seconds: the call's own ``timeout``, where it has one that is shorter than the service's."""
    timeout = arguments.get("timeout", 0)
    return min(float(timeout), longest) if isinstance(timeout, int) and timeout > 0 else longest
