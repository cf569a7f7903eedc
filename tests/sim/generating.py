"""Decides what a seed's schedule is: default, dense (many migrations, many restarts) or calm (no fault at all)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from random import Random

from tests.sim.happening import FAULTS, Happening, Kind
from tests.sim.plan import ALONE, OUTSIDE, Plan, VmPlan, vm_name

PHASES = ("begun", "prepared", "copying", "source_paused", "transferred")


class Mode(Enum):
    """What kind of schedule."""

    DEFAULT = "default"
    DENSE = "dense"
    CALM = "calm"
    DEADLY = "deadly"
    """Hosts die, and witnesses say so, or not."""


@dataclass(slots=True)
class Draft:
    """A schedule in the making."""

    rng: Random
    hosts: int
    joiners: int
    strangers: int
    vms: int
    length: float
    happenings: list[Happening] = field(default_factory=list)
    numbers: int = 0
    agents: bool = False
    counted: bool = False
    alike: bool = False
    """All VMs have one name."""

    def when(self, share: float = 0.75) -> float:
        """A moment: after all have found each other, and early enough to matter."""
        return round(self.rng.uniform(3.0, 3.0 + self.length * share), 3)

    def host(self) -> int:
        """One with a daemon from the beginning."""
        return self.rng.randrange(self.hosts)

    def anywhere(self) -> int:
        """Any machine, with or without a daemon."""
        return self.rng.randrange(self.hosts + self.joiners)

    def vm(self) -> int:
        """One of the VMs."""
        return self.rng.randrange(self.vms)

    def request(self) -> str:
        """128 random bits."""
        return f"{self.rng.getrandbits(128):032x}"

    def add(self, each: Happening) -> None:
        """One more happening."""
        self.happenings.append(replace(each, at=round(each.at, 3)))


# -- requests ----------


def _ask(draft: Draft, at: float, vm: int, source: int | None = None, action: str = "", host: int | None = None) -> int:
    rng = draft.rng
    draft.numbers += 1
    if source is None:
        source = rng.randrange(draft.vms) if rng.random() < 0.5 else -1
    draft.add(
        Happening(
            at,
            Kind.ASK,
            host=draft.host() if host is None else host,
            vm=vm,
            source=-1 if source == vm else source,
            action=action or rng.choices(("OFF", "REBOOT", "ON"), (6, 4, 1))[0],
            span=rng.choice((4.0, 6.0, 6.0, 9.0, 14.0)),
            number=draft.numbers,
            request=draft.request(),
            by_name=rng.random() < 0.15,
        )
    )
    return draft.numbers


def plain(draft: Draft) -> None:
    """One request."""
    _ask(draft, draft.when(), draft.vm())


def twice(draft: Draft) -> None:
    """The same request at two hosts, or again at the same, at once or late."""
    at = draft.when(0.6)
    number = _ask(draft, at, draft.vm())
    for _ in range(draft.rng.randint(1, 2)):
        later = at + draft.rng.choice((0.0, 0.05, 0.3, 1.5, 4.0)) * (0.5 + draft.rng.random())
        draft.add(Happening(later, Kind.ASK_AGAIN, host=draft.host(), number=number, request=draft.request()))


def duel(draft: Draft) -> None:
    """Two nodes fence each other, through whatever hosts."""
    if draft.vms < 2:
        plain(draft)
        return
    one, two = draft.rng.sample(range(draft.vms), 2)
    at = draft.when()
    _ask(draft, at, one, two, draft.rng.choice(("OFF", "REBOOT")))
    _ask(draft, at + draft.rng.choice((0.0, 0.002, 0.01, 0.05, 0.5)) * draft.rng.random(), two, one, "REBOOT")


def recovery(draft: Draft) -> None:
    """A request, a fresh boot by an administrator, a new request right after."""
    vm, at = draft.vm(), draft.when(0.6)
    _ask(draft, at, vm, action="OFF")
    back = at + draft.rng.choice((0.05, 0.2, 1.0, 3.0)) * (0.5 + draft.rng.random())
    draft.add(Happening(back, Kind.START, host=draft.host(), vm=vm))
    _ask(draft, back + draft.rng.choice((0.01, 0.1, 1.0)) * draft.rng.random(), vm)


def rivals(draft: Draft) -> None:
    """Two different requests for one VM at one time: off during reboot, on at two coordinators."""
    vm, at = draft.vm(), draft.when()
    first, second = draft.rng.choice((("REBOOT", "OFF"), ("ON", "ON"), ("OFF", "ON"), ("REBOOT", "REBOOT")))
    if first == "ON":
        draft.add(Happening(at - 2.0, Kind.SHUT, host=draft.host(), vm=vm))
    _ask(draft, at, vm, action=first)
    _ask(draft, at + draft.rng.random() * draft.rng.choice((0.01, 0.1, 0.6)), vm, action=second)


def deserter(draft: Draft) -> None:
    """A requester that gives up."""
    at = draft.when()
    number = _ask(draft, at, draft.vm())
    draft.add(Happening(at + draft.rng.random() * draft.rng.choice((0.02, 0.3, 3.0)), Kind.GIVE_UP, number=number))


REQUESTS: tuple[Callable[[Draft], None], ...] = (plain, plain, twice, duel, recovery, rivals, deserter)


# -- what guests and administrators do ----------


def _migrate(draft: Draft, at: float, vm: int) -> None:
    rng = draft.rng
    stranger = draft.strangers and rng.random() < 0.1
    other = draft.hosts + draft.joiners if stranger else draft.anywhere()
    end = rng.choices(("", "post-copy", f"cancelled when {rng.choice(PHASES)}"), (6, 2, 1))[0]
    span = rng.choice((0.03, 0.1, 0.4, 1.5)) * (0.7 + 0.6 * rng.random())
    undefine = float(rng.random() < 0.5)
    span = round(max(span, 0.03), 3)
    draft.add(Happening(at, Kind.MIGRATE, draft.anywhere(), other, vm, span, undefine, end=end))


def migration(draft: Draft) -> None:
    """One, some time."""
    _migrate(draft, draft.when(), draft.vm())


def errand(draft: Draft) -> None:
    """What an administrator does with a VM, whoever looks."""
    kind = draft.rng.choice((Kind.START, Kind.SHUT, Kind.DESTROY, Kind.PAUSE, Kind.SAVE, Kind.RESTORE, Kind.START))
    draft.add(
        Happening(draft.when(), kind, host=draft.anywhere(), vm=draft.vm(), span=round(draft.rng.uniform(0.1, 2.0), 3))
    )


def saved(draft: Draft) -> None:
    """Saved, and restored later."""
    vm, at = draft.vm(), draft.when(0.6)
    draft.add(Happening(at, Kind.SAVE, host=draft.host(), vm=vm, span=round(draft.rng.uniform(0.1, 1.5), 3)))
    draft.add(Happening(at + draft.rng.uniform(1, 15), Kind.RESTORE, host=draft.host(), vm=vm))


def cloned(draft: Draft) -> None:
    """A second copy."""
    draft.add(Happening(draft.when(), Kind.CLONE, host=draft.anywhere(), vm=draft.vm()))


def behind(draft: Draft) -> None:
    """Something happens behind a stopped daemon."""
    host, at = draft.host(), draft.when(0.6)
    away = draft.rng.uniform(1.0, 8.0)
    draft.add(Happening(at, Kind.DAEMON_CRASH, host=host, span=round(away, 3)))
    vm, then = draft.vm(), at + away * draft.rng.random()
    kind = draft.rng.choice((Kind.START, Kind.RESTORE, Kind.SHUT, Kind.CLONE, Kind.MIGRATE, Kind.MIGRATE))
    if kind is Kind.MIGRATE:
        _migrate(draft, then, vm)
    elif kind is not Kind.CLONE or draft.rng.random() < 0.3:
        draft.add(Happening(then, kind, host=host, vm=vm))


WORLDLY: tuple[Callable[[Draft], None], ...] = (migration, migration, errand, errand, saved, behind)


# -- faults ----------

SPANS = {
    Kind.DAEMON_CRASH: 5.0,
    Kind.HOST_CRASH: 10.0,
    Kind.WIPE: 3.0,
    Kind.WIPE_ALL: 2.0,
    Kind.FREEZE: 6.0,
    Kind.FENCED: 15.0,
    Kind.DEAF: 4.0,
}
RATES: dict[Kind, tuple[float, ...]] = {
    Kind.LOSS: (0.1, 0.3, 0.6),
    Kind.LATE: (0.05, 0.2, 0.5),
    Kind.DOUBLE: (0.2, 0.5, 1.0),
    Kind.REORDER: (0.05, 0.3, 2.0),
    Kind.SLOW_DRIVER: (0.1, 0.6, 2.5),
    Kind.LATE_EVENTS: (0.2, 1.0),
    Kind.SLOW_DISK: (0.1, 1.0, 3.0),
    Kind.SLOW_EXIT: (0.05, 0.5, 8.0),
    Kind.HOST_CRASH: (0.0, 1.0),
    Kind.FENCED: (0.0, 1.0),
}


def fault(draft: Draft, kind: Kind, at: float) -> None:
    """One fault of that kind."""
    rng = draft.rng
    host, other = draft.host(), draft.host()
    if kind is Kind.JOIN or kind is Kind.TWIN:
        host = draft.hosts + rng.randrange(max(draft.joiners, 1)) if draft.joiners else host
    mask = tuple(sorted(rng.sample(range(draft.hosts + draft.joiners), rng.randint(1, max(draft.hosts // 2, 1)))))
    draft.add(
        Happening(
            at,
            kind,
            host=host,
            other=other if other != host else (host + 1) % draft.hosts,
            span=round(rng.uniform(0.2, 1.0) * SPANS.get(kind, 12.0), 3),
            rate=rng.choice(RATES.get(kind, (0.0,))),
            mask=mask if kind is Kind.PARTITION else (),
        )
    )


DEATHS = (Kind.FENCED, Kind.CONFIRM)
RARE = (Kind.WIPE_ALL, Kind.FORGET, Kind.TWIN, Kind.FULL_DISK)
COMMON = tuple(kind for kind in FAULTS if kind not in (*RARE, *DEATHS, Kind.DEAF))


def _kinds(rng: Random, count: int) -> list[Kind]:
    kinds = rng.sample(COMMON, min(count, len(COMMON)))
    return [rng.choice(RARE) if rng.random() < 0.1 else kind for kind in kinds]


def death(draft: Draft) -> None:
    """A host dies, or only its daemon does, and somebody asks for what it had; perhaps an operator says it is dead."""
    rng, at, host = draft.rng, draft.when(0.6), draft.host()
    how = rng.choice((Kind.HOST_CRASH, Kind.FENCED, Kind.FENCED, Kind.DAEMON_CRASH))
    end = rng.choice(("", "", ALONE, OUTSIDE)) if how is Kind.FENCED else ""
    span = round(rng.choice((2.0, 9.0, 25.0)) * (0.5 + rng.random()), 3)
    action = rng.choice(("OFF", "REBOOT"))
    draft.add(Happening(at, how, host, span=span, rate=float(rng.random() < 0.5), action=action, end=end))
    others = [other for other in range(draft.hosts) if other != host]
    vm = draft.vm()
    _ask(draft, at + rng.uniform(-1.5, 5.0), vm, -1, rng.choice(("OFF", "OFF", "REBOOT")), rng.choice(others))
    if rng.random() < 0.3:
        draft.add(Happening(at + rng.uniform(0.5, 8.0), Kind.CONFIRM, rng.choice(others), host))
    if rng.random() < 0.4:
        _migrate(draft, at + rng.uniform(-0.6, 0.4), vm)
    if rng.random() < 0.3:
        draft.add(Happening(at - rng.uniform(0.0, 2.0), Kind.SAVE, host, vm=vm, span=round(rng.uniform(0.1, 1.0), 3)))


# -- schedules ----------


def generate(seed: int, mode: Mode = Mode.DEFAULT, wanted: Sequence[Kind] = ()) -> Plan:
    """The schedule of a seed; ``wanted`` faults are in it for certain."""
    rng = Random(seed * 4 + list(Mode).index(mode))
    hosts = rng.choices((3, 4, 5, 6, 7), (4, 4, 2, 1, 1))[0]
    draft = Draft(rng, hosts, rng.randint(0, 2) if mode is not Mode.CALM else 0, 1, rng.randint(1, 3), 30.0)
    if mode is Mode.CALM:
        _calm(draft)
    else:
        _troubled(draft, mode, wanted)
        _deafen(draft, Random(f"{mode.value} {seed}"))
    return _plan(draft, seed, mode)


def _calm(draft: Draft) -> None:
    """One request for each VM, none of which is in another's way, and plain migrations before and after."""
    for vm in range(draft.vms):
        at = 5.0 + draft.when(0.7)
        _ask(draft, at, vm, -1, draft.rng.choice(("OFF", "REBOOT")))
        ask = draft.happenings.pop()
        draft.happenings.append(replace(ask, span=14.0))
        if draft.rng.random() < 0.5:
            other = draft.host()
            draft.add(Happening(at - draft.rng.uniform(-0.5, 2.5), Kind.MIGRATE, host=0, other=other, vm=vm,
                      span=draft.rng.choice((0.03, 0.1, 0.3)), rate=1.0))  # fmt: skip


