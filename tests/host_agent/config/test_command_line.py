"""The daemon's command line: C's options, long ones too, and a mistake never looks like success."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.command_line import Answer, Configure, Invocation, Offer, read
from fencebus_schemas import __version__


def answer(*arguments: str) -> Answer:
    found = read(arguments)
    assert isinstance(found, Answer)
    return found


def test_without_options_everything_is_left_to_the_file() -> None:
    assert read([]) == Invocation(None, False, None, False, None)


@pytest.mark.parametrize("option", ("-n", "--dry-run"))
def test_only_the_command_line_makes_a_dry_run(option: str) -> None:
    assert read([option]) == Invocation(dry_run=True)


@pytest.mark.parametrize(
    "arguments",
    (
        ["-F", "-f", "/a", "-d", "3", "-w", "-p", "/b"],
        ["-Fw", "-f/a", "-d3", "-p/b"],
        ["--foreground", "--config", "/a", "--debug", "3", "--wait-for-init", "--pid-file", "/b"],
        ["--config=/a", "--debug=3", "--pid-file=/b", "-w", "-F"],
    ),
)
def test_every_option_of_c_is_known_short_and_long(arguments: list[str]) -> None:
    assert read(arguments) == Invocation(Path("/a"), True, 3, True, Path("/b"))


@pytest.mark.parametrize("option", ("-h", "--help"))
def test_help_goes_to_stdout_with_status_0(option: str) -> None:
    assert answer(option).status == 0
    assert "--wait-for-init" in answer(option).text


@pytest.mark.parametrize("option", ("-V", "--version"))
def test_the_version_is_printed(option: str) -> None:
    assert answer(option) == Answer(f"fence_virtd (fencebus) {__version__}\n")


@pytest.mark.parametrize("option", ("-l", "--list"))
def test_a_listing_names_every_listener_and_backend(option: str) -> None:
    text = answer(option).text
    assert all(f"\n  {name} " in text for name in ("multicast", "tcp", "vsock", "serial", "libvirt", "cpg"))


def test_a_listing_names_only_what_this_daemon_offers() -> None:
    found = read(["-l"], Offer(("tcp",), ("libvirt",)))
    assert isinstance(found, Answer)
    assert "vsock" not in found.text


def test_the_wizard_is_asked_for_with_the_file_that_it_is_to_write() -> None:
    assert read(["-c"]) == Configure(None)
    assert read(["-c", "-f", "/x"]) == Configure(Path("/x"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (["-x"], "unrecognized arguments: -x"),
        (["--foregroun"], "unrecognized arguments: --foregroun"),
        (["file"], "unrecognized arguments: file"),
        (["-d"], "expected one argument"),
        (["-d", "x"], 'the level must be a whole number from 0 to 2147483647, not "x"'),
        (["-f"], "expected one argument"),
        (["-f", ""], "a file must have a name"),
    ),
)
def test_a_mistake_exits_1_with_the_usage(arguments: list[str], message: str) -> None:
    found = answer(*arguments)
    assert found.status == 1
    assert message in found.text
    assert found.text.startswith("usage: fence_virtd ")
