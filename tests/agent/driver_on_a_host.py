"""Runs our driver by itself, on the host of a test that cannot be there.

python3 -m tests.agent.driver_on_a_host HOST [marks]  in:  off UUID | find UUID | look UUID, a line each
                                                      out: a JSON list a line: what was heard, and what became of it
"""

from __future__ import annotations

import asyncio
import json
import sys

from fencebus_agent.hypervisor import DomainEvent, HypervisorError
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Observation, Uuid
from tests.hypervisors import allow, serving

OFF_SECONDS = 20.0


async def main() -> None:
    """Obey until the end of the input."""
    host = sys.argv[1]
    me = HostId(host), Incarnation("boot", host, "nonce")
    hypervisor = LibvirtHypervisor("qemu:///system", *me, marks="marks" in sys.argv)
    hypervisor.subscribe(lambda event: tell("heard", *_words(event)))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serving(hypervisor):
        tell("ready")
        async with asyncio.TaskGroup() as errands:
            while line := await reader.readline():
                verb, vm = line.decode().split()
                errands.create_task(ERRANDS[verb](hypervisor, Uuid(vm)))


async def off(hypervisor: LibvirtHypervisor, vm: Uuid) -> None:
    """End it, and tell what was observed."""
    try:
        seen = await hypervisor.power_off(vm, Deadline.after(OFF_SECONDS), allow)
    except HypervisorError as error:
        tell("off", vm, "error", str(error), False, False)
    else:
        tell("off", vm, *_fields(seen))


async def find(hypervisor: LibvirtHypervisor, vm: Uuid) -> None:
    """Tell its state."""
    record = await hypervisor.find(vm, Deadline.after(OFF_SECONDS))
    tell("find", vm, record.state.value if record else "nothing")


async def look(hypervisor: LibvirtHypervisor, vm: Uuid) -> None:
    """Tell what other hosts would be told."""
    seen = await hypervisor.look(vm, Deadline.after(OFF_SECONDS))
    mark = seen.life.mark if seen.life else ""
    tell("look", vm, seen.state.value, seen.in_flight, mark, json.dumps((seen.ended, seen.left)))


ERRANDS = {"off": off, "find": find, "look": look}


def _words(event: DomainEvent) -> tuple[str, str, str]:
    return event.vm, event.kind, event.detail


def _fields(seen: Observation) -> tuple[str, str, bool, bool]:
    return seen.state.value, seen.proof.value, seen.migration_in_flight, seen.ended is not None


def tell(*words: str | bool) -> None:
    """One line to the test."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
