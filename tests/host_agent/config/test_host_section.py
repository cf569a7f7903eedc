"""How hosts are proven dead, as the file says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fencebus_host.config.effective import effective
from fencebus_host.config.host_settings import HostFencing
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config
from fencebus_host.config.problems import ConfigError

USER = "root" if os.geteuid() == 0 else ""
AS_WHOM = f'user = "{USER}";' if USER else ""


def loaded(hosts: str, daemon: str = "", read_keys: bool = True) -> Config:
    text = f'fence_virtd {{ listener = "serial"; host = "a"; {daemon} }} hosts {{ {hosts} }}'
    return load_text(text, "the test's", read_keys=read_keys)


def codes(hosts: str, daemon: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(hosts, daemon)
    return [problem.code for problem in caught.value.problems]


@pytest.fixture
def agent(tmp_path: Path) -> str:
    """The keys of a host with an agent that is there."""
    program = tmp_path / "fence_lights"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    options = tmp_path / "options"
    options.write_text("ip=192.0.2.9\npassword=secret\n")
    options.chmod(0o600)
    return f'agent = "fence_lights"; agent_dir = "{tmp_path}"; options_file = "{options}"; {AS_WHOM}'


def test_hosts_are_looked_at_and_not_switched_off_unless_the_file_says_so() -> None:
    daemon = loaded('host { name = "a"; }').daemon
    assert (daemon.host_fencing, daemon.host_fencing_seconds, daemon.host_fencing_at_once) == (
        HostFencing.VERIFY,
        600.0,
        1,
    )
    act = 'host_fencing = "act"; host_fencing_seconds = "60"; host_fencing_at_once = "2";'
    daemon = loaded('host { name = "a"; }', act).daemon
    assert (daemon.host_fencing, daemon.host_fencing_seconds, daemon.host_fencing_at_once) == (HostFencing.ACT, 60.0, 2)


def test_a_host_may_have_a_fence_agent_with_options_in_a_file(agent: str, tmp_path: Path) -> None:
    config = loaded(f'host {{ name = "a"; }} host {{ name = "b"; {agent} plug = "7"; }}')
    assert config.hosts == ("a", "b")
    (settings,) = config.host_agents
    assert (settings.name, settings.program, settings.plug) == ("b", tmp_path / "fence_lights", "7")
    assert settings.options == (("ip", "192.0.2.9"), ("password", "secret"))
    assert "secret" not in repr(settings)


def test_what_is_shown_can_be_read_again_and_holds_no_password(agent: str) -> None:
    config = loaded(f'host {{ name = "b"; {agent} }} host {{ name = "a"; }}')
    shown = repr(effective(config))
    assert "fence_lights" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("name", ("fence_scsi", "fence_mpath", "fence_sbd", "fence_dummy", "fence_kdump", "fence_xvm"))
def test_an_agent_that_leaves_a_host_running_proves_nothing(name: str) -> None:
    assert "unfit-agent" in codes(f'host {{ name = "a"; agent = "{name}"; {AS_WHOM} }}')


@pytest.mark.parametrize(
    ("hosts", "code"),
    (
        ('host { name = "a"; plug = "7"; }', "missing-key"),
        ('host { name = "a"; agent = "/bin/sh"; }', "bad-value"),
        (f'host {{ name = "a"; agent = "fence_lights"; {AS_WHOM} plug = "a,b"; }}', "bad-plug"),
        (f'host {{ name = "a"; agent = "fence_is_not_there"; {AS_WHOM} }}', "unsafe-agent"),
        ('host { name = "a"; agent = "fence_ipmilan"; user = "nobody-at-all"; }', "bad-user"),
        (f'host {{ name = "a"; agent = "fence_ipmilan"; {AS_WHOM} options_file = "/nonexistent"; }}', "bad-options"),
        ('host { name = "a"; password = "secret"; }', "unknown-key"),
    ),
)
def test_what_is_wrong_refuses_to_start(hosts: str, code: str) -> None:
    assert code in codes(hosts)


def test_another_machines_file_is_read_without_its_disk() -> None:
    hosts = f'host {{ name = "a"; agent = "fence_is_not_there"; {AS_WHOM} }}'
    assert loaded(hosts, read_keys=False).host_agents[0].options == ()


def test_an_unknown_way_of_host_fencing_is_refused() -> None:
    assert codes('host { name = "a"; }', 'host_fencing = "maybe";') == ["bad-value"]
    assert codes('host { name = "a"; }', 'host_fencing_at_once = "0";') == ["bad-value"]
