"""Builds the part of the daemon that monitoring reads, where the configuration wants one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from fencebus_host.assembly import Core
from fencebus_host.config.metrics_key import MetricsAddress
from fencebus_host.control_desk import HasState
from fencebus_host.control_view import View
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.metrics.door import serve
from fencebus_host.metrics.reading import reader
from fencebus_host.metrics.tally import Tally
from fencebus_host.supervision import Part, Ready

NAME = "metrics"
MISSING = "the Python module prometheus_client is not installed (Debian: python3-prometheus-client)"


def build_metrics(
    address: MetricsAddress | None,
    core: Core,
    refusals: Refusals,
    view: Callable[[], View],
    parts: Callable[[], Iterable[HasState]],
    changed: Callable[[], None],
) -> list[Part]:
    """One part, or none where nobody reads any figures; it counts from now on."""
    if address is None:
        return []
    tally = Tally()
    core.service.join(tally)
    refusals.join(tally.turned_away)
    read = reader(core, view, parts, time.time())

    async def run(ready: Ready) -> None:
        try:
            from fencebus_host.metrics.families import Figures
        except ImportError:
            raise OSError(MISSING) from None
        await serve(address.host, address.port, Figures(tally, read).text, ready)

    return [Part(NAME, run, changed)]
