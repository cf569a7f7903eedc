"""Drives a real headless Chromium by the DevTools protocol: pages, keys, screenshots, traces."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.components import require_file
from tests.server_process import ServerProcess

LIMIT = 40.0
Values = Mapping[str, object]
KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "PageDown": 34}


@contextmanager
def browser(folder: Path) -> Iterator[str]:
    """A browser of its own; gives where its DevTools listen."""
    # The program itself: Debian's script in /usr/bin starts it as a child, which would outlive the script.
    program = require_file("/usr/lib/chromium/chromium-headless-shell", package="chromium-headless-shell")
    options = ["--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={folder}/profile"]
    options += ["--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage", "about:blank"]
    with ServerProcess([str(program), *options], folder / "chromium.log") as running:
        running.wait_for_output("DevTools listening on ", LIMIT)
        found = re.search(r"DevTools listening on (ws://\S+)", running.output)
        assert found
        yield found[1]


@dataclass
class Tab:
    """One page."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    events: list[Values] = field(default_factory=list)
    """What the browser has told of this page, whenever it was listened to."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **about: object) -> Values:
        """A method of the protocol; what it returns."""
        number = next(self._numbers)
        question: dict[str, object] = {"id": number, "method": method, "params": about}
        await self.socket.send_json(question | ({"sessionId": self.session} if self.session else {}))
        while True:
            told = await asyncio.wait_for(self.socket.receive_json(), LIMIT)
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                result: Values = told["result"]
                return result
            self.events.append(told)

    async def event(self, name: str) -> Values:
        """The next event of this name."""
        while True:
            told: Values = await asyncio.wait_for(self.socket.receive_json(), LIMIT)
            self.events.append(told)
            if told.get("method") == name:
                return told

    async def look(self, expression: str) -> object:
        """What a JavaScript expression comes to."""
        done = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, (expression, done)
        result = done["result"]
        assert isinstance(result, dict)
        return result.get("value")

    async def until(self, expression: str) -> None:
        """Return once the expression is true."""
        limit = time.monotonic() + LIMIT
        while not await self.look(f"Boolean({expression})"):
            assert time.monotonic() < limit, (expression, await self.look("document.body.innerText.slice(0, 3000)"))
            await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """A key, down and up."""
        text = key if len(key) == 1 else {"Enter": "\r"}.get(key, "")
        code = KEYS.get(key, ord(key[0].upper()))
        down: dict[str, object] = {"text": text} if text else {}
        for kind, more in (("keyDown", down), ("keyUp", {})):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)

    async def resize(self, width: int, height: int, phone: bool = False) -> None:
        """The window, or a phone's screen."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    async def prefer(self, scheme: str) -> None:
        """Dark or light."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def picture(self) -> bytes:
        """What is seen, as PNG."""
        data = (await self.call("Page.captureScreenshot", format="png"))["data"]
        assert isinstance(data, str)
        return base64.b64decode(data)

    def complaints(self) -> list[Values]:
        """What the console was told: errors of scripts, what the content security policy forbade."""
        return [each for each in self.events if each.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


@asynccontextmanager
async def tab(address: str, url: str) -> AsyncIterator[Tab]:
    """A new page at ``url``; it has loaded, not necessarily more."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, max_msg_size=1 << 28) as socket,
    ):
        page = Tab(socket)
        context = (await page.call("Target.createBrowserContext"))["browserContextId"]
        target = (await page.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await page.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        assert isinstance(session, str)
        page.session = session
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        await page.resize(1280, 860)
        await page.call("Page.navigate", url=url)
        await page.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")
        try:
            yield page
        finally:
            page.session = ""
            await page.call("Target.disposeBrowserContext", browserContextId=context)
