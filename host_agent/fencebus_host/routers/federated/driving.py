"""Carries out what the federation's machine asks for: a shell around pure decisions, over asyncio.

Effects that take time run as tasks of their own; what comes of them goes back into the machine, in the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial

from fencebus_agent.hypervisor import ActRefused, DomainEvent, HypervisorError, SightedHypervisor, UnknownDomain
from fencebus_host.effects import AskProof, Boot, Conclude, Effect, Effects, Job, Keep, Kill, Look, Send
from fencebus_host.evidence import is_plain_end
from fencebus_host.federation.machine import Federation
from fencebus_host.federation.member import Refusal
from fencebus_host.routers.federated.carrier import Carrier, Keeper, Witnesses
from fencebus_host.routers.federated.echoes import Echoes, Meaning
from fencebus_host.routers.federated.leisure import Leisure
from fencebus_schemas.deadline import Clock, Deadline
from fencebus_schemas.model import Life, Observation, Reason, Sight, Uuid, VmState
from fencebus_schemas.peer import Guard, Lift, Message

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""A hypervisor that has not answered a look by then cannot say."""
BUSY_TICK, IDLE_TICK = 0.05, 1.0  # seconds
STOCK_SECONDS = 30.0
"""Between two readings of the whole inventory: what happened while the hypervisor could not be heard is found."""
STOCK_AGAIN = 1.0
"""Seconds after a reading that failed."""
BROKEN_OFF = "the daemon's router failed meanwhile"
Awaited = Kill | Boot | Keep
"""For these the machine waits before it turns to what comes next for the VM."""


