"""What is counted: power actions by how they ended, their durations, and requests that were turned away."""

from __future__ import annotations

from fencebus_host.metrics.tally import BUCKETS, Durations, Kind, Tally, Turned
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.digest import AuthError
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Source


def answered(tally: Tally, action: Action, reason: Reason, seconds: float) -> None:
    request = FenceRequest(RequestId("1" * 32), action, "node1", Source("192.0.2.1"), "tcp", Deadline.after(25.0), 0.0)
    tally.accepted(request)
    tally.answered(request, FenceOutcome(request.id, reason is Reason.PROVEN_OFF, reason), seconds)


def test_power_actions_are_counted_by_what_came_of_them() -> None:
    tally = Tally(lambda: 1700.0)
    answered(tally, Action.OFF, Reason.PROVEN_OFF, 0.02)
    answered(tally, Action.OFF, Reason.PROVEN_OFF, 0.02)
    answered(tally, Action.REBOOT, Reason.HOST_SILENT, 25.0)
    assert tally.requests == {
        Kind("off", "tcp", "proven-off", True): 2,
        Kind("reboot", "tcp", "host-silent", False): 1,
    }
    assert tally.last == {True: 1700.0, False: 1700.0}


def test_durations_fall_into_the_first_bucket_that_holds_them_and_the_longest_into_the_last() -> None:
    durations = Durations()
    for seconds in (0.0, 0.005, 0.006, 30.0, 31.0):
        durations.add(seconds)
    assert durations.within[:2] == [2, 1]
    assert durations.within[-2:] == [1, 1]
    assert len(durations.within) == len(BUCKETS) + 1
    assert round(durations.seconds, 6) == 61.011


def test_a_wrong_key_is_counted_as_that_and_rubbish_as_rubbish() -> None:
    tally = Tally()
    tally.turned_away("tcp", AuthError("mac", "the signature does not fit"))
    tally.turned_away("multicast:br1", WireError("length", "3 bytes"))
    assert tally.refused == {Turned("tcp", "mac"): 1, Turned("multicast:br1", "length"): 1}
    assert tally.auth_failures == {"tcp": 1}
