"""Serves the page, its style and script, and the stream of what changes; everything is read, nothing is written."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from aiohttp import web

from fencebus_host.web.guard import HEADERS, comes_from_here, is_named_rightly
from fencebus_host.web.patch import Scene, patch
from fencebus_host.web.scene import NOTHING, Stage
from fencebus_schemas.status_plain import to_plain

ASSETS = Path(__file__).parent / "assets"
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/mark.svg": ("mark.svg", "image/svg+xml"),
}
SEATS = 64
"""Pages that are open at once."""
ALIVE_SECONDS = 15.0
"""Between two signs of life on a stream on which nothing happens: whoever has left is noticed so."""
RETRY_MILLISECONDS = 1000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def own_names() -> frozenset[str]:
    """What a browser may call this machine."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, name.split(".")[0]})


class Site:
    """The pages of one stage."""

    def __init__(self, stage: Stage, names: Collection[str]) -> None:
        self._stage, self._names = stage, names
        self._seats = 0

    def application(self) -> web.Application:
        """For aiohttp."""
        application = web.Application(middlewares=[self._guarded])
        for path in FILES:
            application.router.add_get(path, self._file)
        application.router.add_get("/live", self._live)
        application.router.add_get("/status.json", self._status)
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_named_rightly(request.headers.get("Host", ""), self._names):
            return self._refused(421, "this server has another name")
        if not comes_from_here(request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Mode")):
            return self._refused(403, "another site's page may not look at this one")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            return self._refused(error.status, error.reason)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _refused(self, status: int, text: str) -> web.Response:
        return web.Response(status=status, text=f"{text}\n", headers=dict(HEADERS))

    async def _file(self, request: web.Request) -> web.Response:
        name, kind = FILES[request.path]
        return web.Response(body=(ASSETS / name).read_bytes(), content_type=kind, charset="utf-8")

    async def _status(self, _request: web.Request) -> web.Response:
        async with self._stage.seat():
            scene = await self._stage.other_than(self._stage.scene)
        if scene.status is None:
            raise web.HTTPServiceUnavailable(reason="the daemon does not answer")
        return web.json_response(to_plain(scene.status))

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._seats >= SEATS:
            raise web.HTTPServiceUnavailable(reason="too many pages are open")
        headers = {**HEADERS, "Content-Type": "text/event-stream"}
        response = web.StreamResponse(headers=headers)
        self._seats += 1
        try:
            await response.prepare(request)
            await response.write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
            async with self._stage.seat():
                await self._tell(response)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._seats -= 1
        return response

    async def _tell(self, response: web.StreamResponse) -> None:
        """Each change, as fast as the page takes it: whoever is slow misses what was between."""
        shown = NOTHING
        while True:
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    now = await self._stage.other_than(shown)
            except TimeoutError:
                await response.write(b":\n\n")
                continue
            await response.write(await asyncio.to_thread(message, shown, now))
            shown = now


def message(shown: Scene, now: Scene) -> bytes:
    """One event of the stream."""
    found = patch(shown, now)
    if found is None:
        return _event("trouble", now.trouble)
    return _event("patch", to_plain(found))


def _event(kind: str, content: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


async def serve(stage: Stage, address: str, port: int, names: Collection[str], ready: Callable[[int], None]) -> None:
    """Serve until cancelled, calling ``ready`` with the port; raises OSError if it cannot be had."""
    runner = web.AppRunner(Site(stage, names).application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, address, port)
        await listening.start()
        ready(runner.addresses[0][1])
        await stage.run()
    finally:
        await runner.cleanup()
