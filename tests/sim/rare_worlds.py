"""Worlds for clauses that need a long chain of coincidences: each world brings most of the chain about."""

from __future__ import annotations

from tests.sim.generating import Draft
from tests.sim.happening import Happening, Kind
from tests.sim.plan import ALONE, OUTSIDE
from tests.sim.worlds import ask

OWNER, ASKED, HOP, LAST = 0, 1, 2, 3
"""Hosts of a travel: where the VM is, who coordinates its fence, where it comes by, where it ends."""


def _unknown_owner(draft: Draft, back: float) -> float:
    """The daemon of the VM's host is dead until ``back`` seconds after the fence, and who is asked for it has lost what
    it knew: it orders nothing to the owner, which would begin the rounds again.  Returns when the fence is.
    """
    at = 3.0 + draft.when(0.4)
    draft.add(Happening(at - 3.0, Kind.DAEMON_CRASH, OWNER, span=3.0 + back))
    draft.add(Happening(at - 2.5, Kind.WIPE, ASKED, span=0.2))
    return at


def dodging(draft: Draft) -> None:
    """The VM dodges every look: it leaves its owner, and passes a host between that host's two denials, each behind a
    dead daemon; it reaches its last host after that one's second denial, and nobody hears the word of it.
    """
    draft.hosts = 4
    rng = draft.rng
    back = rng.uniform(0.6, 1.2)
    at = _unknown_owner(draft, back)
    ask(draft, at, ASKED)
    down = rng.uniform(0.02, 0.2)
    draft.add(Happening(at + down, Kind.DAEMON_CRASH, HOP, span=back + rng.uniform(0.6, 1.6)))
    draft.add(Happening(at + down + 0.02, Kind.MIGRATE, OWNER, HOP, 0, 0.03, 1.0))
    cut = back + rng.uniform(0.05, 0.6)
    draft.add(Happening(at + cut, Kind.ONE_WAY, LAST, ASKED, span=20.0))
    draft.add(Happening(at + cut + rng.uniform(0.0, 0.2), Kind.MIGRATE, OWNER, LAST, 0, 0.03, 1.0))


def visiting(draft: Draft) -> None:
    """As ``dodging``, but the daemon of the host in between lives and cannot be heard; a copy that came and went there
    is the last that it saw.
    """
    _visit(draft)


def _visit(draft: Draft) -> float:
    """Returns when the fence is."""
    draft.hosts = 4
    rng = draft.rng
    back = rng.uniform(0.8, 1.2)
    at = _unknown_owner(draft, back)
    ask(draft, at, ASKED)
    hidden = rng.uniform(0.02, 0.1)
    left = back + rng.uniform(0.2, 0.7)
    draft.add(Happening(at + hidden, Kind.ONE_WAY, HOP, ASKED, span=left - hidden + rng.uniform(0.7, 1.2)))
    draft.add(Happening(at + hidden + 0.02, Kind.MIGRATE, OWNER, HOP, 0, 0.03, 1.0))
    draft.add(Happening(at + left - rng.uniform(0.0, 0.1), Kind.ONE_WAY, LAST, ASKED, span=20.0))
    draft.add(Happening(at + left, Kind.MIGRATE, OWNER, LAST, 0, 0.03, 1.0))
    copied = left + 0.25
    draft.add(Happening(at + copied, Kind.CLONE, HOP))
    draft.add(Happening(at + copied + 0.1, Kind.SHUT, rng.randrange(2)))
    return at


def echoing(draft: Draft) -> None:
    """As ``visiting``, but the host in between has just killed a copy of its own, for another request."""
    at = _visit(draft)
    draft.add(Happening(at - 2.2, Kind.CLONE, HOP))
    ask(draft, at - draft.rng.uniform(1.3, 1.6), LAST)


