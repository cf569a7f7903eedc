"""Decides whether a fence succeeded.  Pure, and the only maker of a successful outcome.

Each rule of the design's safety table that one host can break is a function here.  A rule looks at the evidence and
returns its objection, or ``None``; a fence succeeds only if no rule objects.  In doubt a rule objects.
"""

from __future__ import annotations

from fencebus_host.denial import Word
from fencebus_host.evidence import ALIVE, Evidence, Rule
from fencebus_host.federated_rules import (
    s2_killed_plainly_or_nobody_has_it,
    s2_quorum_or_own_eyes,
    s3_nobody_claims_it_at_its_start,
    s3_nobody_else_claims_it,
    s7_brought_for_this_request,
    s15_nobody_else_has_it,
)
from fencebus_host.objection import Objection
from fencebus_schemas.model import (
    Action,
    FenceOutcome,
    FenceRequest,
    Observation,
    Proof,
    Reason,
    Uuid,
    VmRecord,
    VmState,
    as_uuid,
)
from fencebus_schemas.peer import Outcome

__all__ = ["ALIVE", "Evidence", "Rule"]

# -- the rules ----------


def s1_observed_after_the_request(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S1: ``off`` succeeds only on observations that were made after the request arrived.

    Both times are CLOCK_BOOTTIME of this host; an observation of the same instant counts as earlier.
    """
    stale = [seen for seen in evidence.observations if seen.seen_at <= request.received_at]
    if stale:
        return Objection(Reason.STALE_OBSERVATION, f"{_place(stale[0])} was looked at before this request arrived")
    return None


def s2_unknown_is_not_off(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S2: a VM that nobody knows, or about which somebody did not answer, is not off.

    A hypervisor that is silent matters only where no other had the target alive: a life found alive and ended is an
    answer, but neither "it is off here" nor a saved image that was set aside says anything about the silent one.
    """
    if not evidence.records:
        return target_is_known(request, evidence)
    if not evidence.observations:
        return Objection(Reason.NOT_PROVEN, f"nothing was observed about {request.target}")
    if evidence.silent and not any(seen.ended and seen.was in ALIVE for seen in evidence.observations):
        return Objection(Reason.NOT_PROVEN, f"{_silent(evidence)} did not say whether {request.target} runs there")
    return None


def s3_every_claim_has_ended(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S3: each place that had the target must itself confirm that the target's life there has ended."""
    confirmed = {(seen.host, seen.hypervisor) for seen in evidence.observations if seen.state is VmState.OFF}
    for record in evidence.records:
        if (record.host, record.hypervisor) not in confirmed:
            return Objection(Reason.STILL_CLAIMED, _unconfirmed(record, evidence))
    return None


def s4_off_is_proven(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S4: whatever is not a proven end is a failure; an observation without a proof is only somebody's opinion."""
    for seen in evidence.observations:
        if seen.state is not VmState.OFF or seen.proof is Proof.NONE:
            return Objection(
                Reason.NOT_PROVEN, seen.detail or f"{_place(seen)}: {request.target} is {seen.state.value}"
            )
    return None


def s8_one_target(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S8: a name stands for one UUID; a name that several VMs have fails."""
    uuids = sorted({record.uuid for record in evidence.records})
    if len(uuids) > 1:
        return Objection(
            Reason.AMBIGUOUS_NAME,
            f"{request.target} is the name of {len(uuids)} VMs ({', '.join(uuids)}): use the UUID",
        )
    return None


def s8_name_is_resolved(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S8: while somebody is silent, a name is nobody's yet: the silent one may have another VM of that name.

    For the door, where names are resolved; a UUID needs no resolving.
    """
    if evidence.records and evidence.silent and as_uuid(request.target) is None:
        text = f"{_silent(evidence)} did not say whether another VM there is called {request.target!r}: use the UUID"
        return Objection(Reason.NOT_PROVEN, text)
    return None


def s14_nothing_in_flight(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S14: the end of a process here says nothing while a migration may have carried the life elsewhere."""
    for seen in evidence.observations:
        if seen.migration_in_flight:
            text = (
                seen.detail
                or f"{_place(seen)}: {request.target} may have left by migration, its end here proves nothing"
            )
            return Objection(Reason.IN_FLIGHT, text)
    return None


def observations_are_about_the_target(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """An observation of another VM proves nothing about this one, whatever a router brings."""
    known = {record.uuid for record in evidence.records}
    for seen in evidence.observations:
        if seen.vm not in known:
            return Objection(Reason.NOT_PROVEN, f"an observation about {seen.vm} was brought for {request.target}")
    return None


def target_is_known(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """Nothing is done about a VM that nobody knows."""
    return None if evidence.records else _nobody_knows(request, evidence)


def was_acted_on(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """What was refused directly before the act was not done."""
    return evidence.objection


DOOR_RULES: tuple[Rule, ...] = (was_acted_on, s8_one_target, target_is_known, s8_name_is_resolved)
"""What is asked of a power action's target before anything is done to it."""


FEDERATED_OFF_RULES: tuple[Rule, ...] = (
    was_acted_on,
    s7_brought_for_this_request,
    s8_one_target,
    observations_are_about_the_target,
    s3_nobody_else_claims_it,
    s2_quorum_or_own_eyes,
    s2_killed_plainly_or_nobody_has_it,
)

OFF_RULES: tuple[Rule, ...] = (
    was_acted_on,
    s8_one_target,
    s2_unknown_is_not_off,
    observations_are_about_the_target,
    s1_observed_after_the_request,
    s14_nothing_in_flight,
    s4_off_is_proven,
    s3_every_claim_has_ended,
)


def first_objection(request: FenceRequest, evidence: Evidence, rules: tuple[Rule, ...] = OFF_RULES) -> Objection | None:
    """The first of ``rules`` that objects; the order is that of how much an objection explains."""
    return next((objection for rule in rules if (objection := rule(request, evidence))), None)


# -- outcomes ----------


def decide_off(request: FenceRequest, evidence: Evidence) -> FenceOutcome:
    """The outcome of an ``off``."""
    objection = first_objection(request, evidence, OFF_RULES if evidence.inquiry is None else FEDERATED_OFF_RULES)
    if objection:
        return failure(request, objection, evidence)
    dead = _host_deaths(evidence)
    ended = bool(dead) or any(seen.ended for seen in evidence.observations)
    return _success(request, Reason.PROVEN_OFF if ended else Reason.ALREADY_OFF, evidence, dead)


def decide_reboot(request: FenceRequest, evidence: Evidence, start: Evidence | None) -> FenceOutcome:
    """S5: the outcome of a ``reboot`` is that of its off; a failed start is told, and the fence still succeeded.

    ``start`` is ``None`` where nothing was started, because the VM had been off before.
    """
    off = decide_off(request, evidence)
    if not off.ok:
        return off
    if start is None and off.text:
        return _success(request, Reason.REBOOTED_NOT_STARTED, evidence, f"fenced, but not started again: {off.text}")
    if start is None:
        return _success(request, Reason.ALREADY_OFF, evidence, "it was off before and stays off")
    claimed = s3_nobody_claims_it_at_its_start(evidence, start)
    if claimed:
        return failure(request, claimed, evidence)
    on = decide_on(request, start)
    if on.ok:
        return _success(request, Reason.REBOOTED, evidence, "")
    return _success(request, Reason.REBOOTED_NOT_STARTED, evidence, f"fenced, but not started again: {on.text}")


def is_to_be_started(evidence: Evidence) -> bool:
    """S5: a reboot starts only what ran: a VM that was off, or only saved, stays off."""
    return any(seen.was in ALIVE for seen in evidence.observations)


def s15_one_place_to_start(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S15: ``on`` needs to know that the VM runs nowhere else, and one place only that could start it.

    Where other hosts can be asked that is found out by asking them, and what is known of them says nothing yet.
    """
    if not evidence.records:
        return target_is_known(request, evidence)
    if evidence.inquiry is not None and request.action is Action.ON:
        return None
    if evidence.silent:
        return Objection(
            Reason.NOT_STARTED, f"{_silent(evidence)} did not say whether {request.target} runs there already"
        )
    alive = [record for record in evidence.records if record.state in ALIVE]
    if len(alive) == 1:
        return None
    left = [record for record in evidence.records if record.state is VmState.UNKNOWN]
    if left:
        # It left by migration, or something of its last life may still write (S14): it may well run elsewhere.
        place = left[0].hypervisor or left[0].host
        return Objection(Reason.NOT_STARTED, f"{place} cannot say that {request.target} runs nowhere else")
    if len(evidence.records) > 1:
        places = ", ".join(record.hypervisor or record.host for record in evidence.records)
        return Objection(Reason.NOT_STARTED, f"{request.target} could be started in several places ({places})")
    return None


def seen_running(word: Word, vm: Uuid) -> Observation:
    """A member's word that the target runs there plainly, as an observation."""
    sight = word.sight
    return Observation(vm, sight.state, word.host, word.incarnation, Proof.NONE, 0.0, sight.in_flight, sight.state)


ON_RULES: tuple[Rule, ...] = (
    was_acted_on,
    s8_one_target,
    s15_one_place_to_start,
    observations_are_about_the_target,
)
FEDERATED_ON_RULES: tuple[Rule, ...] = (
    was_acted_on,
    s7_brought_for_this_request,
    s8_one_target,
    observations_are_about_the_target,
    s15_nobody_else_has_it,
)


def decide_on(request: FenceRequest, evidence: Evidence) -> FenceOutcome:
    """The outcome of an ``on``: it succeeds if the VM is seen running after the request."""
    objection = first_objection(request, evidence, ON_RULES if evidence.inquiry is None else FEDERATED_ON_RULES)
    if objection:
        return failure(request, objection, evidence)
    running = [seen for seen in evidence.observations if seen.state in ALIVE]
    # In a federation the observation answers an order of this request: no two hosts' clocks are compared.
    if not running or (evidence.inquiry is None and running[0].seen_at <= request.received_at):
        return failure(request, Objection(Reason.NOT_STARTED, f"{request.target} was not seen running"), evidence)
    was_on = running[0].was in ALIVE
    return _success(request, Reason.ALREADY_ON if was_on else Reason.STARTED, evidence, "")


def decide_status(request: FenceRequest, evidence: Evidence) -> FenceOutcome:
    """The answer to ``status``: ON if any place claims a life of it, OFF if all places say so."""
    objection = first_objection(request, evidence, DOOR_RULES)
    if objection:
        return failure(request, objection, evidence)
    if any(record.state.is_claim for record in evidence.records):
        return _success(request, Reason.STATUS_ON, evidence, "")
    unknown = [record for record in evidence.records if record.state is VmState.UNKNOWN]
    if unknown or evidence.silent:
        where = unknown[0].hypervisor or unknown[0].host if unknown else _silent(evidence)
        text = f"{where} cannot say whether {request.target} is off"
        return failure(request, Objection(Reason.NOT_PROVEN, text), evidence)
    return _success(request, Reason.STATUS_OFF, evidence, "")


def decide_listed(request: FenceRequest) -> FenceOutcome:
    """The outcome of a ``list`` that was read from every hypervisor."""
    return _success(request, Reason.LISTED, Evidence(()), "")


def decide_alive(request: FenceRequest) -> FenceOutcome:
    """The outcome of a ``monitor`` to which the router answered."""
    return _success(request, Reason.ALIVE, Evidence(()), "")


def repeated(request: FenceRequest, told: Outcome) -> FenceOutcome:
    """S7: the same request gets the answer that the host gave on which it arrived first."""
    if told.ok:
        return _success(request, told.reason, Evidence(()), told.text)
    return failure(request, Objection(told.reason, told.text))


def failure(request: FenceRequest, objection: Objection, evidence: Evidence | None = None) -> FenceOutcome:
    """A failed outcome; anybody may make one."""
    seen = evidence.observations if evidence else ()
    return FenceOutcome(request.id, False, objection.reason, seen, objection.text)


def _success(request: FenceRequest, reason: Reason, evidence: Evidence, text: str) -> FenceOutcome:
    return FenceOutcome(request.id, True, reason, evidence.observations, text)


def _nobody_knows(request: FenceRequest, evidence: Evidence) -> Objection:
    if evidence.silent:
        return Objection(
            Reason.HYPERVISOR_ERROR, f"{_silent(evidence)} did not answer, and nobody else knows {request.target}"
        )
    return Objection(
        Reason.UNKNOWN_VM, f"no VM has the name or UUID {request.target!r} here (names are case-sensitive)"
    )


def _host_deaths(evidence: Evidence) -> str:
    """S13: what proved that hosts are dead, for people; empty if nothing had to."""
    return "; ".join(seen.detail for seen in evidence.observations if seen.proof is Proof.HOST_FENCED)


def _silent(evidence: Evidence) -> str:
    return ", ".join(evidence.silent)


def _place(seen: Observation) -> str:
    return seen.hypervisor or seen.host


def _unconfirmed(record: VmRecord, evidence: Evidence) -> str:
    place = record.hypervisor or record.host
    details = [
        seen.detail
        for seen in evidence.observations
        if (seen.host, seen.hypervisor) == (record.host, record.hypervisor)
    ]
    return f"{place} had {record.name} ({record.state.value}) and has not confirmed its end" + "".join(
        f": {d}" for d in details
    )
