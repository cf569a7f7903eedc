"""What an agent is told, and what its exit status and words prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.fence_agent.contract import Finished, Power, Verb, power_of, secrets_of, stdin_text, without


def test_what_is_ours_comes_last_as_the_last_value_wins() -> None:
    options = (("ip", "192.0.2.1"), ("action", "metadata"), ("plug", "1"))
    assert stdin_text(options, Verb.OFF, (("plug", "7"),)).splitlines() == [
        b"ip=192.0.2.1",
        b"action=metadata",
        b"plug=1",
        b"plug=7",
        b"action=off",
    ]


@pytest.mark.parametrize(
    ("status", "output", "power"),
    (
        (0, "Status: ON\n", Power.ON),
        (2, "Status: OFF\n", Power.OFF),
        (2, "a warning of a library\nstatus: off\n", Power.OFF),
        (0, "", Power.ON),  # ON is the careful reading
        (2, "", Power.UNKNOWN),  # a shell that cannot read its script, an interpreter that does not find it
        (2, "/usr/bin/python3: can't open file", Power.UNKNOWN),
        (2, "Status: ON\n", Power.UNKNOWN),
        (0, "Status: OFF\n", Power.UNKNOWN),
        (2, "Status: OFF\nStatus: ON\n", Power.UNKNOWN),
        (1, "Status: OFF\n", Power.UNKNOWN),
        (3, "Status: OFF\n", Power.UNKNOWN),
        (-9, "Status: OFF\n", Power.UNKNOWN),
        (None, "Status: OFF\n", Power.UNKNOWN),
        (2, "Status: OFFLINE\n", Power.UNKNOWN),
        (2, "my Status: OFF\n", Power.UNKNOWN),
    ),
)
def test_only_exit_2_with_the_word_for_it_is_off(status: int | None, output: str, power: Power) -> None:
    assert power_of(Finished(status, output)) is power


@given(st.one_of(st.none(), st.integers(-64, 255)), st.text(), st.text())
def test_no_output_whatever_is_off_without_exit_2_and_no_text_breaks_the_reading(
    status: int | None, output: str, complaint: str
) -> None:
    run = Finished(status, output, complaint, "late")
    assert status == 2 or power_of(run) is not Power.OFF
    assert run.trouble.isprintable()


def test_a_failure_is_told_in_the_agents_last_words() -> None:
    assert Finished(1, "", "first\nUnable to connect/login\n\n").trouble == "exit status 1: Unable to connect/login"
    assert Finished(-11).trouble == "signal 11"
    assert Finished(None, ended_for="no time").trouble == "no time"


def test_what_is_secret_is_struck_out_of_what_an_agent_complains() -> None:
    options = (("ip", "192.0.2.1"), ("username", "admin"), ("password", "admin-secret"), ("passwd_script", "x"))
    secrets = secrets_of(options)
    assert without(secrets, "Sent: admin-secret to 192.0.2.1 as admin") == "Sent: *** to 192.0.2.1 as ***"
