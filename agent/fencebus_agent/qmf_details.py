"""Keeps what consoles like to see of a host and its VMs beside states: sizes, numbers, versions.

Nothing hangs on it: it is asked for apart from the states, one VM after an event, and what cannot be read is not told.
Processor time is left out: it changes all the time, and would be told all the time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.hypervisor import Hypervisor, HypervisorError
from fencebus_schemas.amqp010 import Value
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid

log = logging.getLogger(__name__)

ASK_SECONDS = 10.0
APART = 0.5
"""Seconds between two questions, however many events come."""
AGAIN, ANEW = 60.0, 300.0
"""Seconds after which everything is asked for again where a question failed, and where none did: events may be lost."""


@dataclass(frozen=True, slots=True)
class MachineDetails:
    """A VM as its hypervisor describes it."""

    number: int
    """The hypervisor's, of its present run; -1 if it has none."""
    processors: int
    maximum_memory: int
    """KiB; and so is ``memory``."""
    memory: int


class Describer(Protocol):
    """One hypervisor.  Raises HypervisorError; ends by its deadline."""

    async def machines(self, vms: Iterable[Uuid] | None, deadline: Deadline) -> Mapping[Uuid, MachineDetails]:
        """These VMs, or all; what is not there is left out."""

    async def node(self, deadline: Deadline) -> Mapping[str, Value]:
        """Properties of a Node, as the schema XML has them."""


class Descriptions:
    """Of one host.  ``changed`` is called with VMs of which something else is known, and with None for the host."""

    def __init__(
        self, pairs: Sequence[tuple[Hypervisor, Describer]], changed: Callable[[frozenset[Uuid] | None], None]
    ) -> None:
        self._changed = changed
        self._followed = tuple((describer, _stirred_of(hypervisor)) for hypervisor, describer in pairs)
        self._machines: dict[Uuid, MachineDetails] = {}
        self.node: Mapping[str, Value] = {}
        """Properties of the Node; of the first hypervisor that says them."""

    def of(self, vm: Uuid) -> MachineDetails | None:
        """What is known of a VM."""
        return self._machines.get(vm)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for describer, stirred in self._followed:
                group.create_task(self._follow(describer, stirred))

    async def _follow(self, describer: Describer, stirred: asyncio.Queue[Uuid]) -> None:
        vms: set[Uuid] | None = None
        while True:
            told = await (self._ask_for_all(describer) if vms is None else self._ask(describer, vms))
            vms = await _some(stirred, ANEW if told else AGAIN)

    async def _ask_for_all(self, describer: Describer) -> bool:
        try:
            node = await describer.node(Deadline.after(ASK_SECONDS))
        except HypervisorError as error:
            log.info("the host is not described: %s", error)
            return False
        self.node = self.node or node
        self._changed(None)
        return await self._ask(describer, None)

    async def _ask(self, describer: Describer, vms: Iterable[Uuid] | None) -> bool:
        try:
            found = await describer.machines(vms, Deadline.after(ASK_SECONDS))
        except HypervisorError as error:
            log.info("VMs are not described: %s", error)
            return False
        new = frozenset(vm for vm, details in found.items() if self._machines.get(vm) != details)
        self._machines.update(found)
        gone = frozenset(vm for vm in set(vms or ()) - found.keys() if self._machines.pop(vm, None) is not None)
        if new or gone:
            self._changed(new | gone)
        return True


def _stirred_of(hypervisor: Hypervisor) -> asyncio.Queue[Uuid]:
    """The VMs of which events come."""
    stirred: asyncio.Queue[Uuid] = asyncio.Queue()
    hypervisor.subscribe(lambda event: stirred.put_nowait(event.vm))
    return stirred


async def _some(stirred: asyncio.Queue[Uuid], seconds: float) -> set[Uuid] | None:
    """The VMs of the next events; ``None`` if there are none for so long."""
    try:
        async with asyncio.timeout(seconds):
            vms = {await stirred.get()}
    except TimeoutError:
        return None
    await asyncio.sleep(APART)
    while not stirred.empty():
        vms.add(stirred.get_nowait())
    return vms
