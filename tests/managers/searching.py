"""Decides which VMs a search finds, as an engine does: without case unless told so, with ``*`` as a wildcard."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.managers.world import FaultError, Vm

_QUERY = re.compile(r'\s*(?:name\s*=\s*(?:"([^"]*)"|(\S+)))?(?:\s*page\s+\d+)?\s*')


def found(vms: Iterable[Vm], search: str, case_sensitive: bool, most: int | None) -> list[Vm]:
    """The VMs that ``search`` finds, at most ``most``."""
    query = _QUERY.fullmatch(search)
    if query is None:
        raise FaultError(400, "Operation Failed", "[the search cannot be understood]")
    name = query[1] if query[1] is not None else query[2]
    hits = [vm for vm in vms if name is None or _matches(vm.name, name, case_sensitive)]
    return hits if most is None else hits[:most]


def _matches(name: str, wanted: str, case_sensitive: bool) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return re.fullmatch(pattern, name, 0 if case_sensitive else re.IGNORECASE) is not None
