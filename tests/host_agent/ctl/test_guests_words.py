"""Words that guests have chosen, on an administrator's terminal: shown, and never obeyed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fencebus_host.ctl.events_command import _say
from fencebus_host.ctl.status_fences import Fences
from fencebus_schemas.status import EventKind, EventStatus, FinishedFence, RunningFence
from fencebus_schemas.status_tables import tsv, visible

TARGET = "vm\x1b]0;root\x07\x9b2J\nvm2 was fenced\u202e\r[red]ü"
SHOWN = "vm\\x1b]0;root\\x07\\x9b2J\\nvm2 was fenced\\u202e\\r[red]ü"


def test_an_event_is_one_line_whatever_the_name_of_its_vm(capsys: pytest.CaptureFixture[str]) -> None:
    _say(EventStatus(1, 1.0, EventKind.FENCE_ACCEPTED, f"off of {TARGET} asked by tcp", name=TARGET), "text")
    told = capsys.readouterr().out
    assert told.endswith(f"off of {SHOWN} asked by tcp\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize("width", (500, 90))
def test_fences_show_what_was_asked_for_and_obey_nothing(width: int) -> None:
    running = RunningFence("1" * 32, 1.0, "off", TARGET, TARGET, "tcp", 2.0)
    failed = FinishedFence("2" * 32, 1.0, "off", TARGET, "192.0.2.1", "tcp", False, "unknown-vm", TARGET, 2.0)
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with out.capture() as kept:
        out.print(Fences([failed], [running]))
    told = kept.get()
    assert "".join(told.split()).count("".join(SHOWN.split())) == 4
    assert {sign for sign in told if not sign.isprintable()} <= {"\n"}


def test_a_line_with_tabs_has_no_sign_that_a_terminal_obeys() -> None:
    assert tsv([("a\\b", TARGET, "\t")]) == f"a\\\\b\t{SHOWN}\t\\t\n"


def test_what_can_be_shown_is_shown_as_it_is() -> None:
    assert visible("größer als [bold] 日本 ~\\n") == "größer als [bold] 日本 ~\\n"
