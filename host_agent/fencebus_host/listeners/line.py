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

from fencebus_host.line_session import LineTurns, Turn
from fencebus_host.ports import Answer, Handle
from fencebus_host.replies import line_reply
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import FenceRequest, RequestId, Source
from fencebus_schemas.serialline import RequestReader, SerialRequest

log = logging.getLogger(__name__)

PARTIAL_SECONDS = 1.0
"""As C: how long the rest of a request may take; a half-written request of a dead program must not eat the next one."""
REPLY_SECONDS = 10.0
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class LineTerms:
    """Whose line it is, and for how long its requests have patience."""

    source: Source
    via: str
    patience: float


class LineSession:
    """One open line."""

    def __init__(self, terms: LineTerms, handle: Handle, clock: Callable[[], float] = boottime) -> None:
        self._terms = terms
        self._handle = handle
        self._clock = clock
        self._turns = LineTurns()
        self._reader = RequestReader()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the line ends; raises OSError if it breaks."""
        try:
            while data := await self._read(reader):
                for request in self._reader.feed(data):
                    self._received(request, writer)
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
            return await reader.read(CHUNK)

    def _received(self, wire: SerialRequest, writer: asyncio.StreamWriter) -> None:
        log.debug("via=%s source=%s received %s", self._terms.via, self._terms.source.text, wire)
        turn = self._turns.take(wire)
        if turn is None:
            return
        task = asyncio.create_task(self._answer(turn, wire, writer), name=f"line {self._terms.source.text}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, turn: Turn, wire: SerialRequest, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._handle(self._request(turn, wire), lambda: turn.current)
            if turn.current:
                await self._reply(answer, writer)
        except (OSError, TimeoutError) as error:
            log.info("via=%s source=%s does not take its reply: %s", self._terms.via, self._terms.source.text, error)
        finally:
            self._turns.end(turn)

    def _request(self, turn: Turn, wire: SerialRequest) -> FenceRequest:
        received_at = self._clock()
        return FenceRequest(
            id=RequestId(secrets.token_hex(16)),
            action=turn.action,
            target=wire.domain if turn.action.has_target else "",
            source=self._terms.source,
            via=self._terms.via,
            deadline=Deadline(received_at + self._terms.patience, self._clock),
            received_at=received_at,
            seqno=wire.seqno,
        )

    async def _reply(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        """A guest that does not read keeps what is in its buffer, and gets nothing more."""
        if writer.transport.get_write_buffer_size():
            log.info("via=%s source=%s has not read its last reply", self._terms.via, self._terms.source.text)
            return
        writer.write(line_reply(answer))
        async with asyncio.timeout(REPLY_SECONDS):
            await writer.drain()
