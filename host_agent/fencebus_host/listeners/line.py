"""Serves one line: finds the requests in what the guest writes, has them carried out, writes the replies.

Wire: facts, fence-virt 2.6.  The guest is known by its line; nothing that it writes can make it another.  A guest
that floods its line or stops reading stands in nobody's way but its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host.line_allowance import Allowance
from fencebus_host.line_session import LineTurns, Turn
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.ports import Answer, Handle
from fencebus_host.replies import line_reply
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import FenceRequest, RequestId, Source
from fencebus_schemas.serialline import RequestReader, SerialRequest

log = logging.getLogger(__name__)

PARTIAL_SECONDS = 1.0
"""As C: how long the rest of a request may take; a half-written request of a dead program must not eat the next one."""
REPLY_SECONDS = 10.0
"""How long a reply waits for the guest to read the one before it."""
MOST_AT_ONCE = 8
"""Requests of one line that are carried out at the same time: the newest, and power actions that have begun."""
CHUNK = 4096
CHUNK_SECONDS = 0.0001
"""What it takes to read a chunk, apart from looking for requests in it."""


@dataclass(frozen=True, slots=True)
class LineTerms:
    """Whose line it is, and for how long its requests have patience."""

    source: Source
    via: str
    patience: float


@dataclass(frozen=True, slots=True)
class _Job:
    """A request that has its turn."""

    turn: Turn
    wire: SerialRequest
    writer: asyncio.StreamWriter


class LineSession:
    """One open line."""

    def __init__(
        self, terms: LineTerms, handle: Handle, refusals: Refusals, clock: Callable[[], float] = boottime
    ) -> None:
        self._terms = terms
        self._handle = handle
        self._refusals = refusals
        self._clock = clock
        self._turns = LineTurns()
        self._reader = RequestReader()
        self._allowance = Allowance(clock())
        self._next: _Job | None = None
        self._running: dict[asyncio.Task[None], Turn] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the line ends; raises OSError if it breaks."""
        # drain() is to wait until the kernel has everything: a reply goes out when the one before it has gone.
        writer.transport.set_write_buffer_limits(0)
        try:
            while data := await self._read(reader):
                began = self._clock()
                self._take(data, writer)
                # With nothing to wait for it still lets the other lines have their turn.
                await asyncio.sleep(self._pause_since(began))
        finally:
            self._turns.hang_up()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """The next bytes; half a request whose rest does not come in time is dropped."""
        if not self._reader.pending:
            return await reader.read(CHUNK)
        try:
            async with asyncio.timeout(PARTIAL_SECONDS):
                return await reader.read(CHUNK)
        except TimeoutError:
            self._reader.discard()
            self._refuse("partial", f"the rest of a request did not arrive within {PARTIAL_SECONDS:g} s")
            return await reader.read(CHUNK)

    def _take(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        requests = self._reader.feed(data)
        for request in requests:
            self._received(request, writer)
        if not requests and not self._reader.pending:
            self._refuse("noise", f"{len(data)} bytes that are no request")

    def _pause_since(self, began: float) -> float:
        now = self._clock()
        pause = self._allowance.pause_after(now - began + CHUNK_SECONDS, now)
        if pause:
            self._refuse("flood", "more bytes than anybody who fences can have to say; they are read slowly")
        return pause

    def _refuse(self, code: str, detail: str) -> None:
        self._refusals.tell(self._terms.via, self._terms.source.text, WireError(code, detail))

    # -- requests ----------

    def _received(self, wire: SerialRequest, writer: asyncio.StreamWriter) -> None:
        log.debug("via=%s source=%s received %s", self._terms.via, self._terms.source.text, wire)
        turn = self._turns.take(wire, self._clock())
        if turn is None:
            return
        for task, other in self._running.items():
            # Nobody will read its answer, and nothing hangs on it.
            if not other.action.changes:
                task.cancel()
        self._next = _Job(turn, wire, writer)
        self._begin()

    def _begin(self) -> None:
        """Carry out the newest request, if there is room; one that came before it and still waits is forgotten."""
        job = self._next
        if job is None or len(self._running) >= MOST_AT_ONCE:
            return
        self._next = None
        if job.turn.current:
            task = asyncio.create_task(self._answer(job), name=f"line {self._terms.source.text}")
            self._running[task] = job.turn
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._begin()

    async def _answer(self, job: _Job) -> None:
        turn = job.turn
        try:
            answer = await self._handle(self._request(job), lambda: turn.current)
            if turn.current:
                await self._reply(turn, answer, job.writer)
        except (OSError, TimeoutError) as error:
            why = str(error) or "it has not read the one before"
            log.info("via=%s source=%s does not take its reply: %s", self._terms.via, self._terms.source.text, why)
        finally:
            self._turns.end(turn)

    def _request(self, job: _Job) -> FenceRequest:
        received_at = self._clock()
        return FenceRequest(
            id=RequestId(secrets.token_hex(16)),
            action=job.turn.action,
            target=job.wire.domain if job.turn.action.has_target else "",
            source=self._terms.source,
            via=self._terms.via,
            deadline=Deadline(received_at + self._terms.patience, self._clock),
            received_at=received_at,
            seqno=job.wire.seqno,
        )

    async def _reply(self, turn: Turn, answer: Answer, writer: asyncio.StreamWriter) -> None:
        """A guest that does not read keeps what the kernel holds for it, and gets nothing more."""
        if writer.transport.get_write_buffer_size():
            async with asyncio.timeout(REPLY_SECONDS):
                await writer.drain()
        if turn.current:
            writer.write(line_reply(answer))
            self._turns.answered(turn, self._clock())
