"""What a life's age means directly before its end, to the instant."""

from __future__ import annotations

import pytest

from fencebus_host import permission
from fencebus_host.permission import Standing
from fencebus_schemas.model import Life, Reason
from tests.host_agent.evidence import RECEIVED, request


@pytest.mark.parametrize(
    ("began", "reason"), ((RECEIVED - 1, None), (RECEIVED, None), (RECEIVED + 0.001, Reason.YOUNGER_LIFE), (None, None))
)
def test_s12_a_life_that_began_as_the_request_came_is_an_old_one(began: float | None, reason: Reason | None) -> None:
    standing = Standing(RECEIVED + 1, wanted=True, condemned=False)
    assert permission.s12_s16_may_act(request(), standing, Life("1", began)) is reason