class Driving:
    """One host's machine, connected to its hypervisor, its disk and the other hosts."""

    def __init__(
        self,
        machine: Federation,
        hypervisor: SightedHypervisor,
        carrier: Carrier,
        keeper: Keeper,
        witnesses: Witnesses,
        concluded: Callable[[Conclude], None],
        clock: Clock,
        aside: Callable[[Message], bool] = lambda _message: False,
    ) -> None:
        """``aside`` takes what is said among hosts and not for the machine."""
        self._machine, self._hypervisor, self._carrier, self._keeper = machine, hypervisor, carrier, keeper
        self._witnesses = witnesses
        self._concluded, self._aside = concluded, aside
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stirred: set[Uuid] = set()
        """VMs of which events came while the inventory was read, which may be older than they."""
        self._acting: Counter[Uuid] = Counter()
        """Orders under way for each VM."""
        self._unread: set[Uuid] = set()
        """VMs of which other events came during an order, after which they are read again."""
        self._broken_off: list[Awaited] = []
        """By the failure of a run."""
        self._subscribed = False
        self._echoes, self._leisure = Echoes(), Leisure()

    async def run(self) -> None:
        """Follow the hypervisor, the carrier and the clock; returns only when cancelled."""
        if not self._subscribed:  # it may run again after a failure
            self._subscribed = True
            self._hypervisor.subscribe(self._heard)
        self._answer_for_the_run_before()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hypervisor.run(), name="hypervisor")
                group.create_task(self._carrier.run(self._received, self._connected), name="carrier")
                group.create_task(self._take_stock(), name="inventory")
                group.create_task(self._tick(), name="heartbeat")
                group.create_task(self._witnesses.run(), name="witnesses")
        finally:
            self._leisure.give_up()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _answer_for_the_run_before(self) -> None:
        """What its failure broke off is over, or it would be in the way of all that comes behind it."""
        broken_off, self._broken_off = self._broken_off, []
        for effect in broken_off:
            if isinstance(effect, Keep):
                self.apply(self._machine.kept(effect.job, False, self._clock()))
            else:
                self.apply(self._machine.acted(effect.job, Refusal(Reason.INTERNAL, BROKEN_OFF), self._clock()))

    def apply(self, effects: Effects) -> None:
        """Carry out what the machine asks for, in order."""
        for effect in effects:
            self._apply(effect)
        if self._machine.is_busy:
            self._wake.set()

    def answered(self) -> None:
        """Whoever asked for something has the answer: what was put off for that can be done."""
        self._leisure.catch_up()

    # -- what happens ----------

    def _received(self, message: Message) -> None:
        if not self._aside(message):
            self.apply(self._machine.received(message, self._clock()))

    def _connected(self) -> None:
        self.apply(self._machine.connected(self._clock()))

    def _heard(self, event: DomainEvent) -> None:
        self._stirred.add(event.vm)
        meaning = self._echoes.heard(event, self._clock())
        if meaning is Meaning.UNKNOWN:
            return
        if meaning is Meaning.NEWS:
            self.apply(self._machine.changed(event.vm, self._clock()))
        # While it dies a hypervisor calls it running still, and nobody is to be told so in the middle of the kill.
        if self._acting[event.vm]:
            self._unread.add(event.vm)
        else:
            self._spawn(self._read_again(event.vm))

    async def _take_stock(self) -> None:
        while True:
            await self._hypervisor.wait_ready(Deadline(float("inf"), self._clock))
            await asyncio.sleep(STOCK_SECONDS if await self._took_stock() else STOCK_AGAIN)

    async def _took_stock(self) -> bool:
        self._stirred.clear()
        try:
            records = await self._hypervisor.list(Deadline.after(LOOK_SECONDS, self._clock))
        except HypervisorError as error:
            log.warning("could not read the inventory: %s", error)
            return False
        self.apply(self._machine.inventory(records, self._clock()))
        for vm in self._stirred:
            self._spawn(self._read_again(vm))
        return True

    async def _read_again(self, vm: Uuid) -> None:
        try:
            record = await self._hypervisor.find(vm, Deadline.after(LOOK_SECONDS, self._clock))
        except HypervisorError as error:
            log.warning("could not read %s again: %s", vm, error)
            return
        self.apply(self._machine.vm_read(vm, record, self._clock()))

    async def _tick(self) -> None:
        while True:
            self.apply(self._machine.tick(self._clock()))
            self._wake.clear()
            pause = BUSY_TICK if self._machine.is_busy else IDLE_TICK
            if self._machine.is_busy:
                await asyncio.sleep(pause)
            else:
                await _wait(self._wake, pause)

    # -- carrying out ----------

    def _apply(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self._send(effect.message)
        elif isinstance(effect, Conclude):
            self._concluded(effect)
        elif isinstance(effect, Keep):
            self._spawn(self._keep(effect), effect)
        elif isinstance(effect, Look):
            self._spawn(self._look(effect))
        elif isinstance(effect, AskProof):
            self._spawn(self._prove(effect))
        else:
            self._spawn(self._act(effect), effect)

    def _send(self, message: Message) -> None:
        if isinstance(message, Lift):
            self._leisure.put_off(partial(self._carrier.send, message))
            return
        if isinstance(message, Guard):
            self._leisure.catch_up()  # a reboot's start is guarded by the same request as its end was
        self._carrier.send(message)

    async def _keep(self, effect: Keep) -> None:
        ok = await self._keeper.keep(effect.record)
        self.apply(self._machine.kept(effect.job, ok, self._clock()))

    async def _look(self, effect: Look) -> None:
        try:
            sight = await self._hypervisor.look(effect.vm, Deadline.after(LOOK_SECONDS, self._clock))
        except HypervisorError as error:
            sight = Sight(effect.vm, VmState.UNKNOWN, detail=str(error))
        self.apply(self._machine.looked(effect.job, sight, self._clock()))

    async def _prove(self, question: AskProof) -> None:
        finding = await self._witnesses.ask(question)
        self.apply(self._machine.proof_seen(question, finding, self._clock()))

    async def _act(self, effect: Kill | Boot) -> None:
        vm = effect.vm
        self._acting[vm] += 1
        if isinstance(effect, Kill):
            self._echoes.begin(vm)
        try:
            result = await self._done(effect)
        finally:
            self._acting -= Counter((vm,))
            heard = self._echoes.over(vm)
        if isinstance(effect, Kill) and isinstance(result, Observation):
            self._echoes.killed(result, self._clock())
        self.apply(self._machine.acted(effect.job, result, self._clock()))
        for event in heard:
            self._heard(event)
        # The others are to know as soon as whoever asked: a hypervisor tells of what it did a while later.
        if vm in self._unread or not (isinstance(result, Observation) and is_plain_end(result)):
            self._unread.discard(vm)
            self._spawn(self._read_again(vm))

    async def _done(self, effect: Kill | Boot) -> Observation | Refusal:
        deadline, permit = Deadline(effect.until, self._clock), self._permit(effect.job)
        act = self._hypervisor.power_off if isinstance(effect, Kill) else self._hypervisor.power_on
        try:
            return await act(effect.vm, deadline, permit)
        except ActRefused as refusal:
            return Refusal(refusal.reason)
        except UnknownDomain as error:
            return Refusal(Reason.UNKNOWN_VM, str(error))
        except HypervisorError as error:
            return Refusal(Reason.HYPERVISOR_ERROR, str(error))
        except Exception:  # the root of an act: a defect must end this one, and not all that wait for the VM behind it
            log.exception("defect while acting on %s", effect.vm)
            return Refusal(Reason.INTERNAL, "a defect in the daemon; its log has the details")

    def _permit(self, job: Job) -> Callable[[Life | None], None]:
        def permit(life: Life | None) -> None:
            reason = self._machine.permit(job, life, self._clock())
            if reason is not None:
                raise ActRefused(reason)

        return permit

    def _spawn(self, work: Coroutine[None, None, None], awaited: Awaited | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, awaited))

    def _ended(self, task: asyncio.Task[None], awaited: Awaited | None) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._broken_off += [awaited] if awaited is not None else []
        elif (error := task.exception()) is not None:
            # A job that is never answered makes its request fail by its deadline; why stands here.
            log.error("defect in the federation", exc_info=error)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