def _troubled(draft: Draft, mode: Mode, wanted: Sequence[Kind]) -> None:
    rng = draft.rng
    for _ in range(rng.randint(2, 4)):
        rng.choice(REQUESTS)(draft)
    for _ in range(rng.randint(1, 4)):
        rng.choice(WORLDLY)(draft)
    if mode in MORE:
        MORE[mode](draft)
    if rng.random() < 0.15:
        cloned(draft)
    for kind in (*wanted, *_kinds(rng, rng.randint(3, 5))):
        fault(draft, kind, draft.when())


def _deafen(draft: Draft, rng: Random) -> None:
    """In some schedules; by a chance of its own, so that the others are what they were."""
    while rng.random() < 0.2:
        at, span = rng.uniform(3.0, 25.0), round(rng.uniform(0.1, 1.0) * SPANS[Kind.DEAF], 3)
        draft.add(Happening(at, Kind.DEAF, rng.randrange(draft.hosts), span=span))


def _dense(draft: Draft) -> None:
    rng = draft.rng
    for _ in range(rng.randint(4, 9)):
        migration(draft)
    for _ in range(rng.randint(2, 4)):
        fault(draft, rng.choice((Kind.DAEMON_CRASH, Kind.DAEMON_CRASH, Kind.HOST_CRASH, Kind.FREEZE)), draft.when())


