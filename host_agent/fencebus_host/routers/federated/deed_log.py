"""Decides which of the records that are kept deserves a log line: what was done here for another host's request.

So that all that a request has done anywhere is found under its id; the host where it arrived has its two lines anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container

from fencebus_host.effects import Deed, Kept
from fencebus_host.log_fields import about
from fencebus_host.routers.federated.carrier import Keeper
from fencebus_schemas.model import RequestId

log = logging.getLogger(__name__)


class LoggedDeeds:
    """Implements ``Keeper`` by another, and logs what went through."""

    def __init__(self, keeper: Keeper, own: Container[RequestId]) -> None:
        """``own`` holds the requests that arrived here and are not over."""
        self._keeper, self._own = keeper, own

    async def keep(self, record: Kept) -> bool:
        """As the other."""
        own = isinstance(record, Deed) and record.request in self._own
        kept = await self._keeper.keep(record)
        if isinstance(record, Deed) and not own:
            # Whoever waits for the disk goes first.
            asyncio.get_running_loop().call_soon(_tell, record, kept)
        return kept


def _tell(deed: Deed, kept: bool) -> None:
    act, seen = "start" if deed.boot else "kill", deed.observation
    written = "" if kept else ", which could not be written down"
    if seen is None:
        reason = deed.refusal.value if deed.refusal else "nothing-done"
        fields = about(request_id=deed.request, event="deed", act=act, reason=reason)
        log.info("deed request=%s act=%s reason=%s %s%s", deed.request, act, reason, deed.text, written, extra=fields)
        return
    fields = about(
        request_id=deed.request, event="deed", act=act, target=seen.vm, state=seen.state.value, proof=seen.proof.value
    )
    what = f"vm={seen.vm} was={seen.was.value} state={seen.state.value} proof={seen.proof.value!r}"
    log.info("deed request=%s act=%s %s %s%s", deed.request, act, what, seen.detail, written, extra=fields)
