"""Which fence agents are ways to VMs, what may stand in their files, and which programs never run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.agent_checks import why_loop, why_unsafe_program
from fencebus_host.config.agent_options import MOST_BYTES, parse_options
from fencebus_host.config.commented import render_commented
from fencebus_host.config.effective import effective
from fencebus_host.config.fence_agent_settings import AgentSettings, FenceAgentSettings, MappedVm
from fencebus_host.config.load import load_text
from fencebus_host.config.model import LibvirtSettings, MulticastSettings, SerialSettings, TcpSettings
from fencebus_host.config.ordered_settings import OrderedSettings, parts_of
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.tree import render
from tests.components import require_program, require_root
from tests.host_agent.config.conf import codes, loaded, refused

UUID = "6a2d1f0e-1111-2222-3333-444455556666"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an agent and its options, as an administrator would leave them."""
    require_root()
    program = tmp_path / "fence_here"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    options = tmp_path / "options"
    options.touch(mode=0o600)
    options.write_text("# the manager\nip=192.0.2.1\n\nusername = root@pam\npassword=a=b # c\n")
    return tmp_path


def inside(folder: Path, more: str = "", agent: str = "fence_here", user: str = 'user = "root";') -> str:
    return f'agent = "{agent}"; agent_dir = "{folder}"; options_file = "{folder}/options"; {user} {more}'


def conf(text: str, backend: str = 'backend = "fence_agent";', listeners: str = "") -> str:
    serial = "" if listeners else 'listener = "serial"; '
    return f"fence_virtd {{ {serial}{backend} }} backends {{ fence_agent {{ {text} }} }} {listeners}"


def agents(folder: Path, text: str) -> tuple[AgentSettings, ...]:
    found = loaded(folder, conf(text)).backend
    assert isinstance(found, FenceAgentSettings)
    return found.agents


def test_an_agent_is_read_with_its_options_and_its_map(folder: Path) -> None:
    (one,) = agents(
        folder, inside(folder, f'at_most = "2"; vm {{ name = "a"; plug = "100"; uuid = "{UUID.upper()}"; }}')
    )
    assert (one.name, one.program, one.user, one.at_most) == ("fence_agent", folder / "fence_here", "root", 2)
    assert one.options == (("ip", "192.0.2.1"), ("username", "root@pam"), ("password", "a=b # c"))
    assert one.vms == (MappedVm("a", "100", UUID),)


def test_a_password_is_in_no_text_of_the_settings(folder: Path) -> None:
    config = loaded(folder, conf(inside(folder)))
    assert "a=b" not in repr(config)
    assert "a=b" not in render(effective(config))


def test_several_managers_take_what_they_leave_out_from_around_them(folder: Path) -> None:
    text = inside(folder, 'at_most = "9"; manager = "a" { at_most = "1"; } manager = "b" { vm { name = "x"; } }')
    a, b = agents(folder, text)
    assert (a.name, a.at_most, b.name, b.at_most) == ("fence_agent:a", 1, "fence_agent:b", 9)
    assert b.vms == (MappedVm("x", "x"),)


