"""Decides which life a manager's description shows, and when on this host's clock it began at the latest.  Pure.

The manager says when a VM was started, and each of its answers when it was made: both by its own clock, so that the
difference is an age (S12), whatever this host's clock says.
"""

from __future__ import annotations

from fencebus_host.routers.ovirt.readings import VmReading
from fencebus_schemas.model import Life


def life_of(vm: VmReading, made_at: float | None, arrived_at: float) -> Life | None:
    """The life that ``vm`` has, or had last; ``None`` if the manager does not say when it began.

    ``made_at``: the whole second, by the manager's clock, in which the answer was made.  ``arrived_at``:
    CLOCK_BOOTTIME at its arrival.  The age is at least the difference, so that the beginning is rounded up; a life
    that seems to begin in the future has just begun.
    """
    if vm.started is None:
        return None
    mark = f"started {vm.started:.3f}"
    if made_at is None:
        return Life(mark)
    return Life(mark, arrived_at - max(made_at - vm.started, 0.0))