def resounding(draft: Draft) -> None:
    """As ``echoing``, but that was a while before; the VM was started again where it had been."""
    at = _visit(draft)
    draft.add(Happening(at - 5.8, Kind.CLONE, HOP))
    ask(draft, at - draft.rng.uniform(5.3, 5.6), LAST)
    draft.add(Happening(at - 4.0, Kind.START, OWNER))


def unheard(draft: Draft) -> None:
    """As ``dodging``, but the daemon of the host in between lives, and has lost its libvirt while the VM comes by."""
    draft.hosts = 4
    rng = draft.rng
    back = rng.uniform(0.6, 1.2)
    at = _unknown_owner(draft, back)
    ask(draft, at, ASKED)
    down, cut = rng.uniform(0.02, 0.2), back + rng.uniform(0.05, 0.6)
    draft.add(Happening(at + down, Kind.DEAF, HOP, span=cut - down + rng.uniform(0.3, 1.2)))
    draft.add(Happening(at + down + 0.02, Kind.MIGRATE, OWNER, HOP, 0, 0.03, 1.0))
    draft.add(Happening(at + cut, Kind.ONE_WAY, LAST, ASKED, span=20.0))
    draft.add(Happening(at + cut + rng.uniform(0.0, 0.2), Kind.MIGRATE, OWNER, LAST, 0, 0.03, 1.0))


def hushed(draft: Draft) -> None:
    """The kill of a VM takes its time, in which the VM migrates, and libvirt cannot be heard."""
    draft.hosts = 4
    rng, at = draft.rng, draft.when(0.4)
    draft.add(Happening(at - 1.0, Kind.SLOW_EXIT, OWNER, span=9.0, rate=0.5))
    ask(draft, at, ASKED)
    draft.add(Happening(at + 0.04, Kind.DEAF, OWNER, span=rng.uniform(0.8, 1.6)))
    draft.add(Happening(at + 0.05, Kind.ONE_WAY, LAST, ASKED, span=20.0))
    draft.add(Happening(at + 0.05, Kind.MIGRATE, OWNER, LAST, 0, rng.uniform(0.1, 0.18), 1.0))


def attested(draft: Draft) -> None:
    """A fence is done; then a second copy comes by from a host that was cut off, just as the same request arrives at
    another coordinator, which has not heard of the outcome.
    """
    draft.hosts = 4
    rng, at = draft.rng, draft.when(0.4)
    draft.add(Happening(at - 3.0, Kind.CLONE, LAST))
    draft.add(Happening(at - 2.0, Kind.PARTITION, span=3.0, mask=(LAST,)))
    number = ask(draft, at, ASKED, span=14.0)
    draft.add(Happening(at - 0.5, Kind.ONE_WAY, ASKED, HOP, span=20.0))
    draft.add(Happening(at - 0.5, Kind.ONE_WAY, LAST, HOP, span=30.0))
    comes = at + rng.uniform(1.2, 2.0)
    draft.add(Happening(comes, Kind.MIGRATE, LAST, OWNER, 0, 0.03, 1.0))
    again = comes + rng.uniform(0.2, 0.6)
    draft.add(Happening(again, Kind.ASK_AGAIN, HOP, number=number, request=draft.request()))
    draft.add(Happening(again + rng.uniform(-0.25, 0.05), Kind.MIGRATE, OWNER, LAST, 0, 0.03, 1.0))


def belated(draft: Draft) -> None:
    """A second copy reaches a host whose denial is still on its way: the word of the copy overtakes it, and is the last
    that is heard from there.  The host from which it came is heard only once it has left; the owner's kill is slow.
    """
    draft.hosts = 4
    rng, at = draft.rng, 1.0 + draft.when(0.4)
    draft.add(Happening(at - 3.5, Kind.ONE_WAY, LAST, ASKED, span=3.83))
    draft.add(Happening(at - 3.0, Kind.CLONE, LAST))
    draft.add(Happening(at - 1.0, Kind.SLOW_EXIT, OWNER, span=9.0, rate=0.35))
    draft.add(Happening(at - 0.01, Kind.ONE_WAY, OWNER, ASKED, span=0.52))
    ask(draft, at, ASKED)
    draft.add(Happening(at + 0.005, Kind.REORDER, span=0.03, rate=0.3))
    draft.add(Happening(at + 0.03, Kind.ONE_WAY, ASKED, HOP, span=20.0))
    draft.add(Happening(at + 0.04, Kind.MIGRATE, LAST, HOP, 0, 0.03, 1.0))
    draft.add(Happening(at + rng.uniform(0.12, 0.2), Kind.ONE_WAY, HOP, ASKED, span=20.0))