def _deadly(draft: Draft) -> None:
    for _ in range(draft.rng.randint(1, 3)):
        death(draft)


MORE: dict[Mode, Callable[[Draft], None]] = {Mode.DENSE: _dense, Mode.DEADLY: _deadly}
"""What a mode has more than the default."""


def _plan(draft: Draft, seed: int, mode: Mode) -> Plan:
    rng = draft.rng
    vms = tuple(_vm(draft, index, mode) for index in range(draft.vms))
    return Plan(
        seed,
        draft.hosts,
        vms,
        tuple(sorted(draft.happenings, key=lambda each: each.at)),
        draft.joiners,
        draft.strangers,
        configured=mode is Mode.CALM or rng.random() < 0.7,
        blind=tuple(index for index in range(draft.hosts) if rng.random() < 0.1),
        cluster=mode is Mode.DEADLY and rng.random() < 0.6,
        agents=mode is Mode.DEADLY and rng.random() < 0.5,
        acts=mode is Mode.DEADLY and rng.random() < 0.5,
        counted=mode is Mode.DEADLY and rng.random() < 0.2,
        length=draft.length + 18.0,
    )


def _vm(draft: Draft, index: int, mode: Mode) -> VmPlan:
    rng = draft.rng
    host = draft.host()
    defined = tuple(sorted({draft.host() for _ in range(rng.randint(0, 1))} - {host}))
    running = mode is Mode.CALM or rng.random() < 0.9
    twin_name = mode is not Mode.CALM and index and rng.random() < 0.2
    name = vm_name(0) if twin_name else vm_name(index)
    return VmPlan(host, name, running, not running or rng.random() < 0.8, defined if mode is not Mode.CALM else ())
