"""Worlds made for single clauses: where the default world masks what a clause is needed for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from tests.sim.generating import Draft, duel, fault
from tests.sim.happening import Happening, Kind
from tests.sim.plan import Plan, VmPlan

World = Callable[[Draft], None]


def ask(
    draft: Draft, at: float, host: int, action: str = "OFF", span: float = 9.0, vm: int = 0, source: int = -1
) -> int:
    """A request about one of the first two VMs."""
    draft.numbers += 1
    ask_ = Happening(at, Kind.ASK, host, 0, vm, span, number=draft.numbers, action=action, source=source)
    draft.add(replace(ask_, request=draft.request()))
    return draft.numbers


def _again(draft: Draft, at: float, host: int, number: int) -> None:
    draft.add(Happening(at, Kind.ASK_AGAIN, host, number=number, request=draft.request()))


def travelling(draft: Draft) -> None:
    """The VM never rests, looks are slow, and requests come in between; some hosts forget their guards."""
    rng, at = draft.rng, 6.0
    for host in range(draft.hosts):
        if rng.random() < 0.6:
            rate = rng.choice((0.05, 0.2, 0.6))
            draft.add(Happening(5.0, Kind.SLOW_DRIVER, host, span=40.0, rate=rate))
    while at < 26.0:
        end = rng.choice(("", "", "post-copy"))
        span = rng.choice((0.03, 0.06, 0.15))
        draft.add(Happening(at, Kind.MIGRATE, 0, draft.host(), 0, span, float(rng.random() < 0.5), end=end))
        at += rng.uniform(0.1, 1.2)
        if rng.random() < 0.2:
            ask(draft, at + rng.random() * 0.5, draft.host(), span=6.0)
        if rng.random() < 0.15:
            draft.add(Happening(at, Kind.START, draft.host()))
        if rng.random() < 0.1:
            draft.add(Happening(at, Kind.DAEMON_CRASH, draft.host(), span=rng.uniform(0.05, 0.6)))


def saving(draft: Draft) -> None:
    """Saved, asked for, restored."""
    rng, at = draft.rng, draft.when(0.5)
    draft.add(Happening(at, Kind.SAVE, 0, span=0.3))
    ask(draft, at + rng.uniform(0.0, 3.0), draft.host())
    draft.add(Happening(at + rng.uniform(1.0, 8.0), Kind.RESTORE, 0))
    draft.add(Happening(at + rng.uniform(0.0, 2.0), Kind.SLOW_DRIVER, 0, span=9.0, rate=2.5))


def alone(draft: Draft) -> None:
    """A host without a state folder, cut off: the VM ends there and is started elsewhere."""
    at = draft.when(0.4)
    draft.add(Happening(at, Kind.PARTITION, span=30.0, mask=(0,)))
    draft.add(Happening(at + 0.5, Kind.WIPE, 0, span=0.3))
    draft.add(Happening(at + 2.0, Kind.SHUT, 0))
    draft.add(Happening(at + 3.0, Kind.START, 1))
    ask(draft, at + 4.0 + draft.rng.random(), 0)


def twins(draft: Draft) -> None:
    """A second machine of one name has the VM; the other of that name denies it."""
    rng, at = draft.rng, draft.when(0.3)
    draft.add(Happening(at, Kind.SHUT, 0))
    draft.add(Happening(at + 1.0, Kind.TWIN, draft.hosts, 2))
    draft.add(Happening(at + rng.uniform(1.5, 6.0), Kind.CLONE, draft.hosts))
    draft.add(Happening(at + 2.0, Kind.LOSS, span=20.0, rate=0.5))
    for _ in range(3):
        ask(draft, at + rng.uniform(4.0, 9.0), 1)


def repeated(draft: Draft) -> None:
    """A reboot that comes again at a host that does not know of the first, once its owner was restarted."""
    rng, at = draft.rng, draft.when(0.5)
    number = ask(draft, at, 1, "REBOOT")
    if rng.random() < 0.5:
        draft.add(Happening(at + rng.uniform(0.02, 2.0), Kind.ONE_WAY, 1, 2, span=20.0))
    else:
        draft.add(Happening(at + rng.uniform(0.1, 0.5), Kind.DAEMON_CRASH, 2, span=rng.uniform(0.3, 1.0)))
    draft.add(Happening(at + rng.uniform(0.02, 2.5), Kind.DAEMON_CRASH, 0, span=rng.uniform(0.1, 0.6)))
    _again(draft, at + rng.uniform(0.0, 6.0), 2, number)


def copies(draft: Draft) -> None:
    """Split brain: copies that migrate to each other's hosts while they are fenced."""
    rng, at = draft.rng, draft.when(0.5)
    draft.add(Happening(at - 1.0, Kind.CLONE, 1))
    ask(draft, at, 2, rng.choice(("OFF", "REBOOT")))
    draft.add(Happening(at - 2.0, Kind.SLOW_DRIVER, 2, span=10.0, rate=rng.choice((0.05, 0.6))))
    for _ in range(3):
        start = at + rng.uniform(-0.5, 0.3)
        draft.add(Happening(start, Kind.MIGRATE, rng.randrange(2), rng.randrange(3), 0, 0.03, 1.0))
    if rng.random() < 0.5:
        draft.add(Happening(at - 1.5, Kind.ONE_WAY, 1, 2, span=rng.uniform(1.6, 3.0)))