def parting(draft: Draft) -> None:
    """A second copy that all know of leaves its host before that one is heard, for a host that has denied it and cannot
    be heard any more; the owner's kill takes a moment.
    """
    draft.hosts = 4
    rng, at = draft.rng, 1.0 + draft.when(0.4)
    draft.add(Happening(at - 3.0, Kind.CLONE, LAST))
    draft.add(Happening(at - 1.0, Kind.SLOW_EXIT, OWNER, span=9.0, rate=rng.choice((0.05, 0.1, 0.2))))
    draft.add(Happening(at - 0.05, Kind.ONE_WAY, LAST, ASKED, span=rng.uniform(0.3, 0.5)))
    ask(draft, at, ASKED)
    draft.add(Happening(at + 0.03, Kind.MIGRATE, LAST, HOP, 0, 0.03, 1.0))
    draft.add(Happening(at + 0.03, Kind.ONE_WAY, HOP, ASKED, span=20.0))


def candidates(draft: Draft) -> None:
    """Two coordinators that know of different last owners start the VM at once."""
    rng, at = draft.rng, draft.when(0.3)
    draft.add(Happening(at, Kind.SHUT, 0))
    draft.add(Happening(at + 0.5, Kind.ONE_WAY, 1, 2, span=2.0))
    draft.add(Happening(at + 1.0, Kind.START, 1))
    draft.add(Happening(at + 1.5, Kind.SHUT, 1))
    if rng.random() < 0.5:
        draft.add(Happening(at + 8.0, Kind.REORDER, span=9.0, rate=rng.choice((0.01, 0.05, 0.3))))
    draft.add(Happening(at + 8.0, Kind.SLOW_DRIVER, 0, span=9.0, rate=rng.choice((0.02, 0.1, 0.6))))
    for host in (1, 2):
        ask(draft, at + 9.0 + rng.random() * rng.choice((0.005, 0.05, 0.3)), host, "ON")


def restarting(draft: Draft) -> None:
    """A duel, and the host of one of both forgets, by a restart, what its guest has asked for."""
    rng, at = draft.rng, draft.when(0.5)
    spread = rng.choice((0.004, 0.01, 0.03))
    draft.add(Happening(at - 2.0, Kind.REORDER, span=12.0, rate=spread))
    draft.add(Happening(at - 2.0, Kind.SLOW_DRIVER, 0, span=12.0, rate=rng.choice((0.1, 0.2, 0.4))))
    ask(draft, at, rng.choice((0, 2)), source=1)
    ask(draft, at + rng.uniform(-0.5, 1.0) * spread, 2, vm=1, source=0)
    draft.add(Happening(at + spread * rng.uniform(0.5, 2.0), Kind.DAEMON_CRASH, 1, span=rng.uniform(0.01, 0.1)))


def lapsed(draft: Draft) -> None:
    """A duel in which the guard of the one lapses at its guest's host just before its order is carried out, and the
    other's order comes just after.
    """
    draft.hosts = 4
    rng, at = draft.rng, draft.when(0.4)
    ask(draft, at, 2, source=1)
    draft.add(Happening(at + 0.05, Kind.ONE_WAY, 2, 1, span=12.0))
    rival = at + rng.uniform(1.45, 1.9)
    draft.add(Happening(at, Kind.ONE_WAY, 2, 0, span=rival - at + rng.uniform(0.0, 0.3)))
    draft.add(Happening(rival - 0.2, Kind.ONE_WAY, 3, 1, span=at + 2.02 - rival + 0.2))
    ask(draft, rival, 3, vm=1, source=0)


