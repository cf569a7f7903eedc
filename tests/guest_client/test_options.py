"""Command line and standard input: every option, and what a mistake leads to."""

from __future__ import annotations

import pytest

from fencebus_guest.arguments import CommandLine, read_lines
from fencebus_guest.failures import UsageError
from fencebus_guest.options import LETTERS, OPTIONS, arity, by_letter, by_name, options_of
from fencebus_guest.settings import Settings, number

VIRT, XVM = "fence_virt", "fence_xvm"


def command_line(program: str, *arguments: str) -> tuple[Settings, list[str]]:
    remarks: list[str] = []
    return CommandLine(program, remarks.append).read(list(arguments)), remarks


def standard_input(program: str, text: str) -> tuple[Settings, list[str]]:
    remarks: list[str] = []
    return read_lines(program, text.splitlines(), remarks.append), remarks


@pytest.mark.parametrize(
    ("program", "letter", "name", "text", "setting", "value"),
    (
        (XVM, "i", "ip_family", "IPv6", "ip_family", "ipv6"),
        (XVM, "a", "multicast_address", "225.0.0.13", "multicast_address", "225.0.0.13"),
        (VIRT, "T", "ipaddr", "::1", "ipaddr", "::1"),
        (VIRT, "A", "channel_address", "10.0.2.1", "channel_address", "10.0.2.1"),
        (VIRT, "p", "ipport", "0x4d2", "ipport", 1234),
        (XVM, "p", "ipport", "02322", "ipport", 1234),
        (XVM, "r", "retrans", "5", "retrans", 5),
        (XVM, "c", "hash", "SHA512", "hash", 3),
        (VIRT, "C", "auth", "none", "auth", 0),
        (XVM, "k", "key_file", "/k", "key_file", "/k"),
        (VIRT, "D", "serial_device", "/dev/ttyS0", "serial_device", "/dev/ttyS0"),
        (VIRT, "P", "serial_params", "9600,7e2", "serial_params", (9600, "7E2")),
        (VIRT, "P", "serial_params", "2400", "serial_params", (2400, "8N1")),
        (XVM, "o", "action", "OFF", "action", "off"),
        (XVM, "n", "plug", "vm1", "plug", "vm1"),
        (VIRT, "H", "port", "vm1", "plug", "vm1"),
        (VIRT, "t", "timeout", "7", "timeout", 7),
        (XVM, "w", "delay", "0", "delay", 0),
    ),
)
def test_an_option_says_the_same_by_letter_by_long_name_and_on_standard_input(
    program: str, letter: str, name: str, text: str, setting: str, value: object
) -> None:
    ways = (
        command_line(program, f"-{letter}", text),
        command_line(program, f"-{letter}{text}"),
        command_line(program, f"--{name}", text),
        command_line(program, f"--{name.replace('_', '-')}={text}"),
        standard_input(program, f"{name}={text}"),
        standard_input(program, f"# a comment\n\n  {name.upper()} =\t{text}  \r\n"),
    )
    for settings, remarks in ways:
        assert getattr(settings, setting) == value
        assert remarks == []


def test_letters_can_be_grouped_and_the_cid_must_be_attached() -> None:
    settings, _ = command_line(VIRT, "-ddooff", "-S3")
    assert (settings.debug, settings.action, settings.vsock) == (2, "off", 3)
    settings, remarks = command_line(VIRT, "-S", "7", "--", "-d")
    assert settings.vsock == 2
    assert remarks == ["Ignoring '7': it belongs to no option", "Ignoring '-d': it belongs to no option"]
    assert command_line(VIRT, "--vsock=5")[0].vsock == 5
    assert command_line(VIRT, "--vsock")[0].vsock == 2


def test_options_without_value_are_switches() -> None:
    settings, remarks = command_line(XVM, "-u", "--debug", "--json", "--help", "--version", "-")
    assert (settings.use_uuid, settings.debug, settings.json, settings.help, settings.version) == (True, 1, *[True] * 3)
    assert remarks == ["Ignoring '-': it belongs to no option"]
    assert standard_input(XVM, "use_uuid=0\ndebug=-4")[0].use_uuid is False
    assert standard_input(XVM, "debug")[0].debug == 1
    assert standard_input(XVM, "debug=-4")[0].debug == 1
    assert standard_input(XVM, "debug=3")[0].debug == 3


