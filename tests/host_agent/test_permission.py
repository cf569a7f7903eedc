"""What may be done directly before an act: a life's age and a deadline to the instant, and the words of a refusal."""

from __future__ import annotations

import pytest

from fencebus_host import permission
from fencebus_host.permission import Standing
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Reason
from tests.host_agent.evidence import RECEIVED, no_time, request


@pytest.mark.parametrize(
    ("began", "reason"), ((RECEIVED - 1, None), (RECEIVED, None), (RECEIVED + 0.001, Reason.YOUNGER_LIFE), (None, None))
)
def test_s12_a_life_that_began_as_the_request_came_is_an_old_one(began: float | None, reason: Reason | None) -> None:
    standing = Standing(RECEIVED + 1, wanted=True, condemned=False)
    assert permission.s12_s16_may_act(request(), standing, Life("1", began)) is reason


def test_the_deadline_of_a_request_stands_on_its_own_clock() -> None:
    late = request(deadline=Deadline(RECEIVED, no_time))
    assert permission.s12_s16_may_act(late, Standing(RECEIVED, True, False), None) is Reason.DEADLINE


@pytest.mark.parametrize("reason", (*permission.REFUSALS, Reason.INTERNAL))
def test_every_refusal_has_a_sentence(reason: Reason) -> None:
    assert permission.refused(reason).reason is reason
    assert len(permission.refused(reason).text) > 15
