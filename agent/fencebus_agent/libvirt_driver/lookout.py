"""Decides when a look at a VM is complete, and follows the lives that its domains have (S2, S14).

docs/decisions/marks-of-lives.md says what is marked and when; docs/decisions/looks-and-events.md why a look waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

import libvirt

from fencebus_agent.death import Power
from fencebus_agent.hypervisor import MISSED, DomainEvent, HypervisorError
from fencebus_agent.libvirt_driver.events import Meaning
from fencebus_agent.libvirt_driver.link import Link
from fencebus_agent.libvirt_driver.marking import Sign, read_sign, write_mark
from fencebus_agent.libvirt_driver.processes import ProcessFinder
from fencebus_agent.libvirt_driver.sighting import Glance, Remembrance, glance, sight
from fencebus_agent.libvirt_driver.starts import Starts
from fencebus_agent.libvirt_driver.undertaker import Undertaker
from fencebus_agent.lives import Lives
from fencebus_agent.process_watch import ProcessWatch, Watched
from fencebus_agent.roster import Roster, Turn
from fencebus_schemas.deadline import Clock, Deadline
from fencebus_schemas.model import Sight, Uuid, VmState

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 1.0  # seconds for the event of an end that was seen: libvirt tells it after it has let go of the domain
PAUSE = 0.002
AGAIN = (0.1, 0.4, 1.6)  # seconds between attempts to give a life a mark
REREAD = 30.0  # seconds within which a mark must have been read or set


class Lookout:
    """Watches what lives where, for one driver.  For the asyncio loop.

    marks: set and read marks in the domains' metadata; without, a life is known by its process alone.
    tell: takes an event that nobody heard.
    """

    def __init__(
        self,
        link: Link,
        finder: ProcessFinder | None,
        watch: ProcessWatch,
        roster: Roster,
        undertaker: Undertaker,
        starts: Starts,
        lives: Lives,
        tell: Callable[[DomainEvent], None],
        clock: Clock,
        *,
        marks: bool,
    ) -> None:
        self._link, self._finder, self._watch, self._roster = link, finder, watch, roster
        self._undertaker, self._starts, self._lives, self._tell = undertaker, starts, lives, tell
        self._clock, self._marks = clock, marks
        self._standing: dict[Uuid, bool] = {}  # what the events said last: a life is here, or none
        self._paused: set[Uuid] = set()
        self._incoming: set[Uuid] = set()
        self._arrived: set[Uuid] = set()  # incoming and then resumed, and no more was said of migration since
        self._reading: set[Uuid] = set()
        self._looked_at: set[Uuid] = set()  # at these VMs, since events were last missed
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- the look

    async def look(self, vm: Uuid, deadline: Deadline) -> Sight:
        """See SightedHypervisor."""
        self._looked_at.add(vm)
        found, outdated = await self._looked(vm, deadline)
        return (await self._looked(vm, deadline))[0] if outdated else found

    async def _looked(self, vm: Uuid, deadline: Deadline) -> tuple[Sight, bool]:
        """What is seen, and whether a life has ended meanwhile: what was seen of it has no mark any more, so that the
        coordinator would take it for the claim of another life, and have that killed again (S3).
        """
        await self._link.wait_ready(deadline)
        ended = self._lives.past(vm).ended
        dying = self._undertaker.dying().get(vm)
        if dying is not None:  # to ask libvirt about it would wait until it has given up
            await self._link.drain_events(deadline)
            return self._dying(vm, dying), self._lives.past(vm).ended != ended
        seen = await self._glance(vm, deadline)
        if not await self._overtaken_by_events(vm, seen, deadline):
            # As the event that nobody heard.
            self._standing[vm] = False
            self._tell(DomainEvent(vm, "stopped"))
            return Sight(vm, VmState.UNKNOWN, detail="the hypervisor has not told its end"), False
        mark = self._lives.recognised(vm, seen.run, seen.mark)
        if self._marks and not mark and not seen.rests and vm not in self._reading:
            self._spawn(self._read(vm))
        outdated = not seen.rests and self._lives.past(vm).ended != ended
        return sight(vm, seen, self._remembrance(vm, mark)), outdated

    async def _glance(self, vm: Uuid, deadline: Deadline) -> Glance:
        arriving, finder, marked = self._roster.is_arriving(vm), self._finder, self._marks
        return await self._ask(lambda conn: glance(conn, vm, finder, arriving=arriving, marked=marked), deadline)

    async def _overtaken_by_events(self, vm: Uuid, seen: Glance, deadline: Deadline) -> bool:
        """Wait for the events of what was seen.  libvirt lets go of a domain a moment before it tells of its end: of a
        VM that rests, and was not said to, the end is still to be told.  False if it is not.
        """
        patience = deadline.sooner(PATIENCE)
        await self._link.drain_events(deadline)
        while seen.rests and self._standing.get(vm, False):
            if patience.expired:
                return False
            await asyncio.sleep(PAUSE)
            await self._link.drain_events(deadline)
        return True

    def _dying(self, vm: Uuid, state: VmState) -> Sight:
        past = self._lives.past(vm)
        return Sight(vm, state, ended=past.ended, left=past.left, detail="it is being killed")

    def _remembrance(self, vm: Uuid, mark: str) -> Remembrance:
        roster, past = self._roster, self._lives.past(vm)
        heard = roster.known(vm) or roster.ended_domain(vm) or roster.is_left(vm) or past.ended or past.left
        began, lingering = roster.began(vm), roster.lingering(vm)
        return Remembrance(bool(heard or lingering), past, mark, began, lingering, self._starts.pending(vm))

    # ---- what happens

    def heard(self, vm: Uuid, meaning: Meaning, run: int) -> None:
        """An event; the roster has heard it before."""
        if meaning.kind in ("started", "resumed", "suspended"):
            self._standing[vm] = True
        elif meaning.kind == "stopped":
            self._standing[vm] = False
        turn = meaning.turn
        if turn is Turn.LEAVING:
            self._lives.leaves(vm)
        elif turn is Turn.ENDED:
            self._hear_of_an_end(vm)
        self._hear_of_a_start(vm, turn, run)
        if turn in (Turn.STARTED, Turn.RESTORED, Turn.RESUMED):
            self._lives.runs(vm, run)
        self._hear_of_an_arrival(vm, turn)
        if meaning.kind == "suspended":
            self._paused.add(vm)
        elif meaning.kind in ("started", "resumed", "stopped"):
            self._paused.discard(vm)

    def _hear_of_a_start(self, vm: Uuid, turn: Turn, run: int) -> None:
        if not self._marks:
            return
        if turn is Turn.STARTED:
            self._lives.begins(vm, run)
            self._spawn(self._mark(vm, run))
        elif turn in (Turn.RESTORED, Turn.ARRIVING):
            self._lives.continues(vm, run)
            self._spawn(self._read(vm))
        elif turn is Turn.RESUMED and not self._lives.here(vm):
            self._spawn(self._read(vm))

    def _hear_of_an_arrival(self, vm: Uuid, turn: Turn) -> None:
        if turn is Turn.ARRIVING:
            self._incoming.add(vm)
        elif turn is Turn.RESUMED and vm in self._incoming:
            self._incoming.discard(vm)
            self._arrived.add(vm)
        elif turn in (Turn.STARTED, Turn.RESTORED, Turn.LEAVING, Turn.ENDED):
            self._incoming.discard(vm)
            self._arrived.discard(vm)

    def _hear_of_an_end(self, vm: Uuid) -> None:
        """What ran, and had not been spoken of as migrating, has ended here for good.

        A paused VM migrates without a word until it has gone: its end says nothing, unless it was a kill of ours.  A
        kill that was ordered before the arrival and done after it proves nothing by itself; that it arrived and ended
        does.
        """
        mark, doubtful = self._lives.here(vm), self._roster.is_left(vm) and vm not in self._arrived
        if not mark or vm in self._paused or doubtful:
            return
        processes = self._watch.alive(vm)
        if processes:
            self._spawn(self._outlast(vm, mark, processes))
        else:
            self._lives.ends(vm, mark)

    async def _outlast(self, vm: Uuid, mark: str, processes: list[Watched]) -> None:
        """libvirt says "off" of a process that the kernel still has (facts: libvirt 4.5)."""
        for process in processes:
            await process.gone.wait()
        if mark not in self._lives.past(vm).left:  # "migrated" may come behind "destroyed" (facts: libvirt 2.2)
            self._lives.ends(vm, mark)

    def proved(self, vm: Uuid, mark: str) -> None:
        """This driver has ended that life, and has seen the proof."""
        if self._marks:  # nobody else knows it by the number of its process
            self._lives.ends(vm, mark)

    def found(self, vm: Uuid, power: Power) -> None:
        """The inventory was read: from here on the events tell what changes."""
        alive = self._standing[vm] = not power.over and power is not Power.LEFT
        if power is Power.PAUSED:
            self._paused.add(vm)
        if power is Power.LEFT and not self._roster.is_left(vm):
            self._lives.leaves(vm)  # while nobody listened
        if alive and self._marks:
            self._spawn(self._read(vm))

    def lost(self) -> None:
        """Events may have been missed: whatever was looked at may have come and gone, and left no trace.  So they are
        told that, as two looks with nothing told in between prove that it did not (S2).
        """
        self._standing.clear()
        self._lives.lost()
        looked_at, self._looked_at = self._looked_at, set()
        for vm in looked_at:
            self._tell(DomainEvent(vm, MISSED))

    async def close(self) -> None:
        """Follow nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- marks

    async def _read(self, vm: Uuid) -> None:
        """Learn the mark of a life that was there before.  A job forbids to set one, as at the end of a migration."""
        self._reading.add(vm)
        for pause in (*AGAIN, None):
            sign = await self._sign(vm)
            if sign is not None:
                await self._learn(sign)
            if pause is None or sign is None or self._lives.here(vm):
                break
            await asyncio.sleep(pause)
        self._reading.discard(vm)

    async def _sign(self, vm: Uuid) -> Sign | None:
        arriving = self._roster.is_arriving(vm)
        return await self._try(lambda conn: read_sign(conn, vm, arriving))

    async def _learn(self, sign: Sign) -> None:
        vm, run = sign.vm, sign.run
        known = "" if sign.copied else self._lives.read(vm, run, sign.mark)
        if known and sign.settled:
            self._lives.runs(vm, run)
        elif not known and sign.settled and not self._roster.is_arriving(vm):
            # It plainly runs here without a mark of its own: nobody else will give it one.
            self._lives.begins(vm, run)
            await self._mark(vm, run)

    async def _mark(self, vm: Uuid, run: int) -> None:
        mark = self._lives.begins(vm, run)
        if await self._try(lambda conn: write_mark(conn, vm, run, mark)):
            self._lives.read(vm, run, mark)

    # ---- questions

    async def _ask(self, question: Callable[[libvirt.virConnect], T], deadline: Deadline) -> T:
        try:
            return await self._link.call(question, deadline)
        except libvirt.libvirtError as error:
            raise HypervisorError(self._link.uri, str(error)) from error

    async def _try(self, question: Callable[[libvirt.virConnect], T]) -> T | None:
        """A life that cannot be marked now is known by its process, and fences of it fail sooner than they need to."""
        try:
            return await self._ask(question, Deadline.after(REREAD, self._clock))
        except HypervisorError as error:
            log.warning("the mark of a life: %s", error)
            return None

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
