"""Runs a program on the released qmf.console, whose broker is a broker in memory."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from fencebus_agent.bus import Address, BusError, BusMessage, HeaderValue, Priority
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_schemas.amqp010 import decode_map, encode_map
from tests.agent.qpid.released import Released
from tests.hypervisors import soon

HERE = Path(__file__).parent
PATIENCE = 40.0  # seconds that a program has for whatever a test waits for, on a machine under load
PROMPT = "qpid: "


class Program:
    """One that runs: what it says, and what is said to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self.transcript = ""

    async def line(self) -> str:
        """What it says next."""
        return await self._hear("\n")

    async def ask(self, command: str = "") -> str:
        """Give qpid-tool a command, and return what it says until it asks for the next one."""
        if command:
            self._say(command)
        return (await self._hear(PROMPT)).removesuffix(PROMPT)

    async def call(self, command: str, expected: str) -> None:
        """Give qpid-tool a command whose outcome it says at some time, and return once it has."""
        self._say(command)
        await self._hear(expected)

    async def until(self, command: str, *expected: str, without: str = "\0") -> str:
        """Ask again and again until it says all that is expected."""
        for _ in range(int(PATIENCE / 0.1)):
            said = await self.ask(command)
            if all(one in said for one in expected) and without not in said:
                return said
            await asyncio.sleep(0.1)
        raise AssertionError(f"{command!r} never said {expected}:\n{self.transcript[-5000:]}")

    def _say(self, command: str) -> None:
        self.transcript += f"<<< {command}\n"
        self._stdin.write(f"{command}\n".encode())

    async def _hear(self, end: str) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                said = (await self._stdout.readuntil(end.encode())).decode()
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise AssertionError(f"it never said {end!r}:\n{self.transcript[-5000:]}") from error
        self.transcript += said
        return said


class Wire:
    """Carries what the console sends and binds to a bus, and what comes there to the console."""

    def __init__(self, bus: MemoryBus, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._bus, self._reader, self._writer = bus, reader, writer
        self._bound = 0
        self.sent: list[BusMessage] = []

    async def run(self) -> None:
        """Until the console ends."""
        while text := await self._reader.readline():
            line = json.loads(text)
            if "bind" in line:
                self._bind(Address(*line["bind"]))
            else:
                await self._send(line)

    def _bind(self, address: Address) -> None:
        self._bus.subscribe(address, self._deliver)
        self._bound += 1
        if self._bound == 2:  # both places for answers: from here on it works as after qpidd's greeting
            self._writer.write(b'{"stable": true}\n')

    async def _send(self, line: dict[str, Any]) -> None:
        headers: tuple[tuple[str, HeaderValue], ...] = tuple(
            (name, str(value)) for name, value in decode_map(base64.b64decode(line["headers"])).items()
        )
        message = BusMessage(
            base64.b64decode(line["body"]),
            line["content_type"],
            headers,
            Address(*line["reply_to"]),
            line["correlation_id"],
            app_id=line["app_id"],
        )
        self.sent.append(message)
        with contextlib.suppress(BusError):  # what qpidd would answer, nobody here does
            await self._bus.send(Address(line["exchange"], line["key"]), message, soon(), Priority.COMMAND)

    def _deliver(self, message: BusMessage) -> None:
        line = {
            "exchange": message.to.exchange,
            "content_type": message.content_type,
            "correlation_id": message.correlation_id,
            "headers": base64.b64encode(encode_map(dict(message.headers))).decode(),
            "body": base64.b64encode(message.body).decode(),
        }
        self._writer.write(json.dumps(line).encode() + b"\n")


@contextlib.asynccontextmanager
async def running(
    released: Released, broker: MemoryBroker, program: Path, *arguments: str, user: str = "console"
) -> AsyncIterator[Program]:
    """The program, once it has said that it is ready; its messages go over ``broker`` in the name of ``user``."""
    ours, its = socket.socketpair()
    command: Sequence[str | Path] = (released.python, "-u", HERE / "wire.py2", str(its.fileno()), program, *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=released.environment,
        pass_fds=[its.fileno()], limit=2**24,
    )  # fmt: skip
    its.close()
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=2**24)
    bus = MemoryBus(broker, user, user)
    wire = Wire(bus, reader, writer)
    tasks = [asyncio.create_task(bus.run()), asyncio.create_task(wire.run())]
    try:
        made = Program(process)
        await made.ask()
        writer.write(b"{}\n")
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
