"""Our client says its request again on a line until a reply comes: neither make of daemon may answer it twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fencebus_schemas.model import Action
from fencebus_schemas.xvm import REPLY_SUCCESS
from tests.differences.test_shooting import two_guests
from tests.interop.programs import Make
from tests.server_process import freeze

QUIET = 0.7  # seconds


@pytest.mark.parametrize("make", Make)
@pytest.mark.parametrize("action", (Action.STATUS, Action.OFF))
def test_what_is_said_again_before_or_just_after_its_reply_gets_one_reply(
    tmp_path: Path, make: Make, action: Action
) -> None:
    with two_guests(make, tmp_path / "host") as (place, alpha, _):
        freeze(place.daemon.pid)
        alpha.send(action, "beta")
        for _ in range(3):
            alpha.send_again()
        os.kill(place.daemon.pid, signal.SIGCONT)
        assert alpha.reply() == REPLY_SUCCESS
        alpha.send_again()
        with pytest.raises(TimeoutError):
            alpha.reply(QUIET)
