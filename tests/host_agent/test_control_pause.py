"""A pause refuses, survives, ends by itself, and what cannot be read counts as one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fencebus_host.control_pause import Pause
from fencebus_host.policy import HOST, Policy
from fencebus_schemas.model import Reason, Source
from tests.host_agent.house import group

NOON = 1e9


class Clock:
    """A wall clock that a test sets."""

    now = NOON

    def __call__(self) -> float:
        return self.now


def test_a_pause_is_every_requests_objection_until_it_ends(tmp_path: Path) -> None:
    pause = Pause(tmp_path / "state", Clock())
    assert pause.current is None
    assert pause.objection() is None
    pause.begin("upgrade", None, "uid 0")
    objection = pause.objection()
    assert objection is not None
    assert (objection.reason, "(upgrade)" in objection.text) == (Reason.PAUSED, True)
    assert pause.end() is not None
    assert pause.objection() is None
    assert pause.end() is None


def test_a_pause_survives_the_daemon_and_says_so_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begun = Pause(tmp_path, Clock()).begin("", 60, "uid 0")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert Pause(tmp_path, Clock()).current == begun
    assert "fencing is paused since" in caplog.text
    assert (tmp_path / "paused.json").stat().st_mode & 0o777 == 0o600


def test_a_pause_with_an_end_ends_by_itself_also_while_the_daemon_is_down(tmp_path: Path) -> None:
    clock = Clock()
    Pause(tmp_path, clock).begin("", 60, "uid 0")
    clock.now += 61
    assert Pause(tmp_path, clock).current is None
    assert not (tmp_path / "paused.json").exists()


def test_a_pause_is_over_though_its_file_cannot_be_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    pause = Pause(tmp_path, clock)
    pause.begin("", 60, "uid 0")
    (tmp_path / "paused.json").unlink()
    (tmp_path / "paused.json").mkdir()
    clock.now += 61
    assert pause.objection() is None
    assert "is not removed" in caplog.text


@pytest.mark.parametrize("text", ("", "{", "[]", '{"since": "noon"}'))
def test_what_cannot_be_read_is_a_pause(tmp_path: Path, text: str) -> None:
    (tmp_path / "paused.json").write_text(text)
    objection = Pause(tmp_path, Clock()).objection()
    assert objection is not None
    assert "cannot be read" in objection.text


def test_the_administrator_of_a_host_is_no_guest_that_groups_are_about() -> None:
    strict = Policy([group("a", ips=("192.0.2.1",))])
    nobody = frozenset({"b"})
    assert strict.permits(Source(HOST, known=True), frozenset(), nobody)
    assert not strict.permits(Source(HOST), frozenset(), nobody), "an address may be called anything"