def returned(draft: Draft) -> None:
    """A host was fenced, came back outside its cluster, without our daemon, and has started its VMs: only then it is
    asked for them.
    """
    rng, at = draft.rng, draft.when(0.3)
    action = rng.choice(("OFF", "REBOOT"))
    back = rng.uniform(1.0, 4.0)
    draft.add(Happening(at, Kind.FENCED, OWNER, span=back, rate=1.0, action=action, end=ALONE))
    for _ in range(2):
        ask(draft, at + 1.5 + back + rng.uniform(0.0, 8.0), rng.choice((ASKED, HOP)), span=14.0)


def silenced(draft: Draft) -> None:
    """A host was fenced, came back outside its cluster, was heard, and has started its VMs: then its daemon dies."""
    rng, at = draft.rng, draft.when(0.3)
    back = rng.uniform(1.0, 3.0)
    draft.add(Happening(at, Kind.FENCED, OWNER, span=back, rate=1.0, action="OFF", end=OUTSIDE))
    ends = at + back + rng.uniform(3.0, 6.0)
    draft.add(Happening(ends, Kind.DAEMON_CRASH, OWNER, span=30.0))
    ask(draft, ends + rng.uniform(0.0, 3.0), ASKED, span=14.0)


def revenant(draft: Draft) -> None:
    """As ``dodging``, but the host in between is found dead in both rounds, and lives between them, unheard."""
    draft.hosts, draft.agents = 4, True
    rng = draft.rng
    back = rng.uniform(1.7, 2.0)
    at = _unknown_owner(draft, back)
    draft.add(Happening(at - 0.6, Kind.ONE_WAY, HOP, ASKED, span=40.0))
    draft.add(Happening(at - 0.5, Kind.HOST_CRASH, HOP, span=0.5 + rng.uniform(1.15, 1.3)))
    ask(draft, at, ASKED, span=14.0)
    draft.add(Happening(at + rng.uniform(1.35, 1.45), Kind.MIGRATE, OWNER, HOP, 0, 0.03, 1.0))
    cut = back + rng.uniform(0.0, 0.7)
    draft.add(Happening(at + cut, Kind.ONE_WAY, LAST, ASKED, span=20.0))
    draft.add(Happening(at + cut + 0.01, Kind.MIGRATE, HOP, LAST, 0, 0.03, 1.0))
    draft.add(Happening(at + cut + 0.25, Kind.HOST_CRASH, HOP, span=30.0))


def parted(draft: Draft) -> None:
    """A second copy in the greater part of a cluster; the smaller part is asked to fence what it has itself."""
    draft.hosts, draft.counted = 5, True
    rng, at = draft.rng, draft.when(0.4)
    draft.add(Happening(at - 4.0, Kind.CLONE, LAST))
    draft.add(Happening(at - 2.0, Kind.PARTITION, span=30.0, mask=(OWNER, ASKED)))
    ask(draft, at, ASKED, rng.choice(("OFF", "REBOOT")))


def refounded(draft: Draft) -> None:
    """The smaller part of a cluster has lost its state folders: its hosts know of each other alone, and have seen the
    VM end, which the greater part has started since.
    """
    draft.hosts, draft.counted = 5, True
    rng, at = draft.rng, draft.when(0.2)
    draft.add(Happening(at, Kind.PARTITION, span=40.0, mask=(OWNER, ASKED)))
    for host in (OWNER, ASKED):
        draft.add(Happening(at + 0.5, Kind.WIPE, host, span=rng.uniform(0.2, 0.5)))
    draft.add(Happening(at + 3.0, Kind.SHUT, OWNER))
    draft.add(Happening(at + 4.0, Kind.CLONE, LAST))
    ask(draft, at + rng.uniform(7.0, 9.0), rng.choice((OWNER, ASKED)), rng.choice(("ON", "ON", "OFF")))