@pytest.mark.parametrize(
    "more", ("", 'vm { name = "x"; }', f'manager = "a" {{ vm {{ name = "x"; uuid = "{UUID}"; }} }}')
)
def test_what_is_written_out_loads_to_the_same_settings(folder: Path, more: str) -> None:
    config = loaded(folder, conf(inside(folder, more)))
    for text in (render(effective(config)), render_commented(effective(config))):
        again = load_text(text, "effective")
        assert replace(again, file=None, warnings=()) == replace(config, file=None, warnings=())


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        ("", ["missing-key"]),
        ('agent = "/usr/sbin/fence_pve"; user = "root";', ["bad-value", "missing-key"]),
        ('agent = "../fence_pve"; user = "root";', ["bad-value", "missing-key"]),
        ('agent = "fence_pve"; agent_dir = "sbin"; user = "root";', ["bad-value"]),
        ('agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; vm { plug = "1"; }', ["missing-name"]),
        ('agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; vm { name = "a,b"; }', ["bad-plug"]),
        ('agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; vm { name = "a"; uuid = "1"; }', ["bad-value"]),
        (
            (
                'agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; '
                'vm { name = "a"; } vm { plug = "a"; name = "b"; }'
            ),
            ["same-vm"],
        ),
        (
            'agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; vm { name = "a"; } manager = "m" { }',
            ["stray-vm"],
        ),
        (
            'agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; manager = "m" { } manager = "m" { }',
            ["same-name"],
        ),
        (
            (
                'agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; '
                f'vm {{ name = "a"; plug = "1"; uuid = "{UUID}"; }} vm {{ name = "a"; plug = "2"; uuid = "{UUID}"; }}'
            ),
            ["same-vm", "same-vm"],
        ),
        ('agent = "fence_here"; agent_dir = "FOLDER";', ["bad-user"]),
        ('agent = "fence_here"; agent_dir = "FOLDER"; user = "no-such-user";', ["bad-user"]),
        ('agent = "fence_none"; agent_dir = "FOLDER"; user = "root";', ["unsafe-agent"]),
        ('agent = "fence_here"; agent_dir = "FOLDER"; user = "root"; options_file = "/nowhere";', ["bad-options"]),
        ('agent = "fence_xvm"; user = "root";', ["unfit-agent", "loop"]),
        ('agent = "fence_dummy"; user = "root";', ["unfit-agent"]),
        ('agent = "fence_heuristics_ping"; user = "root";', ["unfit-agent"]),
    ),
)
def test_a_mistake_refuses_to_start(folder: Path, text: str, expected: list[str]) -> None:
    require_program("fence_dummy", package="fence-agents")
    found = [
        code for code in codes(refused(folder, conf(text.replace("FOLDER", str(folder))))) if code != "agent-caution"
    ]
    assert found == expected


def test_a_mistake_counts_also_where_discovery_would_take_the_section(folder: Path) -> None:
    assert codes(refused(folder, conf('agent = "fence_dummy";', backend=""))) == ["unfit-agent"]


def test_a_section_is_a_candidate_for_discovery_and_its_files_are_left_alone(folder: Path) -> None:
    config = loaded(folder, conf('agent = "fence_pve"; options_file = "/nowhere";', backend=""))
    assert isinstance(config.backend, LibvirtSettings)
    assert [each.kind for each in config.candidates] == ["fence_agent"]
    assert loaded(folder, conf(inside(folder))).candidates == ()


def test_agents_with_a_better_way_are_warned_of(folder: Path) -> None:
    config = load_text(conf('agent = "fence_virsh"; user = "root";'), "f", read_keys=False)
    assert codes(config.warnings) == ["agent-caution"]
    assert "qemu+ssh" in config.warnings[0].suggestion


# -- an order ----------


def test_several_backends_stand_in_their_order(folder: Path) -> None:
    config = loaded(folder, conf(inside(folder), backend='backend = "fence_agent, local";'))
    assert isinstance(config.backend, OrderedSettings)
    assert [each.kind for each in parts_of(config.backend)] == ["fence_agent", "libvirt"]
    assert config.backend.kind == "fence_agent, libvirt"
    again = load_text(render(effective(config)), "effective")
    assert replace(again, file=None, warnings=()) == replace(config, file=None, warnings=())


@pytest.mark.parametrize(
    ("words", "code"),
    (("libvirt, local", "repeated-backend"), ("libvirt,", "unknown-backend"), ("local, ovrt", "unknown-backend")),
)
def test_an_order_with_a_mistake_is_refused(tmp_path: Path, words: str, code: str) -> None:
    text = f'fence_virtd {{ listener = "serial"; backend = "{words}"; }}'
    assert codes(refused(tmp_path, text)) == [code]


# -- the options file ----------


@pytest.mark.parametrize("mode", (0o640, 0o604, 0o620, 0o601))
def test_options_that_others_may_use_are_refused(folder: Path, mode: int) -> None:
    (folder / "options").chmod(mode)
    assert codes(refused(folder, conf(inside(folder)))) == ["open-options"]


def test_options_of_another_user_are_refused(folder: Path) -> None:
    os.chown(folder / "options", 12345, -1)
    assert codes(refused(folder, conf(inside(folder)))) == ["open-options"]


def test_options_that_are_too_long_are_refused(folder: Path) -> None:
    (folder / "options").write_text("#" * (MOST_BYTES + 1))
    assert codes(refused(folder, conf(inside(folder)))) == ["bad-options"]


