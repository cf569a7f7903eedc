"""The server of the page, asked over HTTP: files, headers, the stream, and who gets nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import jsonschema
import pytest

from fencebus_host.web import server
from fencebus_host.web.daemon_source import DaemonSource
from fencebus_host.web.scene import Stage
from fencebus_schemas.status import Status
from fencebus_schemas.status_schema import schema_of
from tests.host_agent.web.theatre import status, theatre, vm


async def patches(answer: aiohttp.ClientResponse, most: int) -> list[tuple[str, object]]:
    """The first events of a stream: their kinds and contents."""
    found: list[tuple[str, object]] = []
    kind = ""
    while len(found) < most:
        line = (await asyncio.wait_for(answer.content.readline(), 30)).decode()
        if line.startswith("event: "):
            kind = line.removeprefix("event: ").strip()
        elif line.startswith("data: "):
            found.append((kind, json.loads(line.removeprefix("data: "))))
    return found


async def test_every_answer_forbids_the_browser_what_the_page_does_not_need(tmp_path: Path) -> None:
    async with theatre(tmp_path, status([vm(1)])) as played, aiohttp.ClientSession() as client:
        for path in ("", "page.css", "page.js", "mark.svg", "status.json", "nothing", "../server.py"):
            async with client.get(played.url + path) as answer:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "Set-Cookie" not in answer.headers
                assert answer.status == (404 if path in ("nothing", "../server.py") else 200)
        async with client.post(played.url) as answer:
            assert answer.status == 405


async def test_another_name_and_another_site_are_refused(tmp_path: Path) -> None:
    async with theatre(tmp_path, status([vm(1)])) as played, aiohttp.ClientSession() as client:
        async with client.get(played.url, headers={"Host": "attacker.example"}) as answer:
            assert answer.status == 421
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        async with client.get(f"{played.url}status.json", headers=foreign) as answer:
            assert answer.status == 403


async def test_the_state_is_told_as_its_schema_says(tmp_path: Path) -> None:
    async with (
        theatre(tmp_path, status([vm(1), vm(2)])) as played,
        aiohttp.ClientSession() as client,
        client.get(f"{played.url}status.json") as answer,
    ):
        plain = await answer.json()
    jsonschema.validate(plain, schema_of(Status))
    assert len(plain["vms"]) == 2


async def test_the_stream_begins_with_all_and_goes_on_with_what_changes(tmp_path: Path) -> None:
    async with (
        theatre(tmp_path, status([vm(1), vm(2)])) as played,
        aiohttp.ClientSession() as client,
        client.get(f"{played.url}live") as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        ((kind, first),) = await patches(answer, 1)
        assert isinstance(first, dict)
        assert (kind, first["whole"], len(first["vms"])) == ("patch", True, 2)
        played.set(status([vm(1), vm(2, state="paused")]), "web2 is paused")
        while True:
            ((_, told),) = await patches(answer, 1)
            assert isinstance(told, dict)
            if told["vms"]:
                break
        assert [each["state"] for each in told["vms"]] == ["paused"]
        assert (told["whole"], told["events"][-1]["text"]) == (False, "web2 is paused")


async def test_the_daemon_is_left_alone_while_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fencebus_host.web.scene.LOOK_SECONDS", 0.05)
    async with theatre(tmp_path, status([vm(1)])) as played:
        await asyncio.sleep(0.2)
        assert played.asked == 0
        async with aiohttp.ClientSession() as client, client.get(f"{played.url}live") as answer:
            await patches(answer, 2)
        assert played.asked >= 2


async def test_without_a_daemon_the_page_is_told_why(tmp_path: Path) -> None:
    ports: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stage = Stage(DaemonSource(tmp_path / "control.sock"))
    task = asyncio.create_task(server.serve(stage, "127.0.0.1", 0, {"localhost"}, ports.set_result))
    url = f"http://127.0.0.1:{await asyncio.wait_for(ports, 30)}/"
    try:
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}live") as answer:
                ((kind, text),) = await patches(answer, 1)
            async with client.get(f"{url}status.json") as answer:
                assert answer.status == 503
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert kind == "trouble"
    assert "is it running?" in str(text)


async def test_only_so_many_pages_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEATS", 0)
    async with (
        theatre(tmp_path, status([vm(1)])) as played,
        aiohttp.ClientSession() as client,
        client.get(f"{played.url}live") as answer,
    ):
        assert answer.status == 503
