"""Decides what waits while a fence or a start is carried out here: what nobody waits for, and not for long."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from fencebus_schemas.model import Uuid

MOST_SECONDS = 0.02
"""An act that takes longer than this keeps nothing waiting: a hypervisor may need seconds for one."""


class Haste:
    """One host's.  What is put off is done in its order, as soon as something that was hurried is over: then comes the
    news of that.

    Whoever asked for a fence waits for a kill and for its being on the disk, some milliseconds together.  To tell all
    others of the change meanwhile, and of what else is news, makes it longer.  Looks are not put off: what a guard's
    first look sees counts (``decisions/fence-across-hosts.md``).
    """

    def __init__(self) -> None:
        self._hurried = Counter[Uuid]()
        self._later = deque[Callable[[], None]]()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, vm: Uuid) -> None:
        """Something is done to the VM that somebody waits for."""
        self._hurried[vm] += 1

    def end(self, vm: Uuid) -> None:
        """It is over, and told."""
        self._hurried -= Counter((vm,))
        if not self._hurried[vm]:
            self.catch_up()

    def after(self, call: Callable[[], None]) -> None:
        """Call it at once, if nothing is hurried; else in a while, behind all that waits already."""
        if self._hurried or self._later:
            self.put_off(call)
        else:
            call()

    def put_off(self, call: Callable[[], None]) -> None:
        """Call it in a while."""
        self._later.append(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MOST_SECONDS, self.catch_up)

    def catch_up(self) -> None:
        """Do all that was put off.  What one of them raises is raised, and what is behind it waits once more."""
        later = self._forgotten()
        try:
            while later:
                later.popleft()()
        finally:
            for call in later:
                self.put_off(call)

    def give_up(self) -> None:
        """Nothing of it is to be done any more."""
        self._forgotten()

    def _forgotten(self) -> deque[Callable[[], None]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        later, self._later = self._later, deque()
        return later
