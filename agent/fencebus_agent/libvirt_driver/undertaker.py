"""Decides, attempt by attempt, how a VM is ended on libvirt: starts threads, follows processes, keeps what must be
remembered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace

import libvirt

from fencebus_agent import image_locks
from fencebus_agent.death import Decision, End, Finding, Kill, Lingering, Look, Power, Witness, judge_rest, observe
from fencebus_agent.hypervisor import ActRefused, HypervisorError, Permit, UnknownDomain
from fencebus_agent.libvirt_driver.attempt import Attempt
from fencebus_agent.libvirt_driver.killing import Order, Sight, strike
from fencebus_agent.libvirt_driver.link import Link, LinkLostError
from fencebus_agent.libvirt_driver.processes import ProcessFinder, release
from fencebus_agent.lives import Lives
from fencebus_agent.process_watch import ProcessWatch, Watched, all_gone
from fencebus_agent.roster import EndedDomain, Roster
from fencebus_agent.worker_threads import WorkerThreads
from fencebus_schemas.deadline import Clock, Deadline
from fencebus_schemas.model import Observation, Uuid, VmState

log = logging.getLogger(__name__)

PAUSE = 0.1  # seconds between two attempts
EVENTS_SECONDS = 5.0  # for events that are on their way; a libvirt that has answered the kill delivers them at once
LOOK_AGAIN = 1.0  # seconds between two looks at a VM at rest whose process lives: libvirt may start it meanwhile


class Undertaker:
    """Ends VMs.  One at a time each, any number in parallel.  For the asyncio loop.

    finder: ``None`` where no process stands behind a domain.  check_disks: False where the exit alone is the proof.
    lives: ``None`` where they are not marked.
    """

    def __init__(
        self,
        link: Link,
        finder: ProcessFinder | None,
        watch: ProcessWatch,
        roster: Roster,
        witness: Witness,
        clock: Clock,
        check_disks: bool = True,
        lives: Lives | None = None,
    ) -> None:
        self._lives = lives
        self._link, self._finder, self._watch, self._roster = link, finder, watch, roster
        self._witness, self._clock, self._check_disks = witness, clock, check_disks
        self._attempts: dict[Uuid, Attempt] = {}
        self._threads = WorkerThreads("images")
        self._searches = WorkerThreads("processes", 4)
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- what others ask

    def proven_off(self, vm: Uuid) -> bool:
        """True while its end is proven and libvirt has not caught up."""
        return self.dying().get(vm) is VmState.OFF

    def dying(self) -> Mapping[Uuid, VmState]:
        """The VMs that are being killed and what they are; to ask libvirt about one blocks until it has given up."""
        return {vm: self._state(attempt) for vm, attempt in self._attempts.items() if attempt.killed}

    async def burial(self, vm: Uuid, deadline: Deadline) -> bool:
        """Wait for a kill that libvirt or the kernel has not finished; False if that took until the deadline."""
        attempt = self._attempts.get(vm)
        return attempt is None or await attempt.burial(deadline)

    async def end(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """See Hypervisor.power_off."""
        seen = False
        while True:
            attempt, own = await self._concluded(vm, deadline, permit)
            if not own and attempt.finding.decision is Decision.OFF:
                return self._still_off(attempt)
            self._remember(attempt)
            if self._is_unknown(attempt, attempt.finding) and not seen:
                raise UnknownDomain(self._link.uri, f"no domain {vm}")
            again = attempt.failure is not None or attempt.finding.decision is Decision.LOOK_AGAIN or attempt.rests
            if not again or deadline.expired:
                return self._observation(attempt, attempt.finding, vanished=seen)
            seen = seen or attempt.killed
            if not await self._pause(attempt, deadline):
                return self._observation(attempt, attempt.finding, vanished=seen)

    async def _concluded(self, vm: Uuid, deadline: Deadline, permit: Permit) -> tuple[Attempt, bool]:
        """An attempt that has come to something, or the deadline has; and whether it is this caller's own."""
        while True:
            attempt, own = await self._join_or_begin(vm, deadline, permit)
            await attempt.conclusion(deadline)
            if own:
                self._raise_failure(attempt)
                return attempt, True
            if attempt.finding.decision is not Decision.OFF or not await self._is_outlived(attempt):
                return attempt, False

    async def _pause(self, attempt: Attempt, deadline: Deadline) -> bool:
        """Wait until it makes sense to look again; False if there is no time for that."""
        if not attempt.rests:
            await attempt.burial(deadline)
            await asyncio.sleep(min(PAUSE, deadline.remaining()))
            return True
        time_left = deadline.remaining() > LOOK_AGAIN
        await all_gone(attempt.processes, deadline.sooner(LOOK_AGAIN))
        return time_left

    async def close(self) -> None:
        """Give up what runs; a destroy() that libvirt works on goes on."""
        self._threads.close()
        self._searches.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- one attempt

    async def _join_or_begin(self, vm: Uuid, deadline: Deadline, permit: Permit) -> tuple[Attempt, bool]:
        """The attempt that is under way, else a new one; and whether it is this caller's own."""
        under_way = self._attempts.get(vm)
        if under_way is not None and not await self._is_outlived(under_way):
            return under_way, False
        await self._link.wait_ready(deadline)
        now_under_way = self._attempts.get(vm)  # another request may have begun while this one waited
        if now_under_way is not None and now_under_way is not under_way:
            return now_under_way, False
        return self._begin(vm, deadline, permit), True

    async def _is_outlived(self, attempt: Attempt) -> bool:
        """True if another process runs the VM than those that ended: the attempt says nothing about that life (S1)."""
        finder = self._finder
        if finder is None or not attempt.processes_ended:
            return False
        search = self._searches.submit(lambda: release(finder.every_process(attempt.vm)))
        return await search > 0

    def _begin(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Attempt:
        attempt = self._attempts[vm] = Attempt(vm)
        order = Order(
            self._link.uri,
            vm,
            deadline,
            permit,
            self._roster.is_arriving(vm),
            self._roster.began(vm),
            self._check_disks,
            self._clock,
            self._lives,
        )
        tell = self._teller(attempt)
        thread = self._link.begin(lambda conn: strike(conn, order, self._finder, tell))
        self._spawn(self._follow(attempt, thread))
        return attempt

    def _teller(self, attempt: Attempt) -> Callable[[Sight], None]:
        loop = asyncio.get_running_loop()
        return lambda sight: _ignore(loop.call_soon_threadsafe(self._saw, attempt, sight))

    def _saw(self, attempt: Attempt, sight: Sight) -> None:
        held = [self._watch.follow(held) for held in sight.held]
        # A process that libvirt gave up long ago may still write beside the one that it knows (facts: libvirt 4.5).
        others = [watched for watched in self._watch.alive(attempt.vm) if watched not in held]
        rest = sight.look.power in (Power.OFF, Power.SAVED, Power.GONE)
        look = replace(sight.look, left_before=rest and self._roster.is_left(attempt.vm))
        attempt.saw(sight, look, [*held, *others], self._lingering(attempt.vm, sight))
        for process in attempt.processes:
            self._spawn(self._tell_exit(attempt, process))

    def _lingering(self, vm: Uuid, sight: Sight) -> Lingering | None:
        if sight.at_rest:
            return _blind(self._roster.lingering(vm))
        if sight.disks.locked:
            writes = f"a write to {', '.join(sight.disks.locked)} (io_uring) may be under way"
            return Lingering(writes, ends_visibly=True)
        return _blind(sight.disks.blind)

    async def _tell_exit(self, attempt: Attempt, process: Watched) -> None:
        await process.gone.wait()
        attempt.changed.set()

    async def _follow(self, attempt: Attempt, thread: asyncio.Future[End | None]) -> None:
        """Live as long as anything of the attempt does, whoever waits for it."""
        try:
            end = await thread
        except (ActRefused, HypervisorError, LinkLostError, libvirt.libvirtError) as error:
            attempt.failure = error
            end = None
        except Exception as error:  # the root of an attempt: a defect must end it, and not stand in the way of the next
            log.exception("%s: defect while ending %s", self._link.uri, attempt.vm)
            attempt.failure = HypervisorError(self._link.uri, f"a defect ({error!r}); the log has the details")
            end = None
        if end is not None:
            await self._weigh(attempt, end)
        attempt.changed.set()
        if attempt.killed and attempt.failure is None and attempt.finding.decision is not Decision.LOOK_AGAIN:
            for process in attempt.processes:
                await process.gone.wait()
            await self._outlast_disks(attempt)
        self._conclude(attempt)

    async def _weigh(self, attempt: Attempt, end: End) -> None:
        """Complete libvirt's answer with what its events say of migration, where it will be needed.  If they could not
        be heard, they may have spoken of one (S14).
        """
        spoke, look = False, attempt.look
        decided = attempt.finding.decision is Decision.OFF
        if look is not None and not decided and not look.too_soon_to_migrate(self._clock()):
            heard = await self._link.settle_events(Deadline.after(EVENTS_SECONDS, self._clock))
            missed = not heard or self._roster.missed_since(look.at)
            spoke = self._roster.spoke_since(attempt.vm, look.at) or (missed and end.kill is Kill.DONE)
        attempt.end = replace(end, spoke_of_migration=spoke)

    async def _outlast_disks(self, attempt: Attempt) -> None:
        """After the exit: wait until the locks that were seen are gone; what cannot be seen stays said."""
        if attempt.sight is None or attempt.sight.disks.harmless:
            return
        self._remember(attempt)
        disks = attempt.sight.disks

        def wanted() -> bool:
            return self._attempts.get(attempt.vm) is attempt

        await self._threads.submit(lambda: image_locks.outlast(disks, wanted))
        attempt.lingering = _blind(disks.blind)
        if wanted() and attempt.lingering is None:
            self._roster.outlasted(attempt.vm)
        attempt.changed.set()

    def _conclude(self, attempt: Attempt) -> None:
        """Nothing of it is under way any more: let the next one begin."""
        self._remember(attempt)
        if self._attempts.get(attempt.vm) is attempt:
            del self._attempts[attempt.vm]
        attempt.buried.set()

    def _remember(self, attempt: Attempt) -> None:
        """Keep what outlives the attempt; before anybody is answered, so that it is on disk by then (S4)."""
        decision, sight, vm = attempt.finding.decision, attempt.sight, attempt.vm
        if sight is None or not attempt.killed:
            return
        if decision is Decision.IN_FLIGHT:
            self._roster.killed_in_flight(vm)
        awaited = attempt.lingering if decision is Decision.WAIT and attempt.failure is None else None
        if decision is Decision.UNPROVABLE or awaited:
            # What is still waited for, too: the daemon after us sees no more than a VM at rest.
            self._roster.lingers(vm, awaited.why if awaited else attempt.finding.why)
        over = decision in (Decision.OFF, Decision.UNPROVABLE)
        if over and sight.transient_xml and self._roster.ended_domain(vm) is None:
            self._roster.ended(EndedDomain(vm, sight.name, sight.transient_xml, self._clock()))

    # ---- words

    def _raise_failure(self, attempt: Attempt) -> None:
        failure = attempt.failure
        if isinstance(failure, (ActRefused, HypervisorError)):
            raise failure
        if isinstance(failure, libvirt.libvirtError):
            raise HypervisorError(self._link.uri, str(failure))

    def _is_unknown(self, attempt: Attempt, finding: Finding) -> bool:
        """Not known to libvirt, no process of it, never ended here, not seen to leave."""
        look = attempt.look
        gone = look is not None and look.power is Power.GONE and finding.decision is Decision.OFF
        return gone and self._roster.ended_domain(attempt.vm) is None

    def _observation(self, attempt: Attempt, finding: Finding, vanished: bool) -> Observation:
        if attempt.look is None:
            return self._nothing_seen(attempt.vm, finding)
        if vanished and self._is_unknown(attempt, finding):
            finding = Finding(Decision.IN_FLIGHT, why="it vanished while it was being killed")
        return observe(self._witness, attempt.vm, attempt.look, finding, self._clock())

    def _still_off(self, attempt: Attempt) -> Observation:
        """Its end was proven before this request came, and libvirt has not finished the kill: it was off, and is."""
        at_rest = Look(self._clock(), Power.OFF, watched=self._finder is not None)
        return observe(self._witness, attempt.vm, at_rest, judge_rest(at_rest, 0), self._clock())

    def _nothing_seen(self, vm: Uuid, finding: Finding) -> Observation:
        host, incarnation = self._witness.host, self._witness.incarnation
        from_proof = finding.proof
        return Observation(vm, VmState.UNKNOWN, host, incarnation, from_proof, self._clock(), detail=finding.why)

    def _state(self, attempt: Attempt) -> VmState:
        """OFF if proven; else a claim: its process or a younger one lives, or nobody knows better."""
        off = attempt.finding.decision is Decision.OFF and not self._watch.alive(attempt.vm)
        return VmState.OFF if off else VmState.RUNNING

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _blind(why: str) -> Lingering | None:
    return Lingering(why) if why else None


def _ignore(handle: object) -> None:
    """call_soon_threadsafe's handle is of no use here."""
