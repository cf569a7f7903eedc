"""Decides what each user of a RabbitMQ may do, so that nobody speaks for another, and who only looks cannot command.

Pure.  RabbitMQ compares regular expressions with names of queues and exchanges, and, on a topic exchange, with the
routing key of what is sent and with the pattern of what is bound.  On a direct exchange it does not look at keys:
whoever may write there may write to everybody, so only hosts may, and what they say there is signed with the bus key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fencebus_schemas.qmf2_names import LOCATE_KEY, TO_AGENTS, AgentName

DRAWN = "[0-9a-f]{16}"
OWN_QUEUES = f"fencebus-{DRAWN}"
"""What our clients call their queues; each is exclusive, so that no other connection reads it."""
PROGRAMS = ("fence_virtd", "fencebus-agentd")
"""What runs on hosts, and calls its queues after itself and its host."""
DRAWN_BY_BROKER = r"amq\.gen-[A-Za-z0-9_-]{22}"
"""What RabbitMQ calls the queue behind a link of AMQP 1.0.  No client may ask for a name that begins so: whoever has
this right has its own queues by it, which are exclusive as all of ours are.
"""
TO_ALL_HOSTS = r"fencebus\.hosts"
LINKS = r"federation: .*"
"""What RabbitMQ's own federation calls its queues and exchanges at the other broker."""
NOTHING = "^$"
_WORD = r"[^.]+"


@dataclass(frozen=True, slots=True)
class Rights:
    """Regular expressions, as RabbitMQ's permissions and topic permissions take them."""

    configure: str
    write: str
    read: str
    sends: str
    """Keys to which it may send on the topic exchange."""
    hears: str
    """Patterns that it may bind there."""


def agent(host: str) -> AgentName:
    """The QMF agent of a host."""
    return AgentName("fencebus", "libvirt-qmf", host)


def of_host(host: str, topic: str, direct: str, amqp1: bool = False) -> Rights:
    """A host talks to all hosts and to consoles; as an agent it speaks in its own name alone, and is reached by it.

    With ``amqp1`` it speaks AMQP 1.0, where the broker names the queues.
    """
    exchanges = (re.escape(topic), re.escape(direct))
    own, ends = agent(host), re.escape(agent(host).key)
    named = rf"({'|'.join(PROGRAMS)}) on {re.escape(host)}-{DRAWN}"
    queues = (OWN_QUEUES, DRAWN_BY_BROKER if amqp1 else named)
    return Rights(
        _any(*queues),
        _any(*queues, *exchanges),
        _any(*queues, *exchanges),
        _any(
            TO_ALL_HOSTS,
            rf"agent\.ind\.heartbeat\.{ends}",
            rf"agent\.ind\.data\.{_WORD}\.{_WORD}\.{ends}",
            rf"agent\.ind\.event\.{_WORD}\.{_WORD}\.{_WORD}\.{ends}",
            r"direct-console\..*",
        ),
        _any(TO_ALL_HOSTS, re.escape(TO_AGENTS), re.escape(own.direct_subject)),
    )


def of_watcher(topic: str, direct: str) -> Rights:
    """It looks for agents, and hears what they tell; nothing that it sends reaches one host alone."""
    return _console(topic, direct, re.escape(LOCATE_KEY))


def of_operator(topic: str, direct: str) -> Rights:
    """It also asks single agents; a query and a call go to the same key, so the agent decides about calls."""
    return _console(topic, direct, re.escape(LOCATE_KEY), rf"direct-agent\.route\.{_WORD}")


def of_link(topic: str, direct: str) -> Rights:
    """The other broker fetches what is bound there, and sends nothing."""
    return Rights(_any(LINKS), _any(LINKS), _any(LINKS, re.escape(topic), re.escape(direct)), NOTHING, ".*")


def _console(topic: str, direct: str, *sends: str) -> Rights:
    return Rights(
        _any(OWN_QUEUES),
        _any(OWN_QUEUES, re.escape(topic)),
        _any(OWN_QUEUES, re.escape(topic), re.escape(direct)),
        _any(*sends),
        _any(r"agent\.ind\..*", r"direct-console\.{username}\..*"),
    )


def _any(*patterns: str) -> str:
    """One expression that any of these fulfils, from its beginning to its end."""
    return f"^({'|'.join(patterns)})$"
