"""cluster.conf: the host's <fence_xvmd/>, the guests' devices, and XML that is not to be trusted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.convert import xvmd
from fencebus_host.config.convert.cluster_conf import convert
from fencebus_host.config.convert.conversion import MAX_SOURCE, Conversion, GuestNode, SourceError, Weight
from fencebus_host.config.load import load_text
from fencebus_host.config.model import ClusterSettings, Config, LibvirtSettings, MulticastSettings, NameMode
from fencebus_host.config.tree import render

NODE = '<clusternode name="{0}"><fence><method name="1"><device name="xvm" {1}/></method></fence></clusternode>'


def conf(xvmd_element: str = "", nodes: str = "", devices: str = "", more: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>\n<cluster name="c">{more}<clusternodes>{nodes}</clusternodes>'
        f"<fencedevices>{devices}</fencedevices>{xvmd_element}</cluster>"
    ).encode()


def host(found: Conversion) -> Config:
    return load_text(render(found.items), "new", read_keys=False)


def multicast(found: Conversion) -> MulticastSettings:
    (listener,) = host(found).listeners
    assert isinstance(listener, MulticastSettings)
    return listener


def said(found: Conversion, weight: Weight) -> str:
    return "\n".join(str(remark) for remark in found.remarks if remark.weight is weight)


def test_an_empty_fence_xvmd_gives_the_defaults_it_had() -> None:
    found = convert(conf("<fence_xvmd/>"), "cluster.conf")
    listener = multicast(found)
    assert (listener.address, listener.port, listener.interface) == ("225.0.0.12", 1229, None)
    backend = host(found).backend
    assert isinstance(backend, ClusterSettings)
    assert (backend.kind, backend.uris, backend.name_mode) == ("cpg", ("qemu:///system",), NameMode.NAME)


def test_every_attribute_that_fence_xvmd_read_has_its_place() -> None:
    element = (
        '<fence_xvmd debug="2" ip_family="ipv6" multicast_address="ff05::5" port="1300" interface="br0" auth="sha512"'
        ' hash="sha1" key_file="/k" uri="xen:///" use_uuid="1" log_facility="local4" log_level="6"/>'
    )
    found = convert(conf(element), "cluster.conf")
    listener, config = multicast(found), host(found)
    assert (listener.family.value, listener.address, listener.port, listener.interface) == (
        "ipv6",
        "ff05::5",
        1300,
        "br0",
    )
    assert (listener.auth.value, listener.hash.value, str(listener.key_files[0])) == ("sha512", "sha1", "/k")
    assert isinstance(config.backend, ClusterSettings)
    assert (config.backend.uris, config.backend.name_mode, config.daemon.debug) == (("xen:///",), NameMode.UUID, 2)
    assert "log_facility" in said(found, Weight.DROPPED)
    assert "log_level" in said(found, Weight.DROPPED)


def test_auto_is_left_to_the_address_and_family_was_never_read() -> None:
    found = convert(conf('<fence_xvmd ip_family="auto" multicast_address="ff05::5" family="ipv4"/>'), "x")
    assert multicast(found).family.value == "ipv6"
    assert "`family` was never read by fence_xvmd (did you mean `ip_family`?)" in said(found, Weight.DROPPED)


def test_what_changes_its_meaning_is_told() -> None:
    told = said(convert(conf('<fence_xvmd port="1229"/>'), "x"), Weight.CHANGED)
    assert "a VM that nobody knows was a success" in told
    assert "must be proven fenced" in told
    assert "`port` was the IP port" in said(convert(conf('<fence_xvmd port="1229"/>'), "x"), Weight.KEPT)


def test_the_nodes_of_the_hosts_cluster_become_hosts_under_their_short_names() -> None:
    nodes = NODE.format("a.example.com", "") + NODE.format("b", "")
    assert host(convert(conf("<fence_xvmd/>", nodes), "x")).hosts == ("a", "b")


def test_cluster_conf_counts_before_the_command_line_but_with_x_or_l_not_at_all() -> None:
    line = xvmd.read_command_line(["fence_xvmd", "-p", "1300", "-I", "br0", "-dd"])
    found = convert(conf('<fence_xvmd port="1301"/>'), "x", line)
    assert isinstance(host(found).backend, ClusterSettings)
    assert (multicast(found).port, multicast(found).interface, host(found).daemon.debug) == (1301, "br0", 2)
    for letter, backend in (("-X", ClusterSettings), ("-L", LibvirtSettings)):
        alone = convert(conf('<fence_xvmd port="1301"/>'), "x", xvmd.read_command_line([letter, "-p1300"]))
        assert (multicast(alone).port, type(host(alone).backend)) == (1300, backend)
        assert "x:2: <fence_xvmd/> did not count" in said(alone, Weight.DROPPED)


def test_a_flag_of_the_command_line_means_nothing_in_cluster_conf() -> None:
    found = convert(conf('<fence_xvmd local="1"/>'), "x")
    assert isinstance(host(found).backend, ClusterSettings)
    assert "`local` was never read by fence_xvmd" in said(found, Weight.DROPPED)


@pytest.mark.parametrize("words", (["-Q"], ["-p"], ["stray", "word"], ["-a", "1", "--"]))
def test_a_command_line_that_fence_xvmd_did_not_have_is_refused(words: list[str]) -> None:
    with pytest.raises(SourceError):
        xvmd.read_command_line(words)


DEVICE = '<fencedevice agent="fence_xvm" name="xvm" {0}/>'


def test_the_old_port_of_a_device_was_the_ip_port_and_domain_is_the_vm() -> None:
    nodes = NODE.format("n1", 'domain="vm1"') + NODE.format("n2", 'domain="vm2"')
    found = convert(conf("", nodes, DEVICE.format('port="1230" multicast_ttl="4" use_uuid="1"')), "x")
    (device,) = found.devices
    assert device.options == (("ipport", "1230"),)
    assert device.nodes == (GuestNode("n1", "vm1"), GuestNode("n2", "vm2"))
    assert found.two_nodes
    assert "`port = 1230` was the IP port" in said(found, Weight.CHANGED)
    assert "multicast_ttl" in said(found, Weight.DROPPED)
    assert found.items == ()


def test_in_files_of_cluster_3_the_port_of_a_node_is_its_vm() -> None:
    nodes = NODE.format("n1", 'port="vm1" timeout="60"') + NODE.format("n2", 'port="vm2"') + NODE.format("n3", "")
    found = convert(conf("", nodes, DEVICE.format("")), "x")
    assert [node.vm for node in found.devices[0].nodes] == ["vm1", "vm2", "n3"]
    assert found.devices[0].timeout == 60
    assert not found.two_nodes
    assert "it names no VM for n3" in said(found, Weight.DECIDE)


def test_an_option_in_which_the_nodes_differ_is_a_decision() -> None:
    nodes = NODE.format("n1", 'domain="a" hash="sha1"') + NODE.format("n2", 'domain="b" hash="sha512"')
    found = convert(conf("", nodes, DEVICE.format("")), "x")
    assert found.devices[0].options == (("hash", "sha512"),)
    assert "the nodes differ in `hash`" in said(found, Weight.DECIDE)


def test_what_stood_at_one_node_alone_and_a_second_fence_xvmd_are_told() -> None:
    nodes = NODE.format("n1", 'domain="a" delay="5"') + NODE.format("n2", 'domain="b"')
    found = convert(conf('<fence_xvmd key_file="/a"/><fence_xvmd key_file="/b"/>', nodes, DEVICE.format("")), "x")
    assert found.devices[0].options == (("delay", "5"),)
    told = said(found, Weight.DECIDE)
    assert "`delay` stood at some nodes alone, and a device of Pacemaker has it for all: n2 too" in told
    assert 'pcmk_delay_base="NODE:5s;OTHER:0s"' in told
    assert "a second <fence_xvmd/> was never read" in said(found, Weight.DROPPED)
    assert str(multicast(found).key_files[0]) == "/a"


@pytest.mark.parametrize(
    ("shared", "own", "options", "weight", "text"),
    (
        ("", ('option="off"', 'action="OFF"'), (("pcmk_reboot_action", "off"),), Weight.KEPT, "`option = off` is"),
        ('action="off"', ("", ""), (("pcmk_reboot_action", "off"),), Weight.KEPT, "`action = off` is"),
        ('action="off"', ('action="reboot"',) * 2, (), Weight.KEPT, "`action = reboot` is what"),
        ("", ('action="off"', ""), (("pcmk_reboot_action", "off"),), Weight.DECIDE, "off is taken"),
        ("", ('action="null"', ""), (), Weight.DECIDE, "`action = null` fences nobody"),
    ),
)
def test_a_node_that_was_switched_off_is_not_rebooted_now(
    shared: str, own: tuple[str, str], options: tuple[tuple[str, str], ...], weight: Weight, text: str
) -> None:
    nodes = "".join(NODE.format(f"n{number}", f'domain="v{number}" {each}') for number, each in enumerate(own))
    found = convert(conf("", nodes, DEVICE.format(shared)), "x")
    assert found.devices[0].options == options
    assert text in said(found, weight)


def test_other_devices_and_delays_of_fenced_are_not_passed_over_in_silence() -> None:
    other = '<clusternode name="n2"><fence><method name="1"><device name="ipmi"/></method></fence></clusternode>'
    more = '<fence_daemon post_join_delay="3"/>'
    found = convert(conf("", NODE.format("n1", 'domain="a"') + other, DEVICE.format(""), more), "x")
    assert "other fence devices are left to you: ipmi" in said(found, Weight.DECIDE)
    assert "post_join_delay" in said(found, Weight.DROPPED)


@pytest.mark.parametrize(
    ("content", "why"),
    (
        (b"<cluster/>", "neither"),
        (b"<corosync/>", "no cluster.conf"),
        (b"<cluster>", "bad XML"),
        (b"", "bad XML"),
        (b'<!DOCTYPE c [<!ENTITY a "b">]><cluster/>', "DOCTYPE"),
        pytest.param(b"<cluster>" * 40, "too many", id="deep"),
        pytest.param(b"<cluster>" + b"<a/>" * 20001, "too many", id="long"),
        (b"<cluster>" + b" " * MAX_SOURCE, "more than"),
        (b'<cluster><fence_xvmd uri="a&quot;; } x { y = &quot;"/></cluster>', "quote or control"),
        (b'<cluster><clusternode name="a&#10;rm -rf /"/></cluster>', "quote or control"),
    ),
)
def test_xml_that_is_not_to_be_trusted_is_refused_with_its_reason(content: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        convert(content, "cluster.conf")


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_the_answer_is_a_conversion_or_a_source_error(content: bytes) -> None:
    with suppress(SourceError):
        assert convert(content, "x").remarks
