"""Decides in which words it is told who asks for a power action: who is behind an address, a line, an order.  Pure.

For people, in logs, history and status; policy reads the ``Source`` alone.
"""

from __future__ import annotations

from collections.abc import Callable

from fencebus_schemas.model import FenceRequest, Uuid

NameOf = Callable[[Uuid], str]
"""The name of a VM as it was last seen, from memory; empty if it is not known."""


def nameless(_vm: Uuid) -> str:
    """No VM's name is known."""
    return ""


def asked_by(request: FenceRequest, name_of: NameOf = nameless) -> str:
    """Who is behind the source of ``request``: what its listener knows, else the guest's name, else its UUID.

    Empty where nothing more is known than the source says.
    """
    source = request.source
    if request.by or source.vm is None:
        return request.by
    name = source.vm_name or name_of(source.vm)
    return name or ("" if source.text == source.vm else source.vm)
