"""Generates load: asks a daemon over and over, a fixed number of requests in flight, and tallies how each went.

It speaks the protocol itself, on fencebus_schemas, so that no client's start-up stands between two requests; it is
one thread on one selector, and the same for every daemon.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Send, guest_side
from fencebus_schemas.xvm import ACTION_STATUS, FAMILY_IPV4, RANDOM_LENGTH, REPLY_SUCCESS, XvmRequest
from tests.bench.rivals import GROUP, Transport

PATIENCE = 30.0  # seconds, as the clients: an unanswered request is an error then
RETRANSMIT = 2.0  # seconds, as the clients: a datagram that nobody calls back for is sent again
LOOK = 0.1  # seconds between two looks at what has waited too long
FIRST_CALL_BACK_PORT = 20_000


@dataclass(frozen=True, slots=True)
class Wait:
    """What an exchange waits for: the socket, readable or writable, until the time."""

    socket: socket.socket
    events: int
    until: float


Exchange = Generator[Wait, bool, None]
"""Yields what it waits for, and gets whether that came about in time."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom to ask for what."""

    transport: Transport
    port: int
    key: bytes
    vm: str
    action: int = ACTION_STATUS


@dataclass(slots=True)
class Tally:
    """How the requests of one run went."""

    waits: list[float] = field(default_factory=list)
    """Seconds from asking to the answer, of those that were answered."""
    errors: list[tuple[float, str]] = field(default_factory=list)
    """(seconds, why) of the others."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.waits) / self.seconds

    @property
    def asked(self) -> int:
        """All requests."""
        return len(self.waits) + len(self.errors)

    @property
    def worst(self) -> float:
        """The longest wait of any request, in seconds, answered or not."""
        return max([*self.waits, *(wait for wait, _ in self.errors)], default=0.0)

    def add(self, other: Tally) -> None:
        """Take in another run of the same kind."""
        self.waits += other.waits
        self.errors += other.errors
        self.seconds += other.seconds


def ask_for(aim: Aim, in_flight: int, seconds: float) -> Tally:
    """Ask so many at a time for so long, then wait for the last answers; how it went."""
    tally = Tally()
    began = time.monotonic()
    asking = [_keep_asking(aim, slot, began + seconds, tally) for slot in range(in_flight)]
    _run(asking)
    tally.seconds = time.monotonic() - began
    return tally


def ask_once(aim: Aim) -> Tally:
    """One request."""
    return ask_for(aim, 1, 0.0)


def ask_each(aims: Sequence[Aim], in_flight: int) -> Tally:
    """Ask each once, so many at a time; how it went."""
    tally = Tally()
    began = time.monotonic()
    left = iter(aims)
    _run([_ask_next(left, slot, tally) for slot in range(in_flight)])
    tally.seconds = time.monotonic() - began
    return tally


def _ask_next(left: Iterator[Aim], slot: int, tally: Tally) -> Exchange:
    for aim in left:
        yield from _asked(aim, slot, secrets.randbelow(1 << 32), tally)


def _keep_asking(aim: Aim, slot: int, until: float, tally: Tally) -> Exchange:
    numbers = count(secrets.randbelow(1_000_000))
    while True:
        yield from _asked(aim, slot, next(numbers) & 0xFFFFFFFF, tally)
        if time.monotonic() >= until:
            return


def _asked(aim: Aim, slot: int, number: int, tally: Tally) -> Exchange:
    began = time.monotonic()
    try:
        yield from _ask(aim, slot, number, began + PATIENCE)
    except (OSError, WireError) as error:
        tally.errors.append((time.monotonic() - began, str(error)))
    else:
        tally.waits.append(time.monotonic() - began)


def _ask(aim: Aim, slot: int, number: int, until: float) -> Exchange:
    if aim.transport is Transport.TCP:
        return _ask_tcp(aim, number, until)
    return _ask_multicast(aim, slot, number, until)


def _ask_tcp(aim: Aim, number: int, until: float) -> Exchange:
    with socket.socket() as line:
        line.setblocking(False)
        line.connect_ex(("127.0.0.1", aim.port))
        yield from _waited(line, selectors.EVENT_WRITE, until)
        _raise_pending(line)
        line.send(_signed(XvmRequest(aim.action, aim.vm, random=_random(), seqno=number), aim))
        yield from _hear(line, aim, until)


def _ask_multicast(aim: Aim, slot: int, number: int, until: float) -> Exchange:
    """Every slot has a port of its own to be called back on, as if it were a guest of its own."""
    port = FIRST_CALL_BACK_PORT + slot
    with socket.socket() as door, socket.socket(type=socket.SOCK_DGRAM) as out:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setblocking(False)
        door.bind(("127.0.0.1", port))
        door.listen(10)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        came = False
        while not came:
            out.sendto(_signed(_call_me_back(aim, port, number), aim), (GROUP, aim.port))
            came = yield Wait(door, selectors.EVENT_READ, min(until, time.monotonic() + RETRANSMIT))
            if not came and time.monotonic() >= until:
                raise TimeoutError("nobody called back")
        line, _ = door.accept()
        with line:
            line.setblocking(False)
            yield from _hear(line, aim, until)


def _call_me_back(aim: Aim, port: int, number: int) -> XvmRequest:
    address = socket.inet_aton("127.0.0.1")
    return XvmRequest(
        aim.action, aim.vm, address=address, port=port, random=_random(), seqno=number, family=FAMILY_IPV4
    )


def _signed(request: XvmRequest, aim: Aim) -> bytes:
    return request.sign(aim.key, HASH_SHA256).pack()


def _random() -> bytes:
    return secrets.token_bytes(RANDOM_LENGTH)


def _hear(line: socket.socket, aim: Aim, until: float) -> Exchange:
    """The handshake and the reply; raises OSError or WireError unless the reply is "on"."""
    side = guest_side(aim.key, HASH_SHA256, secrets.token_bytes(CHALLENGE_LENGTH))
    received = b""
    try:
        step = next(side)
        while True:
            if isinstance(step, Send):
                line.send(step.data)
                step = next(side)
            else:
                received = yield from _read(line, step.length, until)
                step = side.send(received)
    except StopIteration:
        pass
    reply = yield from _read(line, 1, until)
    if reply[0] != REPLY_SUCCESS:
        raise OSError(f"the reply was {reply[0]}")


def _read(line: socket.socket, length: int, until: float) -> Generator[Wait, bool, bytes]:
    data = b""
    while len(data) < length:
        yield from _waited(line, selectors.EVENT_READ, until)
        more = line.recv(length - len(data))
        if not more:
            raise ConnectionError(f"closed after {len(data)} of {length} bytes")
        data += more
    return data


def _waited(line: socket.socket, events: int, until: float) -> Exchange:
    if not (yield Wait(line, events, until)):
        raise TimeoutError("no answer")


def _raise_pending(line: socket.socket) -> None:
    number = line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, "no connection")


# -- many exchanges on one selector ----------


def _run(exchanges: list[Exchange]) -> None:
    """Run all to their ends."""
    with selectors.EpollSelector() as selector:
        for exchange in exchanges:
            _go_on(selector, exchange, None)
        look_at = 0.0
        while selector.get_map():
            for key, _ in selector.select(LOOK):
                selector.unregister(key.fileobj)
                _go_on(selector, key.data[0], True)
            if time.monotonic() >= look_at:
                _expire(selector)
                look_at = time.monotonic() + LOOK


def _expire(selector: selectors.BaseSelector) -> None:
    now = time.monotonic()
    for key in list(selector.get_map().values()):
        exchange, until = key.data
        if until <= now:
            selector.unregister(key.fileobj)
            _go_on(selector, exchange, False)


def _go_on(selector: selectors.BaseSelector, exchange: Exchange, came: bool | None) -> None:
    try:
        wait = next(exchange) if came is None else exchange.send(came)
    except StopIteration:
        return
    selector.register(wait.socket, wait.events, (exchange, wait.until))