def regained(draft: Draft) -> None:
    """The VM is started again while its fence still waits for a word, and is fenced once more."""
    rng, at = draft.rng, draft.when(0.5)
    draft.add(Happening(at - 0.2, Kind.ONE_WAY, 2, 1, span=5.0))
    ask(draft, at, 1)
    draft.add(Happening(at + rng.uniform(0.02, 0.1), Kind.ONE_WAY, 0, 1, span=5.0))
    draft.add(Happening(at + rng.uniform(0.03, 0.3), Kind.START, 0))
    ask(draft, at + rng.uniform(0.2, 0.5), 1)


def crossing(draft: Draft) -> None:
    """The VM goes from a host whose daemon is dead to one that has just denied it."""
    rng, at = draft.rng, draft.when(0.5)
    away = rng.uniform(1.5, 3.0)
    draft.add(Happening(at - away, Kind.DAEMON_CRASH, 0, span=away))
    # Who knew the owner would send it an order, whose answer begins the rounds again.
    draft.add(Happening(at - away + 0.1, Kind.WIPE, 1, span=0.2))
    draft.add(Happening(at - rng.uniform(0.1, 0.6), Kind.MIGRATE, 0, 2, 0, 0.03, 1.0))
    draft.add(Happening(at - 4.0, Kind.LATE_EVENTS, 2, span=20.0, rate=1.0))
    ask(draft, at - rng.random(), 1)


def held(draft: Draft) -> None:
    """Orders that are held on their way, at a dead daemon or a stopped one, and VMs that were started since."""
    rng = draft.rng
    for _ in range(3):
        at = draft.when(0.6)
        number = ask(draft, at, 1, rng.choice(("OFF", "REBOOT")), 3.0)
        draft.add(Happening(at - 1.0, Kind.LATE, span=3.0, rate=0.5))
        if rng.random() < 0.5:
            draft.add(Happening(at + 0.003 * rng.random(), Kind.FREEZE, 0, span=rng.uniform(1.0, 6.0)))
        if rng.random() < 0.5:
            draft.add(Happening(at - 0.1, Kind.SLOW_DRIVER, 0, span=6.0, rate=rng.choice((2.5, 5.0))))
        if rng.random() < 0.5:
            draft.add(Happening(at + rng.random() * 0.05, Kind.GIVE_UP, number=number))
        draft.add(Happening(at + rng.uniform(0.5, 5.0), Kind.START, 0))


