"""One manager: asks it about its VMs and hosts, and tells it to stop and start them.  Decides nothing."""

from __future__ import annotations

import asyncio
import logging
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from fencebus_host.config.backends import ApiVersion, HostFencing, ManagerSettings
from fencebus_host.routers.ovirt import dialect, readings
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.lives import life_of
from fencebus_host.routers.ovirt.markup import MarkupError
from fencebus_host.routers.ovirt.pace import Pace
from fencebus_host.routers.ovirt.readings import HostReading, VmReading
from fencebus_host.routers.ovirt.session import Answer, Session
from fencebus_host.routers.ovirt.states import is_settled
from fencebus_host.routers.ovirt.steps import Seen
from fencebus_host.routers.ovirt.wire import nothing
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Uuid, as_uuid

log = logging.getLogger(__name__)

T = TypeVar("T")
Where = Callable[[ApiVersion], str] | str
Leave = Callable[[], None]
"""Asked directly before a request goes out; raises where it must not (S12)."""

LOOK_SECONDS = 5.0
"""For which an answer to a question is waited; then it is asked again."""
ACT_SECONDS = 4.0
"""For which an answer to a stop or start is waited.  A manager whose host is dying may take minutes to say that it
failed, and the VM's state tells sooner."""
POWER_SECONDS = 10.0
"""For a host's power management, which is slow by nature."""
AGAIN = 0.5


class Engine:
    """One manager."""

    def __init__(self, settings: ManagerSettings, state_dir: Path) -> None:
        self._settings = settings
        self._session = Session(settings, state_dir)
        self.pace = Pace()

    @property
    def name(self) -> str:
        """As logs and observations call it."""
        return self._settings.name

    @property
    def host_fencing(self) -> HostFencing:
        """What may be done about hosts that it has lost."""
        return self._settings.host_fencing

    async def close(self) -> None:
        """Give the connections back; idempotent."""
        await self._session.close()

    # -- questions ----------

    async def check(self, deadline: Deadline) -> None:
        """Return if the manager answers as one, and knows the account; raises ManagerError."""
        await self._asked("", readings.api_version, deadline.sooner(LOOK_SECONDS))

    async def list(self, deadline: Deadline) -> Sequence[VmReading]:
        """All VMs that the account sees; raises ManagerError."""
        return await _patiently(lambda: self._asked("/vms", readings.vms, deadline), deadline)

    async def find(self, target: str, deadline: Deadline) -> Sequence[VmReading]:
        """The VMs with this UUID, else with exactly this name; raises ManagerError.

        A state that may not last is read twice before it is believed: a VM whose state changed is found as it is then,
        and one that may be anything is found as unknown by whoever looks at its status.
        """
        found = await _patiently(lambda: self._find(target, deadline), deadline)
        if not all(is_settled(each.status) for each in found):
            await asyncio.sleep(min(AGAIN, deadline.remaining()))
            found = await _patiently(lambda: self._find(target, deadline), deadline)
        return found

    async def _find(self, target: str, deadline: Deadline) -> Sequence[VmReading]:
        vm = as_uuid(target)
        if vm is not None:
            return await self._by_uuid(vm, deadline)
        if not dialect.is_searchable(target):
            raise self._refuses(f"it cannot be asked for a VM with the name {target!r}: use the UUID")
        patience = deadline.sooner(LOOK_SECONDS)
        hits = await self._asked(lambda version: dialect.search_path(version, target), readings.vms, patience)
        if len(hits) >= dialect.MOST_HITS:
            raise self._refuses(f"too many VMs have names like {target!r}: use the UUID")
        return [each for each in hits if each.name == target]

    async def _by_uuid(self, vm: Uuid, deadline: Deadline) -> Sequence[VmReading]:
        try:
            found = await self._asked(dialect.vm_path(vm), readings.vm, deadline.sooner(LOOK_SECONDS))
        except ManagerError as error:
            if error.trouble is not Trouble.MISSING:
                raise
            # A manager that is starting says 404 to everything; only one that works knows that it has no such VM (S2).
            await self.check(deadline)
            return ()
        return [self._the_very(vm, found)]

    async def look(self, vm: Uuid, deadline: Deadline) -> Seen:
        """The VM as it is now; raises ManagerError."""
        asked_at = boottime()
        answer = await self._session.call("GET", dialect.vm_path(vm), deadline.sooner(LOOK_SECONDS))
        found = self._the_very(vm, self._read(answer, readings.vm))
        return Seen(found, asked_at, life_of(found, answer.made_at, boottime()))

    async def host(self, host: str, deadline: Deadline) -> HostReading:
        """A host; raises ManagerError, in particular for an account that is no administrator's."""
        return await self._asked(f"/hosts/{_id(host)}", readings.host, deadline.sooner(LOOK_SECONDS))

    async def power(self, host: str, deadline: Deadline) -> str:
        """What the host's power management says now; raises ManagerError."""
        return self._read(await self._fence(host, "status", deadline, nothing), readings.power_of)

    # -- acts ----------

    async def stop(self, vm: Uuid, deadline: Deadline, leave: Leave) -> None:
        """Have the VM's power cut.  Returns when the manager has accepted that, and proves nothing."""
        body = dialect.stop_body("fenced by its cluster")
        await self._session.call("POST", f"{dialect.vm_path(vm)}/stop", deadline.sooner(ACT_SECONDS), body, leave)

    async def start(self, vm: Uuid, deadline: Deadline, leave: Leave) -> None:
        """Have the VM started.  Returns when the manager has accepted that."""
        body = dialect.start_body()
        await self._session.call("POST", f"{dialect.vm_path(vm)}/start", deadline.sooner(ACT_SECONDS), body, leave)

    async def restart_host(self, host: str, deadline: Deadline, leave: Leave) -> None:
        """Have a host powered off and on.  Returns when the manager has accepted that."""
        await self._fence(host, "restart", deadline, leave)

    async def _fence(self, host: str, fence_type: str, deadline: Deadline, leave: Leave) -> Answer:
        path, body = f"/hosts/{_id(host)}/fence", dialect.fence_body(fence_type)
        return await self._session.call("POST", path, deadline.sooner(POWER_SECONDS), body, leave)

    # -- reading ----------

    async def _asked(self, path: Where, read: Callable[[ET.Element], T], patience: Deadline) -> T:
        return self._read(await self._session.call("GET", path, patience), read)

    def _read(self, answer: Answer, read: Callable[[ET.Element], T]) -> T:
        try:
            return read(answer.root)
        except MarkupError as error:
            raise ManagerError(self.name, Trouble.STRANGE, str(error)) from None

    def _the_very(self, vm: Uuid, found: VmReading) -> VmReading:
        """What was asked for: an answer about another VM says nothing about this one."""
        if found.uuid != vm:
            raise ManagerError(self.name, Trouble.STRANGE, f"asked for VM {vm} it describes {found.uuid}")
        return found

    def _refuses(self, text: str) -> ManagerError:
        return ManagerError(self.name, Trouble.REFUSED, text)


async def _patiently(ask: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
    """The answer, asked for again until the deadline while the manager is out of reach; raises ManagerError."""
    while True:
        try:
            return await ask()
        except ManagerError as error:
            if not error.passes or deadline.remaining() <= AGAIN:
                raise
        await asyncio.sleep(AGAIN)


def _id(host: str) -> str:
    return quote(host, safe="")
