"""Events are numbered and kept; who follows gets each, and who is too slow is told so. What runs is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fencebus_host.control_events import KEPT, QUEUE, Events
from fencebus_host.control_parts import PartNews
from fencebus_host.control_requests import GRACE, NOBODY, Requests
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import FenceOutcome, Reason
from fencebus_schemas.status import EventKind, EventStatus
from tests.host_agent.evidence import RECEIVED, ended, request


def noon() -> float:
    return 1e9


async def test_events_are_numbered_and_the_last_are_kept() -> None:
    events = Events(noon)
    for number in range(KEPT + 5):
        events.happened(EventKind.VM_CHANGED, str(number), vm="u")
    assert [(event.number, event.text, event.at) for event in events.last(2)] == [
        (KEPT + 4, str(KEPT + 3), 1e9),
        (KEPT + 5, str(KEPT + 4), 1e9),
    ]
    assert len(events.last(2 * KEPT)) == KEPT
    assert events.last(0) == ()


async def test_who_follows_gets_what_was_kept_and_then_each_as_it_comes() -> None:
    events = Events(noon)
    for text in "abc":
        events.happened(EventKind.VM_CHANGED, text)
    following, resuming = events.follow(most=1), events.follow(after=1)
    assert (await anext(following)).text == "c"
    assert [(await anext(resuming)).text for _ in "bc"] == ["b", "c"]
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    events.happened(EventKind.VM_GONE, "d")
    assert (await waiting).text == (await anext(resuming)).text == "d"
    await following.aclose()
    await resuming.aclose()
    assert events._followers == set()


async def test_who_is_too_slow_is_told_that_some_are_lost() -> None:
    events = Events(noon)
    following = events.follow()
    first = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    events.tell(EventStatus(0, 1.0, EventKind.VM_CHANGED, str(number)) for number in range(QUEUE + 1))
    seen = [await first, await anext(following)]
    assert [event.kind for event in seen] == [EventKind.EVENTS_LOST, EventKind.VM_CHANGED]
    assert seen[1].text == str(QUEUE)
    await following.aclose()


@dataclass
class Part:
    """A part of a daemon."""

    name: str
    trouble: str | None = None


def test_a_part_that_fails_works_or_closes_is_news_once() -> None:
    events = Events(noon)
    tcp, router = Part("listener tcp", "port in use"), Part("router")
    parts = [router, tcp]
    news = PartNews(lambda: parts, events)
    news.changed()
    news.changed()
    tcp.trouble = None
    news.changed()
    parts.remove(tcp)
    news.changed()
    assert [(event.kind, event.text) for event in events.last(10)] == [
        (EventKind.PART_CHANGED, "router: works"),
        (EventKind.PART_CHANGED, "listener tcp: port in use"),
        (EventKind.PART_CHANGED, "listener tcp: works"),
        (EventKind.PART_CHANGED, "listener tcp: closed"),
    ]


def test_a_power_action_runs_from_its_acceptance_to_its_answer() -> None:
    events = Events(noon)
    requests = Requests(events, lambda: RECEIVED + 2, noon)
    asked = request(target="vm")
    requests.accepted(asked)
    (running,) = requests.running
    assert (running.id, running.action, running.seconds, running.at) == (asked.id, "off", 2.0, 1e9 - 2)
    requests.answered(asked, FenceOutcome(asked.id, False, Reason.NOT_PROVEN, (ended(),), "it lives"), 2.5)
    assert requests.running == ()
    told = [(event.kind, event.text, event.request) for event in events.last(2)]
    assert told == [
        (EventKind.FENCE_ACCEPTED, "off of vm asked by 192.0.2.7 via tcp", asked.id),
        (EventKind.FENCE_FINISHED, "off of vm FAILED after 2.50 s: not-proven: it lives", asked.id),
    ]


def test_a_request_that_is_never_answered_is_forgotten_after_its_deadline() -> None:
    now = [RECEIVED]
    requests = Requests(Events(noon), lambda: now[0], noon)
    asked = request(deadline=Deadline(RECEIVED + 5))
    requests.accepted(asked)
    now[0] = RECEIVED + 5 + GRACE + 1
    assert requests.running == ()
    NOBODY.accepted(asked)
    NOBODY.answered(asked, FenceOutcome(asked.id, True, Reason.PROVEN_OFF), 1.0)