def started(draft: Draft) -> None:
    """Starts through two coordinators, slow and out of order, beside an administrator's."""
    rng, at = draft.rng, draft.when(0.5)
    draft.add(Happening(at - 2.0, Kind.SHUT, 0))
    draft.add(Happening(at - 0.5, Kind.REORDER, span=12.0, rate=rng.choice((0.05, 0.3, 1.0))))
    draft.add(Happening(at - 0.5, Kind.SLOW_DRIVER, 0, span=12.0, rate=rng.choice((0.1, 0.6, 1.5))))
    for host in (1, 2):
        ask(draft, at + rng.random() * 0.3, host, "ON")
    if rng.random() < 0.3:
        draft.add(Happening(at + rng.random(), Kind.START, 1))


def shooting(draft: Draft) -> None:
    """Duels while messages are lost and late, guests migrate and daemons restart."""
    rng = draft.rng
    for _ in range(3):
        duel(draft)
    for each in [each for each in draft.happenings if each.kind is Kind.ASK]:
        if rng.random() < 0.4:
            draft.add(
                Happening(each.at - rng.random(), Kind.ONE_WAY, draft.host(), draft.host(), span=rng.uniform(0.5, 6.0))
            )
        if rng.random() < 0.3:
            moment = each.at + rng.uniform(-1.0, 0.3)
            draft.add(Happening(moment, Kind.MIGRATE, 0, draft.host(), rng.randrange(2), 0.03, 1.0))
        if rng.random() < 0.3:
            draft.add(Happening(each.at - rng.random(), Kind.DAEMON_CRASH, draft.host(), span=rng.uniform(0.02, 0.4)))
        if rng.random() < 0.3:
            draft.add(Happening(each.at - rng.random(), Kind.SLOW_DRIVER, draft.host(), span=4.0, rate=0.6))
    draft.add(Happening(2.0, Kind.LOSS, span=40.0, rate=rng.choice((0.0, 0.1, 0.4))))


def unrecorded(draft: Draft) -> None:
    """The owner's disk is full, and it is asked for again and again."""
    at = draft.when(0.3)
    draft.add(Happening(at - 1.0, Kind.FULL_DISK, 0, span=30.0))
    for number in range(3):
        ask(draft, at + 6.0 * number, draft.host(), span=6.0)


def named(draft: Draft) -> None:
    """Requests by name at daemons that have just begun, and know of others only that they are there."""
    for _ in range(4):
        at, host = draft.when(), draft.host()
        draft.add(Happening(at, Kind.WIPE, host, span=0.2))
        ask(draft, at + draft.rng.uniform(0.2, 1.0), host)
        draft.happenings.append(replace(draft.happenings.pop(), by_name=True))
        draft.add(Happening(at - 0.5, Kind.ONE_WAY, draft.host(), host, span=2.0))


def homonyms(draft: Draft) -> None:
    """Two VMs of one name, and a daemon that has just begun, to which nothing comes from the host of the one meant."""
    draft.alike = True
    for _ in range(3):
        at = draft.when()
        draft.add(Happening(at, Kind.WIPE, 2, span=0.2))
        draft.add(Happening(at - 0.5, Kind.ONE_WAY, 0, 2, span=draft.rng.uniform(1.0, 9.0)))
        ask(draft, at + draft.rng.uniform(0.3, 7.0), 2)
        draft.happenings.append(replace(draft.happenings.pop(), by_name=True))


def make(world: World, seed: int, wanted: Sequence[Kind] = ()) -> Plan:
    """The schedule of a seed in that world; ``wanted`` faults are in it, too."""
    rng = Random(seed)
    draft = Draft(rng, rng.choice((3, 3, 4)), 1, 1, 2, 30.0)
    world(draft)
    configured = world is not alone and rng.random() < 0.8
    for kind in wanted:
        fault(draft, kind, draft.when(0.6))
    vms = (VmPlan(0, "vm1", defined=(1,)), VmPlan(1, "vm2"))
    if draft.alike:
        vms = (VmPlan(0, "vm1"), VmPlan(1, "vm1"))
    happenings = tuple(sorted(draft.happenings, key=lambda each: each.at))
    plan = Plan(seed, draft.hosts, vms, happenings, 1, 1, configured, length=48.0)
    cluster = any(each.kind is Kind.FENCED for each in happenings)
    return replace(plan, cluster=cluster, agents=draft.agents, counted=draft.counted)
