"""The page as one file: everything in it, opened from a disk, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host.web.snapshot import snapshot
from tests.chromium import browser, tab
from tests.host_agent.web.theatre import conflicted, fence, status, vm, with_silent_host

pytestmark = pytest.mark.xdist_group("chromium")
HOSTILE = "</script><script>document.title='owned'</script><body>"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with browser(tmp_path_factory.mktemp("chromium")) as address:
        yield address


def test_it_asks_for_nothing_beside_itself() -> None:
    page = snapshot(status([vm(1)]))
    assert re.findall(r'(?:src|href)="([^"#]+)"', re.sub(r"data:[^\"]+", "data:", page)) == ["data:", "data:"]
    assert "<td>db1" in page, "tables for whoever runs no scripts"
    assert page.count('class="owners"') == 1


async def test_it_shows_its_moment_in_a_browser_and_what_is_hostile_stays_text(chromium: str, tmp_path: Path) -> None:
    vms = [conflicted(2), vm(3, name=HOSTILE), *(vm(number) for number in range(4, 30))]
    file = tmp_path / "status.html"
    file.write_text(snapshot(with_silent_host(status(vms, finished=(fence(7, ok=False),)))), encoding="utf-8")
    async with tab(chromium, file.as_uri()) as page:
        await page.until("document.querySelectorAll('#rows .row').length === 28")
        assert HOSTILE in str(await page.look("document.querySelector('#rows').innerText"))
        assert "as of " in str(await page.look("document.querySelector('#live').innerText"))
        assert "silent for 22 s" in str(await page.look("document.querySelector('#hosts').innerText"))
        assert "fencebus on host1" in str(await page.look("document.title"))
        assert await page.look("document.querySelectorAll('.owners rect').length") == 29 + 5, "a conflict twice"
        dashes = "getComputedStyle(document.querySelector('.owners .stale rect')).strokeDasharray"
        assert await page.look(dashes) == "6px, 4px"
        await page.look("document.querySelector('.picture summary').click()")
        assert await page.look("document.querySelector('.owners svg').getBoundingClientRect().height > 400")
        await page.press("/")
        await page.press("w")
        await page.until("document.querySelectorAll('#rows .row:not([hidden])').length < 28")
        await page.resize(390, 844, phone=True)
        assert await page.look("document.documentElement.scrollWidth") == 390, "the picture scrolls, not the page"
        assert page.complaints() == []
