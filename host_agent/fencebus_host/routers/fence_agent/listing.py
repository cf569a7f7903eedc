"""Converts the output of an agent's ``list`` into plugs; what could be read in two ways is left out.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fencebus_host.routers.fence_agent.contract import SEPARATOR, Power
from fencebus_host.routers.fence_agent.plugs import Plug, derived_uuid, may_be_listed
from fencebus_schemas.model import as_uuid

# C's fence_virt: "%-32s %s %s", name, UUID, on or off.
_XVM = re.compile(r"(?P<name>\S(?:.*\S)?)\s+(?P<uuid>[0-9a-fA-F-]{36})\s+(?P<state>\S+)")
_POWER = {"ON": Power.ON, "OFF": Power.OFF}
_MOST_PLUGS = 20_000


@dataclass(frozen=True, slots=True)
class Listing:
    """What one list has brought."""

    plugs: tuple[Plug, ...]
    left_out: tuple[str, ...] = ()
    """Lines that name a VM, but not in a way that is safe to use."""


def read_list(output: str, place: str, with_status: bool) -> Listing:
    """The plugs in the output of ``list``, or with their power of ``list-status``.

    ``place`` makes the UUIDs of plugs that have none.  A plug that occurs twice is left out both times.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    read = [(line, _plug(line, place, with_status)) for line in lines[:_MOST_PLUGS] if _is_row(line)]
    found = [plug for _, plug in read if plug is not None]
    times = Counter(plug.plug for plug in found)
    kept = tuple(plug for plug in found if times[plug.plug] == 1)
    return Listing(kept, tuple(line for line, plug in read if plug is None or times[plug.plug] > 1))


def _is_row(line: str) -> bool:
    return line != "N/A" and not line.upper().startswith("NOTICE:")


def _plug(line: str, place: str, with_status: bool) -> Plug | None:
    columns = _columns(line, with_status)
    if columns is None:
        return _xvm(line)
    plug, alias, *state = columns
    if not may_be_listed(plug):
        return None
    power = _POWER.get(state[0].strip().upper(), Power.UNKNOWN) if state else Power.UNKNOWN
    uuid = as_uuid(alias) or derived_uuid(place, plug)
    return Plug(uuid, plug if as_uuid(alias) else alias or plug, plug, power)


def _columns(line: str, with_status: bool) -> Sequence[str] | None:
    """Plug, alias and perhaps state.  Behind a comma as separator a name with a comma would name another VM."""
    wanted = 3 if with_status else 2
    for separator in (SEPARATOR, ","):
        parts = line.split(separator)
        if len(parts) == wanted:
            return [part.strip() for part in parts]
        if len(parts) > 1:
            return None
    return None


def _xvm(line: str) -> Plug | None:
    found = _XVM.fullmatch(line)
    uuid = as_uuid(found["uuid"]) if found else None
    if found is None or uuid is None or not may_be_listed(found["name"]):
        return None
    # "on" there is also said of a VM whose state nobody knows; "off" is not proof either: both are read again.
    return Plug(uuid, found["name"], found["name"], _POWER.get(found["state"].upper(), Power.UNKNOWN))
