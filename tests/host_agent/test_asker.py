"""Who asks for a power action, in words: as far as the host knows that hears it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.asker import asked_by
from fencebus_schemas.model import Action, Source, Uuid
from tests.host_agent.federated_site import fence_request

GUEST = Uuid("00000000-0000-4000-8000-000000000007")


@pytest.mark.parametrize(
    ("source", "by", "known", "words"),
    (
        (Source("192.0.2.1"), "", {}, ""),
        (Source("192.0.2.1", GUEST), "", {GUEST: "node7"}, "node7"),
        (Source("192.0.2.1", GUEST), "", {}, GUEST),
        (Source(GUEST, GUEST, "node7", known=True), "", {GUEST: "an older name"}, "node7"),
        (Source(GUEST, GUEST, known=True), "", {}, ""),
        (Source("host", known=True), "uid 0, process 17", {}, "uid 0, process 17"),
    ),
)
def test_it_is_the_operators_process_or_the_guest_by_its_name(
    source: Source, by: str, known: dict[Uuid, str], words: str
) -> None:
    request = replace(fence_request(Action.OFF, "vm"), source=source, by=by)
    assert asked_by(request, lambda vm: known.get(vm, "")) == words
