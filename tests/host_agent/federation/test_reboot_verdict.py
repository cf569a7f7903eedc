"""A reboot whose old life ended here fails if another copy shows itself when it is to be started (S3, S5)."""

from __future__ import annotations

from fencebus_host import federated_rules, verdict
from fencebus_host.denial import Inquiry, Word
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceRequest, HostId, Reason, Source, VmRecord, VmState
from tests.host_agent.federation.words import ME, MINE, ONE, OTHER, RUNNING, THEIRS, VM, ended

REBOOT = FenceRequest(ONE, Action.REBOOT, VM, Source("operator"), "test", Deadline(99.0, lambda: 1.0), 0.5)
FOUND = (VmRecord(VM, "vm1", VmState.RUNNING, ME, MINE),)
KILLED = Evidence(FOUND, (ended(),), request=REBOOT, inquiry=Inquiry((ME, OTHER)))


def claimed_by(host: HostId) -> Evidence:
    """The start found a life on that host."""
    word = Word(host, THEIRS, "s", RUNNING)
    return Evidence(
        FOUND, (verdict.seen_running(word, VM),), request=REBOOT, inquiry=Inquiry((ME, OTHER), claims=(word,))
    )


def test_a_copy_elsewhere_is_an_old_life_for_all_that_is_known() -> None:
    outcome = verdict.decide_reboot(REBOOT, KILLED, claimed_by(OTHER))
    assert (outcome.ok, outcome.reason) == (False, Reason.STILL_CLAIMED)


def test_what_runs_where_the_old_life_was_seen_to_end_is_a_later_one() -> None:
    assert verdict.decide_reboot(REBOOT, KILLED, claimed_by(ME)).reason is Reason.REBOOTED


def test_one_host_alone_has_no_members_to_ask() -> None:
    assert federated_rules.s3_nobody_claims_it_at_its_start(KILLED, Evidence(FOUND)) is None
