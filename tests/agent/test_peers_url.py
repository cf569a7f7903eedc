"""Which hosts a list of peers names."""

from __future__ import annotations

import pytest

from fencebus_agent.peers_url import PORT, Peer, find, parse
from fencebus_schemas.bus_url import BadBusUrl


def test_a_host_has_the_name_by_which_it_is_reached_unless_the_list_gives_it_one() -> None:
    assert parse("peers://hosta,hostb:7000, c@10.0.0.3 ,peers://d@[fd00::4]:1") == (
        Peer("hosta", "hosta", PORT),
        Peer("hostb", "hostb", 7000),
        Peer("c", "10.0.0.3", PORT),
        Peer("d", "fd00::4", 1),
    )


def test_a_list_is_shown_as_it_was_written_with_all_ports() -> None:
    assert [str(peer) for peer in parse("peers://a,c@10.0.0.3,d@[fd00::4]:1")] == [
        "a:1230",
        "c@10.0.0.3:1230",
        "d@[fd00::4]:1",
    ]


@pytest.mark.parametrize(
    ("url", "number", "said"),
    (
        ("", 1, "no host"),
        ("peers://", 1, "no host"),
        ("peers://a,", 2, "no host"),
        ("peers://a,amqp://b", 2, "has to begin with peers://"),
        ("peers://a:x", 1, "a port that is no number"),
        ("peers://a:70000", 1, "a port that is no number"),
        ("peers://a/v", 1, "nothing more"),
        ("peers://a:b@c", 1, "nothing more"),
        ("peers://a?x", 1, "nothing more"),
        ("peers://a,b,a@other", 3, "'a' is in the list twice"),
    ),
)
def test_what_is_no_list_of_hosts_is_refused(url: str, number: int, said: str) -> None:
    with pytest.raises(BadBusUrl) as caught:
        parse(url)
    assert caught.value.number == number
    assert said in str(caught.value)


def test_a_host_finds_itself_by_its_name_or_by_what_stands_before_the_first_dot() -> None:
    peers = parse("peers://hosta.example.org,hostb.example.org,b@10.0.0.2")
    assert find(peers, "hosta") == peers[0]
    assert find(peers, "hostb.example.org") == peers[1]
    assert find(peers, "b") == peers[2]


@pytest.mark.parametrize(
    ("url", "said"),
    (
        ("peers://a.one,a.two", "both 'a.one' and it could be this host"),
        ("peers://b,c", "none of these is this host, 'a'; write it as a@ADDRESS"),
        ("peers://a", "this host alone"),
    ),
)
def test_a_host_that_does_not_find_itself_or_nobody_else_is_told(url: str, said: str) -> None:
    with pytest.raises(BadBusUrl, match=said):
        find(parse(url), "a")
