"""Decides which plug a guest's word stands for: by our own map alone, so that no text of a guest reaches an agent.
Pure.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fencebus_host.routers.fence_agent.contract import Power
from fencebus_schemas.model import Uuid, as_uuid

_NAMESPACE = uuid.UUID("5f1c1f0e-6a57-4c39-9c6d-1f1b64e0a5c4")
# Some agents put the plug into a command line on another machine (fence_virsh: into a shell's, unquoted).
_LISTED = re.compile(r"[\w.:@/+][\w.:@/+-]*")
_NEVER = re.compile(r"""[,;&|`$<>"'\\*?\n\r\0]""")
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Plug:
    """A VM as one agent can name it."""

    vm: Uuid
    name: str
    plug: str
    """What the agent is told."""
    power: Power = Power.UNKNOWN
    """As a list said, if it said so."""


def why_bad(plug: str) -> str:
    """Why an administrator's plug must not be given to an agent; empty if it may.

    A comma separates plugs: one request must not hit two VMs (facts: managers 6.2).
    """
    if not plug or len(plug) > _LONGEST:
        return f"must have 1 to {_LONGEST} characters"
    if plug != plug.strip() or plug.startswith(("-", "#")):
        return "must not begin with - or #, nor begin or end with a blank"
    if _NEVER.search(plug) or not plug.isprintable():
        return "must hold no separator (,), quote, wildcard or sign that a shell takes for its own"
    return ""


def may_be_listed(plug: str) -> bool:
    """Whether a plug that only a list names may be given to an agent: whoever names VMs there chose its letters."""
    return len(plug) <= _LONGEST and _LISTED.fullmatch(plug) is not None


def derived_uuid(place: str, plug: str) -> Uuid:
    """The UUID that stands for a plug where the agent knows none: always the same for the same plug of one place."""
    return as_uuid(plug) or Uuid(str(uuid.uuid5(_NAMESPACE, f"{place}\0{plug}")))


def matching(plugs: Iterable[Plug], target: str) -> Sequence[Plug]:
    """The VMs that a guest's word may stand for: by UUID, else exactly by name or plug.

    Several are ambiguous (S8): the caller brings them all, and the verdict refuses.
    """
    wanted = as_uuid(target)
    if wanted is not None:
        return [each for each in plugs if each.vm == wanted]
    return [each for each in plugs if target in (each.name, each.plug)]


def with_power(mapped: Iterable[Plug], listed: Iterable[Plug]) -> Sequence[Plug]:
    """The administrator's map, with what a list says of the same plugs; it adds no VM and changes no name."""
    powers = {each.plug: each.power for each in listed}
    return [replace(each, power=powers.get(each.plug, each.power)) for each in mapped]
