"""What an agent says of itself, and which agents cannot be a router."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.fence_agent.contract import Verb
from fencebus_host.routers.fence_agent.metadata import Metadata, MetadataError, read_metadata, unknown_keys, why_unfit
from tests.components import require_program
from tests.host_agent.routers.fence_agent.agents import METADATA


def of_debian(name: str) -> Metadata:
    program = require_program(name, package="fence-agents")
    run = subprocess.run([program], input="action=metadata\n", capture_output=True, text=True, check=True)
    return read_metadata(run.stdout)


def test_metadata_is_read() -> None:
    known = read_metadata(METADATA)
    assert {"plug", "separator"} <= known.parameters
    assert known.lists is Verb.LIST_STATUS
    assert known.plug_key == "plug"
    assert why_unfit(known) == ""


@pytest.mark.parametrize("name", ("fence_virsh", "fence_virt", "fence_pve", "fence_vmware_rest"))
def test_agents_of_hypervisor_managers_are_fit(name: str) -> None:
    assert why_unfit(of_debian(name)) == ""


@pytest.mark.parametrize("name", ("fence_dummy", "fence_heuristics_ping", "fence_watchdog"))
def test_an_agent_that_cannot_be_told_which_vm_is_meant_is_no_router(name: str) -> None:
    assert why_unfit(of_debian(name))


def test_a_key_that_the_agent_would_ignore_is_told_with_the_one_that_was_meant() -> None:
    known = read_metadata(METADATA)
    assert unknown_keys(known, ["ip", "pasword", "power-timeout"]) == ["`pasword` (did you mean `password`?)"]
    assert unknown_keys(known, ["zzz"]) == ["`zzz`"]


def test_an_older_agent_calls_a_plug_a_port() -> None:
    known = Metadata(frozenset({"port"}), frozenset({"on", "off", "status"}))
    assert known.plug_key == "port"
    assert known.lists is None
    assert why_unfit(known) == ""
    assert "no action on" in why_unfit(Metadata(frozenset({"port"}), frozenset({"off", "status"})))


@pytest.mark.parametrize(
    "text",
    ("", "usage: fence_x", "<a>", "<!DOCTYPE a><a/>", "<resource-agent/>", "<a>" + "x" * (1 << 20) + "</a>"),
)
def test_what_is_no_metadata_is_refused(text: str) -> None:
    with pytest.raises(MetadataError):
        read_metadata(text)


@given(st.text())
def test_metadata_is_read_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(MetadataError):
        read_metadata(text)
