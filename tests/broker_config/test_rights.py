"""What each kind of user may do, as regular expressions: a host in its own name alone, a watcher nothing at all."""

from __future__ import annotations

import re

import pytest

from fencebus_broker import rights
from fencebus_schemas.qmf2_classes import CLASSES
from fencebus_schemas.qmf2_names import LOCATE_KEY

TOPIC, DIRECT = "qmf.default.topic", "qmf.default.direct"
HOST = rights.of_host("host1", TOPIC, DIRECT)
WATCHER, OPERATOR = rights.of_watcher(TOPIC, DIRECT), rights.of_operator(TOPIC, DIRECT)


def may(expression: str, text: str, user: str = "host1") -> bool:
    """As RabbitMQ compares: anywhere, hence the marks of beginning and end in each expression."""
    return re.search(expression.replace("{username}", user), text) is not None


def own_keys(host: str) -> list[str]:
    """Everything to which a host's agent publishes."""
    name = rights.agent(host)
    told = [name.data_key(each.id.package, each.id.class_name) for each in CLASSES]
    return [
        name.heartbeat_key,
        *told,
        *(name.event_key(each.id.package, each.id.class_name, "warning") for each in CLASSES),
    ]


@pytest.mark.parametrize("key", (*own_keys("host1"), "fencebus.hosts", "direct-console.watcher.7"))
def test_a_host_says_what_an_agent_says(key: str) -> None:
    assert may(HOST.sends, key)


@pytest.mark.parametrize(
    "key",
    (
        *own_keys("host2"),
        *own_keys("host11"),
        LOCATE_KEY,
        "direct-agent.route.host2",
        "fencebus.hosts.x",
        "xfencebus.hosts",
    ),
)
def test_a_host_says_nothing_in_anothers_name(key: str) -> None:
    assert not may(HOST.sends, key)


def test_a_host_is_reached_by_its_own_addresses_alone() -> None:
    for pattern in ("fencebus.hosts", "console.#", "direct-agent.route.host1"):
        assert may(HOST.hears, pattern)
    for pattern in ("#", "*.#", "direct-agent.route.host2", "direct-agent.#", "agent.ind.#", "console.#.x"):
        assert not may(HOST.hears, pattern)


def test_nobody_makes_or_removes_an_exchange() -> None:
    for granted in (HOST, WATCHER, OPERATOR):
        assert may(granted.configure, "fencebus-0123456789abcdef")
        for name in (TOPIC, DIRECT, "amq.topic", "other", "fencebus-0123456789abcdef-x"):
            assert not may(granted.configure, name)


@pytest.mark.parametrize("granted", (WATCHER, OPERATOR), ids=["watcher", "operator"])
def test_consoles_cannot_write_where_hosts_take_commands(granted: rights.Rights) -> None:
    assert not may(granted.write, DIRECT)
    assert not may(granted.sends, "fencebus.hosts")
    assert all(not may(granted.sends, key) for key in own_keys("host1"))
    assert may(granted.sends, LOCATE_KEY)


def test_a_host_has_queues_by_its_programs_and_its_own_name() -> None:
    for name in ("fencebus", "fence_virtd on host1", "fencebus-agentd on host1"):
        for granted in (HOST.configure, HOST.write, HOST.read):
            assert may(granted, f"{name}-0123456789abcdef")
    assert not may(HOST.configure, "fence_virtd on host2-0123456789abcdef")


def test_only_a_host_on_amqp_1_0_has_queues_that_the_broker_names() -> None:
    modern, drawn = rights.of_host("host1", TOPIC, DIRECT, amqp1=True), "amq.gen-" + "aZ09_-" * 3 + "abcd"
    for right in ("configure", "write", "read"):
        assert may(getattr(modern, right), drawn)
        assert not may(getattr(modern, right), "amq.gen-x")
        assert not may(getattr(modern, right), f"x{drawn}")
        assert not may(getattr(modern, right), "amq.topic")
        assert not may(getattr(HOST, right), drawn)
    assert (modern.sends, modern.hears) == (HOST.sends, HOST.hears)


def test_a_watcher_reaches_no_single_agent_while_an_operator_does() -> None:
    assert not may(WATCHER.sends, "direct-agent.route.host1")
    assert may(OPERATOR.sends, "direct-agent.route.host1")


def test_a_console_has_an_address_by_its_own_name_and_no_other() -> None:
    assert may(WATCHER.hears, "direct-console.watcher.7", "watcher")
    assert not may(WATCHER.hears, "direct-console.op.7", "watcher")
    assert may(WATCHER.hears, "agent.ind.heartbeat.#")
    assert not may(WATCHER.hears, "direct-agent.#")


def test_a_link_fetches_and_sends_nothing() -> None:
    link = rights.of_link(TOPIC, DIRECT)
    assert may(link.read, TOPIC)
    assert not may(link.write, TOPIC)
    assert not may(link.sends, "fencebus.hosts")
    assert may(link.configure, "federation: qmf.default.topic -> rabbit@x")
