"""Carries out the method calls that a QMF agent admits: fences by the service, the rest by this host's hypervisors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from fencebus_agent.courtesies import Courtesies
from fencebus_agent.hypervisor import HypervisorError, UnknownDomain
from fencebus_agent.qmf_calls import Call, CallRefused
from fencebus_host.ports import Handle
from fencebus_host.qmf_face_requests import (
    DOMAIN_FENCES,
    Asked,
    asked_for,
    domain_answer,
    fence_answer,
    patience_of,
    refusal,
    request_of,
)
from fencebus_host.verdict import Evidence
from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceOutcome, Reason, Uuid
from fencebus_schemas.qmf2_classes import DOMAIN, FENCE_CONTROL
from fencebus_schemas.qmf2_messages import Code

RESERVE = 1.0
"""Seconds of the call's time that are left for its answer."""
Find = Callable[[str, Deadline], Awaitable[Evidence]]
"""Who has the VM of this name or UUID: ``ports.Router.find``."""


class Past(Protocol):
    """What came of earlier requests."""

    def history(self, target: str, most: int) -> Sequence[Map]:
        """Maps with the properties of a FenceRecord, the newest first; of all targets if it is empty."""


class FaceCalls:
    """Implements ``qmf_calls.Handler``.  ``patience``: seconds, of a fence request that names no shorter time."""

    def __init__(
        self, handle: Handle, find: Find, courtesies: Sequence[Courtesies], past: Past, patience: float
    ) -> None:
        self._handle, self._find, self._past, self._patience = handle, find, past, patience
        self._courtesies = tuple(courtesies)
        self._methods: Mapping[tuple[str, str], Callable[[Call, Deadline], Awaitable[Map]]] = {
            **{(DOMAIN.id.class_name, method): self._fence_domain for method in DOMAIN_FENCES},
            (DOMAIN.id.class_name, "shutdown"): self._courtesy,
            (DOMAIN.id.class_name, "suspend"): self._courtesy,
            (DOMAIN.id.class_name, "resume"): self._courtesy,
            (DOMAIN.id.class_name, "getXMLDesc"): self._courtesy,
            (FENCE_CONTROL.id.class_name, "fence"): self._fence,
            (FENCE_CONTROL.id.class_name, "status"): self._status,
            (FENCE_CONTROL.id.class_name, "history"): self._history,
        }

    async def call(self, call: Call, deadline: Deadline) -> Map:
        """See the port."""
        method = self._methods.get((call.target.schema.class_name, call.method))
        if method is None:
            raise CallRefused(Code.NOT_IMPLEMENTED, f"{call.method} is not to be had here")
        return await method(call, deadline)

    # -- fences ----------

    async def _fence_domain(self, call: Call, deadline: Deadline) -> Map:
        asked = Asked(DOMAIN_FENCES[call.method], str(call.target.values["uuid"]), call.user)
        return domain_answer(await self._outcome(asked, self._patience, deadline))

    async def _fence(self, call: Call, deadline: Deadline) -> Map:
        asked = asked_for(call.arguments, call.user)
        return fence_answer(await self._outcome(asked, patience_of(call.arguments, self._patience), deadline))

    async def _outcome(self, asked: Asked, patience: float, deadline: Deadline) -> FenceOutcome:
        request = request_of(asked, min(patience, deadline.remaining() - RESERVE))
        # Whether a console still listens nobody can say: it is taken to.
        answer = await self._handle(request, lambda: True)
        return answer.outcome

    # -- questions ----------

    async def _status(self, call: Call, deadline: Deadline) -> Map:
        target = str(call.arguments["target"])
        await self._permit(target, call.user, deadline)
        found = await self._find(target, Deadline.after(min(self._patience, deadline.remaining() - RESERVE)))
        claims = [one for one in found.records if one.state.is_claim]
        state = (claims or list(found.records))[0].state.value if found.records else "unknown"
        answer: dict[str, Value] = {"state": state, "ownerHost": str(claims[0].host) if claims else ""}
        return answer

    async def _history(self, call: Call, deadline: Deadline) -> Map:
        most = call.arguments["most"]
        records = self._past.history(str(call.arguments["target"]), most if isinstance(most, int) else 0)
        return {"records": list(records)}

    # -- courtesies ----------

    async def _courtesy(self, call: Call, deadline: Deadline) -> Map:
        vm = Uuid(str(call.target.values["uuid"]))
        await self._permit(vm, call.user, deadline)
        for each in self._courtesies:
            try:
                return await _done(each, call.method, vm, deadline)
            except UnknownDomain:
                continue
            except HypervisorError as error:
                raise CallRefused(Code.EXCEPTION, str(error)) from error
        raise CallRefused(Code.EXCEPTION, f"{vm} is not on this host any more")

    async def _permit(self, target: str, user: str, deadline: Deadline) -> None:
        """S6 for whatever is no fence: who may not ask for a VM's status may do nothing else to it either."""
        outcome = await self._outcome(Asked(Action.STATUS, target, user), self._patience, deadline)
        if not outcome.ok and outcome.reason is not Reason.NOT_PROVEN:
            raise refusal(outcome)


async def _done(courtesies: Courtesies, method: str, vm: Uuid, deadline: Deadline) -> Map:
    if method == "getXMLDesc":
        return {"description": await courtesies.definition(vm, deadline)}
    acts = {"shutdown": courtesies.shut_down, "suspend": courtesies.suspend, "resume": courtesies.resume}
    await acts[method](vm, deadline)
    return {}
