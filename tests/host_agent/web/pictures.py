"""Takes the pictures of the page that stand in docs/images: python -m tests.host_agent.web.pictures [FOLDER]."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from fencebus_schemas.status import EventKind, Health, Problem, Status
from tests.chromium import Tab, browser, tab
from tests.components import CHECKOUT
from tests.host_agent.web.theatre import NOW, Theatre, conflicted, fence, running, status, theatre, vm, with_silent_host

IMAGES = CHECKOUT / "docs" / "images"
ROWS = "document.querySelectorAll('#rows .row').length === 48"


def scene() -> Status:
    """A site on a bad day."""
    vms = [conflicted(3), *(vm(number) for number in range(4, 51))]
    fences = tuple(replace(fence(number, number != 9), at=NOW - 70.0 * number) for number in (1, 9, 13))
    shown = with_silent_host(status(vms, running=(running(99),), finished=fences))
    conflict = Problem("vm-conflict", Health.ERROR, "several hosts claim cache3")
    return replace(shown, problems=(*shown.problems, conflict))


def happened(played: Theatre) -> None:
    """Something to read among the events."""
    played.events.happened(EventKind.HOST_CHANGED, "host4: heard -> silent")
    played.events.happened(EventKind.VM_CHANGED, "db1: running -> off, owner host4 -> nobody")
    played.events.happened(EventKind.FENCE_ACCEPTED, "off of db13 asked by web2 via vsock")


async def take(page: Tab, folder: Path) -> None:
    """Light on a desk, dark on a phone; small enough for a README."""
    await page.until(ROWS)
    await page.until("document.querySelectorAll('#events time').length === 3")
    await page.prefer("light")
    await page.resize(1120, 640)
    await page.look("document.querySelector('#rows .row').click()")
    (folder / "web-light.png").write_bytes(await page.picture())
    await page.prefer("dark")
    await page.resize(390, 844, phone=True)
    (folder / "web-phone.png").write_bytes(await page.picture())


async def pictures(address: str, work: Path, folder: Path) -> None:
    """All of them."""
    async with theatre(work, scene()) as played:
        happened(played)
        async with tab(address, played.url) as page:
            await take(page, folder)


def main(folder: Path) -> None:
    """The program."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as address:
        asyncio.run(pictures(address, Path(name), folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
