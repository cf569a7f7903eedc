"""What the thread that ends a VM makes of a domain that libvirt drops under its hands."""

from __future__ import annotations

from collections.abc import Iterator

import libvirt
import pytest

from fencebus_agent.death import End, Kill, Power
from fencebus_agent.libvirt_driver.killing import Order, Sight, strike
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Uuid

VM = Uuid("00000007-0000-4000-8000-000000000000")
XML = (
    f"<domain type='test'><name>passing</name><uuid>{VM}</uuid><memory>1024</memory><os><type>hvm</type></os></domain>"
)


@pytest.fixture
def conn() -> Iterator[libvirt.virConnect]:
    """A hypervisor of this process with one transient domain."""
    connection = libvirt.open("test:///default")
    connection.createXML(XML)
    yield connection
    connection.close()


def struck(conn: libvirt.virConnect) -> tuple[list[Sight], End | None, list[Life | None]]:
    """What was told, what came of it, and what was asked for."""
    told, asked = list[Sight](), list[Life | None]()
    order = Order("test:///default", VM, Deadline.after(30), asked.append)
    return told, strike(conn, order, None, told.append), asked


def test_what_runs_is_killed(conn: libvirt.virConnect) -> None:
    told, end, asked = struck(conn)
    assert [(sight.look.power, sight.at_rest) for sight in told] == [(Power.RUNNING, False)]
    assert end is not None
    assert (end.kill, end.power) == (Kill.DONE, Power.GONE)
    assert len(asked) == 1


@pytest.mark.parametrize("question", ("state", "isPersistent", "XMLDesc", "jobStats", "hasManagedSaveImage"))
def test_a_domain_that_is_dropped_between_two_questions_is_gone_and_not_an_error(
    conn: libvirt.virConnect, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask = getattr(libvirt.virDomain, question)

    def dropped(domain: libvirt.virDomain, *words: object) -> object:
        monkeypatch.undo()
        domain.destroy()
        return ask(domain, *words)

    monkeypatch.setattr(libvirt.virDomain, question, dropped)
    told, end, asked = struck(conn)
    assert [(sight.look.power, sight.at_rest) for sight in told] == [(Power.GONE, True)]
    assert end is None
    assert asked == []
