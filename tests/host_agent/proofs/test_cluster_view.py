"""What crm_mon prints, read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.proofs.cluster_view import NO_POWER, Result, UnreadableView, read_view
from tests.host_agent.proofs.crm import OFF, REBOOT, printed, view


def test_a_look_shows_nodes_quorum_devices_and_history() -> None:
    seen = view(OFF, REBOOT)
    assert seen.quorate
    assert (seen.online, seen.nodes) == (frozenset("a"), frozenset("ab"))
    assert (seen.agents, seen.not_power) == (frozenset({"fence_ipmilan"}), ())
    assert seen.events == (OFF, REBOOT)
    assert view(b="online").online == {"a", "b"}
    assert view(b="unclean").online == {"a"}
    assert not view(quorate=False).quorate


@pytest.mark.parametrize("agent", sorted(NO_POWER))
def test_one_device_that_leaves_a_node_running_spoils_all(agent: str) -> None:
    assert view(agents=("fence_ipmilan", agent)).not_power == (agent,)


def test_only_off_and_reboot_take_the_power_away() -> None:
    assert OFF.is_power
    assert REBOOT.is_power
    assert not replace(OFF, action="on").is_power


def test_what_is_neither_success_nor_failure_may_be_under_way() -> None:
    text = printed(OFF).replace('status="success"', 'status="something new"')
    assert [event.result for event in read_view(text).events] == [Result.PENDING]


@pytest.mark.parametrize(
    "text",
    (
        "",
        "<html/>",
        "<!DOCTYPE a><a/>",
        "<pacemaker-result",
        printed().replace('code="0"', 'code="102"'),
        printed().replace("current_dc", "nobody"),
        " " * (5 << 20),
    ),
)
def test_what_is_no_look_at_a_cluster_is_refused(text: str) -> None:
    with pytest.raises(UnreadableView) as caught:
        read_view(text)
    assert str(caught.value)


def test_a_host_is_its_node_by_name_or_by_the_one_short_name() -> None:
    seen = view()
    assert seen.node_of("b") == "b"
    assert seen.node_of("c") is None
    domains = replace(seen, nodes=frozenset({"a.here", "b.here", "b.there"}))
    assert domains.node_of("a") == "a.here"
    assert domains.node_of("b") is None
