"""Serves the stand-in's world over HTTPS, as an engine does: sign-on, sessions, the two versions of the API, faults."""

from __future__ import annotations

import asyncio
import base64
import secrets
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import unquote

from aiohttp import web

from tests.managers import pages, searching
from tests.managers.certificates import Certificates
from tests.managers.faults import Traps, Wrong
from tests.managers.world import FaultError, Vm, World
from tests.ports import free_tcp_port

ENTRY = "/ovirt-engine/api"
OLD_ENTRY = "/api"


class NotLoggedInError(Exception):
    """401, and a page."""


@dataclass(slots=True)
class StandIn:
    """One engine; use it as an asynchronous context manager."""

    world: World
    certificates: Certificates
    versions: tuple[int, ...] = (4,)
    """(4,): an engine from 4.4 on; (4, 3): 4.0 to 4.3; (3,): RHEV-M 3.x, without a sign-on service."""
    latency: float = 0.0
    """Seconds of its own before each answer."""
    port: int = field(default_factory=free_tcp_port)
    traps: Traps = field(default_factory=Traps)
    requests: list[str] = field(default_factory=list)
    """``METHOD PATH`` of everything that was asked."""
    headers: list[dict[str, str]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    forgets: bool = False
    """No login lasts: all have ended at the next request."""
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> StandIn:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shut()

    async def open(self) -> None:
        """Begin to serve, at the same port each time."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.certificates.server()).start()

    async def shut(self) -> None:
        """Serve no more; logins are forgotten, as when an engine is restarted."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self.expire()

    def expire(self) -> None:
        """All tokens and sessions end."""
        self.tokens.clear()
        self.sessions.clear()

    def asked(self, pattern: str) -> list[str]:
        """What was asked that holds ``pattern``."""
        return [each for each in self.requests if pattern in each]

    # -- one request ----------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path}"
        self.requests.append(asked)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        await asyncio.sleep(self.latency)
        wrong = self.traps.sprung(asked)
        if self.forgets:
            self.expire()
        if wrong is None:
            answer = await self._answered(request)
            if request.method == "GET" and request.content_length:
                answer.force_close()  # libgovirt announces a body with its GETs, and does not always send it
            return answer
        return await self._gone_wrong(wrong, request)

    async def _gone_wrong(self, wrong: Wrong, request: web.Request) -> web.StreamResponse:
        if wrong is Wrong.HANG_AFTER:
            await self._answered(request)
        if wrong in (Wrong.HANG, Wrong.HANG_AFTER):
            await asyncio.sleep(3600)
        if wrong is Wrong.SLOW:
            await asyncio.sleep(1)
            return await self._answered(request)
        if wrong is Wrong.ENDLESS:
            return await _endless(request)
        if wrong is Wrong.ANOTHER:
            other = next(vm for vm in self.world.vms.values() if vm.id not in request.path)
            return _xml(pages.vm(4, ENTRY, other))
        if wrong is Wrong.RESET:
            assert request.transport is not None
            request.transport.abort()
        return _WRONG[wrong]()

    async def _answered(self, request: web.Request) -> web.Response:
        self.world.settle()
        path = unquote(request.rel_url.raw_path)
        if path == "/ovirt-engine/sso/oauth/token" and 4 in self.versions:
            return await self._token(request)
        if path in ("/ovirt-engine/services/pki-resource", "/ca.crt"):
            return web.Response(body=self.certificates.ca.read_bytes(), content_type="application/x-x509-ca-cert")
        if path.endswith("/sso-logout"):
            self.tokens.pop(str((await request.post()).get("token")), None)
            return web.json_response({})
        for entry in (ENTRY, OLD_ENTRY) if 3 in self.versions else (ENTRY,):
            if path == entry or path.startswith(f"{entry}/"):
                return await self._api(request, entry, path.removeprefix(entry).strip("/"))
        return web.Response(status=404, body=pages.ERROR_PAGE, content_type="text/html")

    async def _api(self, request: web.Request, entry: str, path: str) -> web.Response:
        wanted = request.headers.get("Version", "")
        if wanted and int(wanted) not in self.versions and self.versions != (3,):
            return web.Response(status=404, body=pages.ERROR_PAGE, content_type="text/html")
        # A 3.x server does not know the header, and answers as it always does (facts: managers 2.1).
        version = int(wanted) if wanted and self.versions != (3,) else self.versions[0]
        try:
            user, session = self._user(request)
        except NotLoggedInError:
            answer = web.Response(status=401, body=pages.ERROR_PAGE, content_type="text/html")
            answer.headers["WWW-Authenticate"] = 'Basic realm="RESTAPI"'
            return answer
        is_action = request.method == "POST"
        try:
            answer = _xml(await self._resource(request, user, version, entry, path))
        except FaultError as error:
            answer = _xml(pages.fault(version, error, is_action), error.status)
        if session:
            answer.set_cookie("JSESSIONID", session, path=entry, secure=True, httponly=True)
        if correlation := request.headers.get("Correlation-Id"):
            answer.headers["Correlation-Id"] = correlation
        return answer

    async def _resource(self, request: web.Request, user: str, version: int, entry: str, path: str) -> ET.Element:
        name, options = _matrix(path.partition("/")[0])
        rest = [part for part in path.split("/")[1:] if part]
        if not name:
            return pages.entry(version, entry)
        if name == "vms" and not rest:
            return pages.vms(version, entry, self._searched(request, user, options))
        if name == "vms" and len(rest) == 1:
            return pages.vm(version, entry, self.world.vm(user, rest[0]))
        if name == "vms" and len(rest) == 2 and request.method == "POST":
            body = ET.fromstring(await request.read() or b"<action/>")
            self.world.act(user, rest[0], rest[1], body.findtext("force") == "true")
            return pages.done(version)
        if name == "hosts" and rest:
            return await self._host(request, user, version, entry, rest)
        raise FaultError(404, "Operation Failed", "no such resource")

    async def _host(self, request: web.Request, user: str, version: int, entry: str, rest: list[str]) -> ET.Element:
        if len(rest) == 2 and request.method == "POST":
            body = ET.fromstring(await request.read())
            return pages.done(version, self.world.fence(user, rest[0], body.findtext("fence_type") or ""))
        if not self.world.accounts[user].admin or rest[0] not in self.world.hosts:
            raise FaultError(404, "Operation Failed", "Entity not found")
        return pages.host(version, entry, self.world.hosts[rest[0]])

    def _searched(self, request: web.Request, user: str, options: dict[str, str]) -> list[Vm]:
        said = {**options, **request.query}
        # v3 asks user accounts to say Filter: true (facts: managers 1.2).
        account = self.world.accounts[user]
        if 4 not in self.versions and not account.admin and request.headers.get("Filter") != "true":
            raise FaultError(403, "Operation Failed", "[query execution failed due to insufficient permissions.]")
        most = int(said["max"]) if "max" in said else None
        case = said.get("case_sensitive", "false").lower() == "true"
        return searching.found(self.world.visible(user), said.get("search", ""), case, most)

    # -- who asks ----------

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        user, password = str(form.get("username")), str(form.get("password"))
        if form.get("scope") is None or not self._knows(user, password):
            text = "Cannot authenticate user: Unable to log in. Verify your login information."
            said = {"error": "access_denied", "error_code": "access_denied", "error_description": text}
            return web.json_response(said, status=400)  # SsoService: not 401
        token = secrets.token_urlsafe(16)
        self.tokens[token] = user
        return web.json_response(
            {"access_token": token, "scope": "ovirt-app-api", "exp": "9999999999999", "token_type": "bearer"}
        )

    def _knows(self, user: str, password: str) -> bool:
        account = self.world.accounts.get(user)
        return account is not None and account.password == password

    def _user(self, request: web.Request) -> tuple[str, str]:
        """(user, session) of a request."""
        kind, _, said = request.headers.get("Authorization", "").partition(" ")
        keeps = "persistent-auth" in request.headers.get("Prefer", "")
        cookie = request.cookies.get("JSESSIONID", "")
        if cookie in self.sessions:
            user = self.sessions[cookie]
            if not keeps:
                del self.sessions[cookie]  # a request without Prefer ends the session
            return user, cookie if keeps else ""
        if kind == "Bearer" and said in self.tokens:
            return self.tokens[said], ""
        if kind == "Basic":
            user, _, password = base64.b64decode(said).decode().partition(":")
            if self._knows(user, password):
                session = secrets.token_hex(16) if keeps else ""
                if session:
                    self.sessions[session] = user
                return user, session
        raise NotLoggedInError


def _matrix(text: str) -> tuple[str, dict[str, str]]:
    """``vms;max=2`` as (``vms``, its options)."""
    name, *options = text.split(";")
    return name, dict(option.partition("=")[::2] for option in options)


def _xml(root: ET.Element, status: int = 200) -> web.Response:
    ET.indent(root, "    ")  # as an engine writes it: fence_rhevm reads line by line
    return web.Response(status=status, body=ET.tostring(root, "utf-8"), content_type="application/xml")


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b"<vms>")
    for _ in range(200):  # ten million bytes are endless enough
        await answer.write(b"<vm/>" * 10_000)
    return answer


_WRONG = {
    Wrong.RESET: lambda: web.Response(status=500),
    Wrong.UNAVAILABLE: lambda: web.Response(status=503, text="Service Unavailable"),
    Wrong.STARTING: lambda: web.Response(status=404, body=pages.ERROR_PAGE, content_type="text/html"),
    Wrong.NOTHING: lambda: _xml(pages.done(4)),
    Wrong.GARBAGE: lambda: web.Response(body=b"<html><p>&nbsp;", content_type="text/html"),
    Wrong.DOCTYPE: lambda: web.Response(
        body=b'<!DOCTYPE vm [<!ENTITY a "aaaa">]><vm id="x"><name>&a;</name></vm>', content_type="application/xml"
    ),
    Wrong.REDIRECT: lambda: web.Response(status=302, headers={"Location": "https://127.0.0.1:1/elsewhere"}),
    Wrong.FAILED: lambda: _xml(pages.fault(4, FaultError(400, "Operation Failed", "[General error]"), True), 400),
}