@pytest.mark.parametrize(
    "arguments",
    (
        ("-o", "devstatus"),
        ("-o", "hostlist"),
        ("-o", "diag"),
        ("-o", ""),
        ("-o",),
        ("--action",),
        ("-t", "0"),
        ("-t", "-3"),
        ("-t", "ten"),
        ("-p", "0"),
        ("-p", "65536"),
        ("-p", "09"),
        ("-c", "md5"),
        ("-C", "sha3"),
        ("-k", ""),
        ("-n", ""),
        ("-n", "x" * 64),
        ("-n", "caf\udce9"),
        ("-n", "a\0b"),
        ("-n", "a", "-n", "b"),
        ("-n", "a", "-H", "b"),
        ("-n", "a", "--domain", "b"),
        ("-w", "-1"),
        ("-M", "x"),
        ("-I", "eth0"),
        ("-:",),
        ("--interface=eth0",),
        ("--nosuch",),
    ),
)
@pytest.mark.parametrize("program", (VIRT, XVM))
def test_a_mistake_on_the_command_line_is_an_error(program: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        command_line(program, *arguments)


@pytest.mark.parametrize(
    ("program", "arguments"),
    (
        (VIRT, ("-u",)),
        (VIRT, ("-r", "5")),
        (VIRT, ("-a", "225.0.0.12")),
        (XVM, ("-T", "127.0.0.1")),
        (XVM, ("-S2",)),
        (XVM, ("-i", "ipv5")),
        (XVM, ("-r", "0")),
        (VIRT, ("-S1",)),
        (VIRT, ("-S0xffffffff",)),
        (VIRT, ("-P", "1200,8N1")),
        (VIRT, ("-P", "9600,9N1")),
        (VIRT, ("-P", "9600,8N")),
        (VIRT, ("-T", "")),
    ),
)
def test_an_option_of_the_other_program_or_a_bad_value_is_an_error(program: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        command_line(program, *arguments)


@pytest.mark.parametrize("text", ("action", "action=", "action = ", "plug", "action=off now", "timeout=1 0", "port="))
def test_a_lost_value_on_standard_input_is_an_error_and_no_reboot(text: str) -> None:
    with pytest.raises(UsageError):
        standard_input(XVM, f"{text}\n")


def test_unknown_names_on_standard_input_are_remarks_and_fenceds_own_are_nothing() -> None:
    settings, remarks = standard_input(
        XVM, "agent=fence_xvm\nself=n1\nnodename=n2\noption=status\ndomain=vm1\ninterface=eth0\nipaddr=1.2.3.4\nodd"
    )
    assert (settings.action, settings.plug) == ("status", "vm1")
    assert remarks == [f"Parse error: Ignoring unknown option '{name}'" for name in ("interface", "ipaddr", "odd")]


def test_names_may_hold_blanks_and_equal_signs_and_63_bytes() -> None:
    assert standard_input(XVM, "plug=my vm=1")[0].plug == "my vm=1"
    assert standard_input(XVM, f"plug={'x' * 63}")[0].plug == "x" * 63
    assert command_line(XVM, "-n", "my vm")[0].plug == "my vm"


def test_numbers_are_those_of_c() -> None:
    assert [number(text) for text in ("10", "0x10", "010", "0", " 7 ")] == [10, 16, 8, 0, 7]


def test_the_table_holds_every_letter_of_both_getopt_strings() -> None:
    for program in (VIRT, XVM):
        known = {letter for letter in LETTERS[program] if letter not in ":M"}
        assert {option.letter for option in options_of(program)} == known
    assert arity(VIRT, "S") == 2
    assert arity(XVM, "S") is None
    assert by_letter("M") is None
    assert by_name(XVM, "") is None
    assert len({option.letter for option in OPTIONS}) == len(OPTIONS)
