"""The conversations of C's programs, as recorded: our daemon's door takes the same bytes and gives the same answers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_host.assembly import Core, build_core
from fencebus_host.config.load import load
from fencebus_host.door import Door, fence_request
from fencebus_host.replay import SeenRequests
from fencebus_host.replies import network_reply
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Read, Send, host_side
from fencebus_schemas.model import Source
from fencebus_schemas.xvm import REPLY_FAILURE, REPLY_LIST, REPLY_OFF, REQUEST_LENGTH, RecordReader, XvmRequest
from tests.captured import UDP, require_key, require_payloads

CONFIG = """\
fence_virtd { listener = "tcp"; backend = "libvirt"; state_dir = "STATE"; }
listeners { tcp { hash = "none"; auth = "none"; } }
backends { libvirt { uri = "test:///default"; } }
"""


@dataclass(frozen=True)
class Talk:
    """One recorded request with its handshake and its answer."""

    request: bytes
    guest: bytes
    """What the client sent after its request: its challenge, and its response to the daemon's."""
    host: bytes
    """What the daemon sent: its response, its challenge, and the answer."""

    @property
    def answer(self) -> bytes:
        return self.host[2 * CHALLENGE_LENGTH :]


def recorded() -> list[Talk]:
    """All conversations in the order of time; a call-back belongs to the datagram before it."""
    streams: dict[frozenset[int], dict[int, bytes]] = defaultdict(lambda: defaultdict(bytes))
    datagrams: list[bytes] = []
    for payload in require_payloads():
        if payload.protocol == UDP:
            datagrams.append(payload.data)
        else:
            streams[frozenset((payload.source, payload.destination))][payload.source] += payload.data
    waiting = iter(datagrams)
    return [_talk(sorted(sides.values(), key=_is_host), waiting) for sides in streams.values()]


def _is_host(stream: bytes) -> bool:
    return len(stream) not in (2 * CHALLENGE_LENGTH, REQUEST_LENGTH + 2 * CHALLENGE_LENGTH)


def _talk(sides: list[bytes], datagrams: Iterator[bytes]) -> Talk:
    guest, host = sides
    if len(guest) == 2 * CHALLENGE_LENGTH:
        return Talk(next(datagrams), guest, host)
    return Talk(guest[:REQUEST_LENGTH], guest[REQUEST_LENGTH:], host)


def shake_hands(talk: Talk, key: bytes) -> bytes:
    """What our daemon's side sends, if it draws the challenge that C's drew; raises WireError if it is not content."""
    drawn = talk.host[CHALLENGE_LENGTH : 2 * CHALLENGE_LENGTH]
    side = host_side(key, HASH_SHA256, drawn)
    sent, at = b"", 0
    try:
        step = next(side)
        while True:
            if isinstance(step, Send):
                sent += step.data
                step = next(side)
            else:
                assert isinstance(step, Read)
                step = side.send(talk.guest[at : at + step.length])
                at += CHALLENGE_LENGTH
    except StopIteration:
        return sent


@asynccontextmanager
async def running_core(folder: Path) -> AsyncIterator[Core]:
    """All of the daemon behind its listeners, on the world that the recorded daemon had."""
    config = folder / "fence_virt.conf"
    config.touch(mode=0o600)
    config.write_text(CONFIG.replace("STATE", str(folder / "state")))
    core = build_core(load(config))
    await core.records.open()
    router = asyncio.create_task(core.router.run())
    try:
        await asyncio.gather(*(one.wait_ready(Deadline.after(30)) for one in core.hypervisors))
        yield core
    finally:
        router.cancel()
        await asyncio.gather(router, return_exceptions=True)
        for hypervisor in core.hypervisors:
            await hypervisor.close()
        await core.records.close()


def meaning(answer: bytes) -> object:
    """An answer without what C's daemon leaves to chance."""
    if answer[0] != REPLY_LIST:
        return answer[0]
    reader = RecordReader()
    return [(record.name, record.uuid, record.state) for record in reader.feed(answer[1:-1])]


def test_our_side_of_every_recorded_handshake_is_c_s_side() -> None:
    key = require_key()
    talks = recorded()
    assert len(talks) > 20
    for talk in talks:
        assert shake_hands(talk, key) == talk.host[: 2 * CHALLENGE_LENGTH]


async def test_every_recorded_request_gets_the_recorded_answer_save_for_an_unknown_machine(tmp_path: Path) -> None:
    door = Door([require_key()], HASH_SHA256, SeenRequests(25.0))
    async with running_core(tmp_path) as core:
        for talk in recorded():
            admitted = door.admit(talk.request, "127.0.0.1")
            request = fence_request(admitted, Source("127.0.0.1"), "tcp", 25.0, boottime())
            answer = await core.service.handle(request, lambda: True)
            # The recorded client needed some milliseconds too; a life is known to be old only by libvirt's event (S12).
            await asyncio.sleep(0.05)
            said = network_reply(answer)
            wanted = meaning(talk.answer)
            if wanted == REPLY_OFF and admitted.wire.domain == "nope":
                wanted = REPLY_FAILURE  # docs/differences.md: unknown is not off
            assert meaning(said) == wanted, (str(admitted.wire), answer)


def test_a_recorded_request_is_let_in_once_unchanged_and_with_the_right_key() -> None:
    key, talks = require_key(), recorded()
    now = 1000.0
    door = Door([key], HASH_SHA256, SeenRequests(25.0, lambda: now))
    other = Door([b"x" + key[1:]], HASH_SHA256, SeenRequests(25.0))
    for talk in talks:
        assert door.admit(talk.request, "127.0.0.1").wire == XvmRequest.unpack(talk.request)
        with pytest.raises(WireError, match=r"signature|digest|hash|key"):
            other.admit(talk.request, "127.0.0.1")
    now += 3600  # played back an hour later
    for talk in talks:
        with pytest.raises(WireError) as refusal:
            door.admit(talk.request, "127.0.0.1")
        assert refusal.value.code == "replayed"
