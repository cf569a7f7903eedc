"""Asks one configured agent, within its slots and a deadline; a shell.

At most so many runs at once: hypervisor managers limit sessions and requests (facts: managers 6.2).  Looks leave one
slot to what changes power, so that guests that ask for ``status`` cannot hold up a fence.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable

from fencebus_agent.hypervisor import HypervisorError, HypervisorUnreachable
from fencebus_host.config.fence_agent_settings import AgentSettings
from fencebus_host.routers.fence_agent import process
from fencebus_host.routers.fence_agent.contract import (
    SEPARATOR,
    Finished,
    Options,
    Verb,
    secrets_of,
    stdin_text,
    without,
)
from fencebus_host.routers.fence_agent.metadata import Metadata, MetadataError, read_metadata, unknown_keys, why_unfit
from fencebus_host.routers.fence_agent.process import Account
from fencebus_host.routers.fence_agent.rights import why_cannot_run_as
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

POWER_MARGIN = 2.0
"""Seconds by which the agent's own patience with a power change is shorter than ours."""


class Agent:
    """One agent with its options."""

    def __init__(self, settings: AgentSettings, account: Account | None) -> None:
        self.name = settings.name
        self._program = settings.program
        self._account = account
        self._options: Options = settings.options
        self._secrets = secrets_of(settings.options)
        self._slots = asyncio.Semaphore(settings.at_most)
        self._looks = asyncio.Semaphore(max(1, settings.at_most - 1))
        self._learning = asyncio.Lock()
        self._metadata: Metadata | None = None

    async def metadata(self, deadline: Deadline) -> Metadata:
        """What the agent says of itself, asked once.  Raises HypervisorError if it cannot be a router."""
        async with self._soon(deadline, "its metadata did not come", self._learning):
            if self._metadata is None:
                self._metadata = self._fit(await self._learned(deadline))
            return self._metadata

    async def ask(
        self, verb: Verb, plug: str | None, deadline: Deadline, before: Callable[[], None] = lambda: None
    ) -> Finished:
        """One run, once there is a slot, directly after ``before``.  Raises HypervisorError if it cannot be started."""
        known = await self.metadata(deadline)
        async with self._slot(verb, deadline):
            before()
            return await self._run(verb, self._ours(known, plug, deadline.remaining()), deadline)

    def _ours(self, known: Metadata, plug: str | None, seconds: float) -> Options:
        """What we add to the administrator's options, as far as the agent knows it."""
        given = {key.replace("-", "_") for key, _ in self._options}
        patience = str(max(1, int(seconds - POWER_MARGIN)))
        own = {"power_timeout": patience, "timeout": patience}
        added = [(key, value) for key, value in own.items() if key in known.parameters - given]
        # `delay` belongs to who asked; the separator to what we can read.
        fixed = {"delay": "0", "separator": SEPARATOR}
        added += [(key, value) for key, value in fixed.items() if key in known.parameters]
        return (*added, *([(known.plug_key, plug)] if plug is not None else []))

    async def _run(self, verb: Verb, ours: Options, deadline: Deadline) -> Finished:
        if lacking := why_cannot_run_as(self._account):
            raise HypervisorError(self.name, lacking)
        options = () if verb is Verb.METADATA else self._options
        began = time.monotonic()
        try:
            run = await process.run(self._program, stdin_text(options, verb, ours), self._account, deadline)
        except OSError as error:
            raise HypervisorError(self.name, f"{self._program} cannot be run: {error.strerror or error}") from error
        run = dataclasses.replace(run, complaint=without(self._secrets, run.complaint))
        trouble = f" {run.trouble}" if run.status != 0 else ""
        log.debug("%s: %s took %.2f s%s", self.name, verb.value, time.monotonic() - began, trouble)
        return run

    @contextlib.asynccontextmanager
    async def _slot(self, verb: Verb, deadline: Deadline) -> AsyncIterator[None]:
        needed = (self._slots,) if verb.changes else (self._looks, self._slots)
        async with self._soon(deadline, "every slot (`at_most`) was taken", *needed):
            yield

    @contextlib.asynccontextmanager
    async def _soon(
        self, deadline: Deadline, why_not: str, *turns: asyncio.Lock | asyncio.Semaphore
    ) -> AsyncIterator[None]:
        """Hold all of these; raises HypervisorUnreachable if they are not to be had by the deadline (S9)."""
        async with contextlib.AsyncExitStack() as held:
            try:
                async with asyncio.timeout(deadline.remaining()):
                    for turn in turns:
                        await held.enter_async_context(turn)
            except TimeoutError:
                raise HypervisorUnreachable(self.name, f"{why_not} until the deadline") from None
            yield

    async def _learned(self, deadline: Deadline) -> Metadata:
        run = await self._run(Verb.METADATA, (), deadline)
        if not run.done:
            raise HypervisorError(self.name, f"{self._program} tells no metadata: {run.trouble}")
        try:
            return read_metadata(run.output)
        except MetadataError as error:
            raise HypervisorError(self.name, f"{self._program}: {error}") from error

    def _fit(self, known: Metadata) -> Metadata:
        unfit = why_unfit(known)
        if unfit:
            raise HypervisorError(self.name, f"{self._program} is no way to VMs: {unfit}")
        wrong = unknown_keys(known, [key for key, _ in self._options])
        if wrong:
            # The agent would ignore them with no more than a warning.
            raise HypervisorError(self.name, f"its options file has keys that it does not know: {', '.join(wrong)}")
        return known
