"""Decides how each kind of happening is done to a simulation; what libvirt would refuse is not done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fencebus_agent.memory_machines import Hold
from fencebus_agent.memory_migration import Migration, Route
from fencebus_agent.memory_world import WorldRefusal
from fencebus_host.proofs.cluster_view import FenceEvent, Result
from fencebus_schemas.model import HostId, Uuid
from tests.sim.happening import WORLDLY, Happening, Kind
from tests.sim.plan import host_name, words
from tests.sim.requesting import ask, ask_again, give_up

if TYPE_CHECKING:
    from tests.sim.host import SimHost
    from tests.sim.simulation import Simulation

Deed = Callable[["Simulation", Happening], None]


def do(sim: Simulation, each: Happening) -> None:
    """Let it happen now."""
    sim.note(f"-- {words(sim.plan, each)}")
    try:
        DEEDS[each.kind](sim, each)
    except WorldRefusal as refusal:
        sim.note(f"   (not done: {refusal})")
    if each.kind in WORLDLY:
        sim.spread_events()


def _place(index: int) -> HostId:
    return HostId(host_name(index))


def _vm(sim: Simulation, each: Happening) -> Uuid:
    return list(sim.names)[each.vm]


def _owner(sim: Simulation, each: Happening) -> HostId:
    """Where the VM is really; the host of the plan, if it is nowhere."""
    holders = [writer.host for writer in sim.world.writers() if writer.vm == _vm(sim, each)]
    running = [host for host in holders if sim.world.is_up(host)]
    return running[each.host % len(running)] if running else _place(each.host)


# -- what guests and administrators do ----------


def start(sim: Simulation, each: Happening) -> None:
    """Only if it is nowhere: who starts a second one clones it."""
    if not any(writer.vm == _vm(sim, each) for writer in sim.world.writers()):
        sim.world.create(_place(each.host), _vm(sim, each), sim.now)


def shut(sim: Simulation, each: Happening) -> None:
    """The guest ends itself."""
    sim.world.shut_down(_owner(sim, each), _vm(sim, each))


def destroy(sim: Simulation, each: Happening) -> None:
    """virsh destroy."""
    sim.world.kill(_owner(sim, each), _vm(sim, each))


def pause(sim: Simulation, each: Happening) -> None:
    """And resume."""
    owner = _owner(sim, each)
    sim.world.pause(owner, _vm(sim, each))
    sim.scheduler.after(each.span, partial(_try, sim, lambda: sim.world.resume(owner, _vm(sim, each))))


def save(sim: Simulation, each: Happening) -> None:
    """A managed save takes its time."""
    owner = _owner(sim, each)
    sim.world.begin_save(owner, _vm(sim, each))
    sim.scheduler.after(each.span, partial(_try, sim, lambda: sim.world.end_save(owner, _vm(sim, each))))


def restore(sim: Simulation, each: Happening) -> None:
    """From wherever an image of it lies."""
    vm = _vm(sim, each)
    images = [writer.host for writer in sim.world.writers() if writer.vm == vm and writer.hold is Hold.IMAGE]
    if images:
        sim.world.restore(images[0], vm, sim.now)


def clone(sim: Simulation, each: Happening) -> None:
    """Split brain."""
    sim.world.clone(_place(each.host), _vm(sim, each), sim.now)


def migrate(sim: Simulation, each: Happening) -> None:
    """To be stepped through its phases; ``end`` names what becomes of it."""
    owner, vm = _owner(sim, each), _vm(sim, each)
    migration = sim.world.migrate(Route(vm, owner, _place(each.other), undefine=bool(each.rate)))
    sim.scheduler.after(each.span, partial(_step, sim, each, migration))


def _step(sim: Simulation, each: Happening, migration: Migration) -> None:
    if migration.phase.over:
        return
    _try(sim, partial(_go_on, sim, each, migration))
    sim.scheduler.after(each.span, partial(_step, sim, each, migration))


def _go_on(sim: Simulation, each: Happening, migration: Migration) -> None:
    phase = migration.phase.name.lower()
    if each.end == f"cancelled when {phase}":
        migration.cancel()
    elif each.end == "post-copy" and phase == "copying":
        migration.start_postcopy()
    elif sim.world.is_up(migration.route.destination):
        migration.step(sim.now)
    elif migration.phase.undecided:
        migration.cancel()


def _try(sim: Simulation, act: Callable[[], object]) -> None:
    try:
        act()
    except WorldRefusal as refusal:
        sim.note(f"   (not done: {refusal})")
    sim.spread_events()


# -- faults ----------


def _host(sim: Simulation, each: Happening) -> SimHost:
    return sim.hosts[each.host]


def daemon_crash(sim: Simulation, each: Happening) -> None:
    """kill -9, and systemd."""
    _host(sim, each).end_daemon()
    sim.scheduler.after(each.span, _host(sim, each).start_daemon)


def wipe(sim: Simulation, each: Happening) -> None:
    """rm -rf of the state folder of a daemon that is killed."""
    _host(sim, each).end_daemon()
    _host(sim, each).wipe()
    sim.scheduler.after(each.span, _host(sim, each).start_daemon)


def wipe_all(sim: Simulation, each: Happening) -> None:
    """On all that have ever started a daemon."""
    for host in sim.hosts:
        if host.daemon is not None:
            host.end_daemon()
            sim.scheduler.after(each.span, host.start_daemon)
        host.wipe()


def host_crash(sim: Simulation, each: Happening) -> None:
    """Power lost, power back; ``rate``: its VMs have autostart."""
    sim.power_off(_host(sim, each), each.span, autostart=bool(each.rate))


def fenced(sim: Simulation, each: Happening) -> None:
    """By its own cluster, which has it in its history then; ``end``: how it comes back."""
    host, how = _host(sim, each), each.action.lower()
    told = FenceEvent(how, str(host.place), Result.PENDING, "host", "controld", f"{sim.now:.3f}")
    sim.fencings = (told, *sim.fencings)

    def done() -> None:
        sim.fencings = tuple(replace(one, result=Result.SUCCESS) if one is told else one for one in sim.fencings)
        if sim.world.is_up(host.place):
            sim.power_off(host, each.span, bool(each.rate), each.end)
            host.fenced_off = how == "off"

    sim.scheduler.after(0.3 + host.chance(), done)


def confirm(sim: Simulation, each: Happening) -> None:
    """fence_virtctl host confirm-dead, whether it is or not."""
    daemon = _host(sim, each).daemon
    if daemon is not None and not _host(sim, each).stopped:
        daemon.carry(daemon.federation.confirm_dead(sim.hosts[each.other].name, "root", "noon", daemon.now()))


def freeze(sim: Simulation, each: Happening) -> None:
    """SIGSTOP, SIGCONT."""
    _host(sim, each).stop()
    sim.scheduler.after(each.span, _host(sim, each).go_on)


def deaf(sim: Simulation, each: Happening) -> None:
    """libvirtd lives, but lets the daemon in again only after a while."""
    _host(sim, each).lose_libvirt(each.span)


def partition(sim: Simulation, each: Happening) -> None:
    """Both ways between two groups."""
    inside = [host.index for host in sim.hosts if host.index in each.mask]
    outside = [host.index for host in sim.hosts if host.index not in each.mask]
    ways = [way for one in inside for two in outside for way in ((one, two), (two, one))]
    _sever(sim, each, ways)


def one_way(sim: Simulation, each: Happening) -> None:
    """In one direction only."""
    _sever(sim, each, [(each.host, each.other)])


def _sever(sim: Simulation, each: Happening, ways: list[tuple[int, int]]) -> None:
    sim.network.sever(ways)
    sim.scheduler.after(each.span, partial(sim.network.mend, ways))


def weather(knob: str) -> Deed:
    """A fault of the network as a whole, for a while."""

    def change(sim: Simulation, each: Happening) -> None:
        before = getattr(sim.network.weather, knob)
        setattr(sim.network.weather, knob, max(before, each.rate))
        sim.scheduler.after(each.span, lambda: setattr(sim.network.weather, knob, before))

    return change


def pace(knob: str) -> Deed:
    """A slow hypervisor, for a while."""

    def change(sim: Simulation, each: Happening) -> None:
        slow = _host(sim, each).pace
        before = getattr(slow, knob)
        setattr(slow, knob, max(before, each.rate))
        sim.scheduler.after(each.span, lambda: setattr(slow, knob, before))

    return change


def slow_disk(sim: Simulation, each: Happening) -> None:
    """A stalled disk."""
    host = _host(sim, each)
    host.write_takes = each.rate
    sim.scheduler.after(each.span, lambda: setattr(host, "write_takes", 0.003))


def full_disk(sim: Simulation, each: Happening) -> None:
    """No room."""
    disk = _host(sim, each).disk
    disk.full = True
    sim.scheduler.after(each.span, lambda: setattr(disk, "full", False))


def kept_queue(sim: Simulation, each: Happening) -> None:
    """A broker that was set up badly, and a daemon that dies meanwhile."""
    host = _host(sim, each)
    host.keeps_queue = True
    sim.scheduler.after(each.span, lambda: setattr(host, "keeps_queue", False))


def join(sim: Simulation, each: Happening) -> None:
    """A daemon where there was none."""
    _host(sim, each).start_daemon()


def twin(sim: Simulation, each: Happening) -> None:
    """The machine's daemon starts under the name of another's."""
    host = _host(sim, each)
    if host.daemon is None and host.index >= sim.plan.hosts:
        host.name = sim.hosts[each.other].name
        host.start_daemon()


def forget(sim: Simulation, each: Happening) -> None:
    """fence_virtctl host forget."""
    daemon = _host(sim, each).daemon
    if daemon is not None and not _host(sim, each).stopped:
        daemon.carry(daemon.federation.forget(sim.hosts[each.other].name, daemon.now()))


DEEDS: dict[Kind, Deed] = {
    Kind.ASK: ask,
    Kind.ASK_AGAIN: ask_again,
    Kind.GIVE_UP: give_up,
    Kind.START: start,
    Kind.SHUT: shut,
    Kind.DESTROY: destroy,
    Kind.PAUSE: pause,
    Kind.SAVE: save,
    Kind.RESTORE: restore,
    Kind.CLONE: clone,
    Kind.MIGRATE: migrate,
    Kind.DAEMON_CRASH: daemon_crash,
    Kind.HOST_CRASH: host_crash,
    Kind.WIPE: wipe,
    Kind.WIPE_ALL: wipe_all,
    Kind.FREEZE: freeze,
    Kind.PARTITION: partition,
    Kind.ONE_WAY: one_way,
    Kind.LOSS: weather("loss"),
    Kind.LATE: weather("late"),
    Kind.DOUBLE: weather("double"),
    Kind.REORDER: weather("jitter"),
    Kind.JOIN: join,
    Kind.TWIN: twin,
    Kind.SLOW_DRIVER: pace("look"),
    Kind.LATE_EVENTS: pace("event"),
    Kind.SLOW_DISK: slow_disk,
    Kind.FULL_DISK: full_disk,
    Kind.SLOW_EXIT: pace("exit"),
    Kind.KEPT_QUEUE: kept_queue,
    Kind.FORGET: forget,
    Kind.FENCED: fenced,
    Kind.CONFIRM: confirm,
    Kind.DEAF: deaf,
}
