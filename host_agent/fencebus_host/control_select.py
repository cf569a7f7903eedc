"""Decides which VMs of a view are told, in which order.  Pure: nobody reads ten thousand rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice

from fencebus_schemas.status import VmStatus


@dataclass(frozen=True, slots=True)
class Selection:
    """Which VMs are asked for."""

    names: tuple[str, ...] = ()
    """Names, the beginnings of UUIDs, or patterns with ``*`` and ``?``; all VMs if there are none."""
    host: str = ""
    """Only what this host has or knows."""
    cluster: str = ""
    problems: bool = False
    """Only VMs with something odd about them."""
    first: int = 0
    """How many to leave out at the beginning."""
    most: int | None = None
    """How many to tell; all of them if that is ``None``."""


class Order:
    """The VMs of the newest view by name as people count (node2 before node10): sorted anew once a VM has changed."""

    def __init__(self) -> None:
        self._last: tuple[Mapping[str, VmStatus], tuple[VmStatus, ...]] = ({}, ())

    def of(self, vms: Mapping[str, VmStatus]) -> tuple[VmStatus, ...]:
        """All of a view, which stays as it is; may be called from any thread."""
        known, ordered = self._last
        if known is not vms:
            ordered = tuple(sorted(vms.values(), key=lambda vm: (natural(vm.name), vm.uuid)))
            self._last = vms, ordered
        return ordered


def select(ordered: Iterable[VmStatus], selection: Selection) -> tuple[VmStatus, ...]:
    """The chosen ones, as far as they are wanted, in the order in which they came."""
    chosen = (vm for vm in ordered if is_chosen(vm, selection))
    until = None if selection.most is None else selection.first + selection.most
    return tuple(islice(chosen, selection.first, until))


def is_chosen(vm: VmStatus, selection: Selection) -> bool:
    """Whether a VM is asked for."""
    return (
        (not selection.names or any(_matches(vm, name) for name in selection.names))
        and (not selection.host or any(claim.host == selection.host for claim in vm.claims))
        and (not selection.cluster or vm.cluster == selection.cluster)
        and (not selection.problems or bool(vm.troubles))
    )


@lru_cache(maxsize=200_000)
def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key by which digits sort as numbers."""
    return tuple((int(digits or -1), word) for word, digits in re.findall(r"(\D*)(\d{0,18})", text.lower()))


def _matches(vm: VmStatus, name: str) -> bool:
    return fnmatchcase(vm.name, name) or (len(name) >= 4 and vm.uuid.startswith(name.lower()))