@pytest.mark.parametrize(
    "line",
    (
        "action=off",
        "option=off",
        "plug=1",
        "port=1",
        "delay=5",
        "separator=;",
        "plug-separator=;",
        "missing_as_off=1",
        "debug_file=/tmp/x",
        "no value",
        "=x",
        "pass word=x",
        "ip=a\nip=b",
        "use-sudo=1\nuse_sudo=0",
        "password=a\x07b",
        "password=a\rplug=7",
        "password=a\u2028plug=7",
    ),
)
def test_an_option_that_would_speak_for_us_or_cannot_be_read_is_refused_without_its_value(line: str) -> None:
    problems = Problems()
    parse_options(f"ok=1\n{line}\n", "options", problems)
    assert [problem.code for problem in problems.in_order()] == ["bad-options"]
    assert "plug=7" not in str(problems.in_order()[0])


# -- programs ----------


def test_a_program_that_others_may_write_or_that_leads_away_never_runs(folder: Path) -> None:
    program = folder / "fence_here"
    assert why_unsafe_program(program) == ""
    program.chmod(0o775)
    assert "others than root may write" in why_unsafe_program(program)
    program.chmod(0o755)
    folder.chmod(0o757)
    assert "others than root may write" in why_unsafe_program(program)
    folder.chmod(0o755)
    program.chmod(0o644)
    assert "not a program" in why_unsafe_program(program)
    (folder / "fence_away").symlink_to("/bin/sh")
    assert "leads out of its folder" in why_unsafe_program(folder / "fence_away")
    (folder / "fence_xvm").write_text("")
    (folder / "fence_xvm").chmod(0o755)
    (folder / "fence_alias").symlink_to(folder / "fence_xvm")
    assert "fence_xvm" in why_unsafe_program(folder / "fence_alias")
    os.chown(folder, 12345, -1)
    program.chmod(0o755)
    assert "others than root may write" in why_unsafe_program(program)


WHERE = Where("f", 1)
LISTENERS = (
    TcpSettings(where=WHERE, port=1300),
    MulticastSettings(where=WHERE, port=1229),
    SerialSettings(where=WHERE),
)


@pytest.mark.parametrize(
    ("options", "loops"),
    (
        ({"ipaddr": "127.0.0.1"}, True),  # C's default port, 1229: our multicast listener's call-backs, too
        ({"ipaddr": "127.0.0.1", "ipport": "1300"}, True),
        ({"ipaddr": "192.0.2.1", "ipport": "1300"}, True),
        ({"ipaddr": "0.0.0.0", "ipport": "1300"}, True),
        ({"ipaddr": "::1", "ipport": "01300"}, True),
        ({"ipaddr": "::1", "ipport": "x"}, True),
        ({"ipaddr": "127.0.0.1", "ipport": "1400"}, False),  # C's daemon beside ours
        ({"ipaddr": "192.0.2.9", "ipport": "1300"}, False),
        ({"ipaddr": "host.example"}, True),
        ({}, True),
        ({"serial_device": "/dev/ttyS1"}, True),
        ({"ipaddr": "192.0.2.9", "vsock": "2"}, True),
        ({"ipaddr": "192.0.2.9", "multicast-address": "225.0.0.12"}, True),
    ),
)
def test_an_agent_that_would_ask_this_daemon_is_refused(options: dict[str, str], loops: bool) -> None:
    agent = AgentSettings(name="fence_agent", agent="fence_virt", options=tuple(options.items()))
    assert bool(why_loop(agent, LISTENERS, lambda address: address == "192.0.2.1")) == loops


def test_the_check_for_a_route_to_itself_is_part_of_loading(folder: Path, key_file: Path) -> None:
    require_program("fence_virt", package="fence-virt")
    (folder / "options").write_text("ipaddr=127.0.0.1\nipport=1300\n")
    text = f'agent = "fence_virt"; options_file = "{folder}/options"; user = "root";'
    tcp = f'listeners {{ tcp {{ key_file = "{key_file}"; port = "PORT"; }} }}'
    assert codes(refused(folder, conf(text, listeners=tcp.replace("PORT", "1300")))) == ["loop"]
    assert loaded(folder, conf(text, listeners=tcp.replace("PORT", "1301"))).backend.kind == "fence_agent"
