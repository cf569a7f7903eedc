"""What a site's description means, and what is wrong with one."""

from __future__ import annotations

import pytest

from fencebus_broker.site import Broker, SiteError, site


def test_three_hosts_alone_have_a_cluster_on_themselves() -> None:
    found = site("a,b,c,d")
    assert [broker.name for broker in found.brokers] == ["rabbit@a", "rabbit@b", "rabbit@c"]
    assert found.clustered


def test_two_hosts_alone_have_one_broker_as_a_cluster_of_two_has_no_majority() -> None:
    found = site("a,b")
    assert [broker.address for broker in found.brokers] == ["a"]
    assert not found.clustered


def test_two_hosts_that_are_to_be_federated_have_a_broker_each() -> None:
    found = site("a,b", federated=True)
    assert [broker.address for broker in found.brokers] == ["a", "b"]
    assert not found.clustered


@pytest.mark.parametrize(
    ("text", "broker"),
    (
        ("b1", Broker("b1")),
        ("b1.example.org:5673", Broker("b1.example.org", 5673)),
        ("first@b1:5673", Broker("b1", 5673, "first")),
        ("[2001:db8::1]", Broker("2001:db8::1")),
        ("[2001:db8::1]:5673", Broker("2001:db8::1", 5673)),
        ("192.0.2.1:1", Broker("192.0.2.1", 1)),
    ),
)
def test_a_broker_is_an_address_and_perhaps_a_port_and_a_node(text: str, broker: Broker) -> None:
    assert site("a", text).brokers == (broker,)


def test_an_ipv6_address_stands_in_brackets_in_a_url() -> None:
    assert Broker("2001:db8::1", 5673).location == "[2001:db8::1]:5673"
    assert Broker("b1").location == "b1:5671"


def test_a_host_tries_its_own_machines_broker_first_and_then_the_others_in_turn() -> None:
    found = site("a,b,c", "c.example.org,b,a")
    assert [broker.address for broker in found.brokers_of("c")] == ["c.example.org", "b", "a"]
    assert [broker.address for broker in found.brokers_of("a")] == ["a", "c.example.org", "b"]


def test_hosts_without_a_broker_of_their_own_share_the_brokers() -> None:
    found = site("a,b,c", "x,y", federated=True)
    assert [found.brokers_of(host)[0].address for host in "abc"] == ["x", "y", "x"]
    assert found.brokers_of("watcher")[0].address == "x"


def test_who_is_to_speak_amqp_1_0_is_one_of_the_hosts() -> None:
    assert site("a,b", amqp1="b").amqp1 == ("b",)
    with pytest.raises(SiteError, match=r"c is to speak AMQP 1\.0, and is none of the hosts"):
        site("a,b", amqp1="b,c")


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SiteError) as caught:
        site("a.b,a,a", "x:0,y z,q!@w,[::g]", domain="", watchers="a", operators="-")
    assert len(caught.value.problems) == 8
    for part in ("'a.b'", "'0'", "'y z'", "'q!'", "'[::g]'", "''", "'-'", "user a is named twice", "no host's id"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("hosts", "brokers", "federated", "said"),
    (
        ("", "x", False, "no host"),
        ("a", "x", True, "two brokers at least"),
        ("a", "x,y", False, "neither can outvote"),
        ("a", "x,x,y", False, "broker rabbit@x is named twice"),
    ),
)
def test_what_could_not_work_is_refused(hosts: str, brokers: str, federated: bool, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        site(hosts, brokers, federated=federated)
