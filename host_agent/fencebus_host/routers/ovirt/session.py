"""Keeps one login at a manager and sends requests under it; a login that has ended is renewed once, and then it fails.

v4 gives a token for the password; v3 knows the account by HTTP's basic way, and a session by a cookie.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fencebus_host.asking import REQUEST
from fencebus_host.config.backends import ApiVersion, Credentials, ManagerSettings
from fencebus_host.routers.ovirt import dialect, readings
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble, described, trouble_of
from fencebus_host.routers.ovirt.markup import MarkupError, parse
from fencebus_host.routers.ovirt.trust import context
from fencebus_host.routers.ovirt.wire import ACT_CONNECT_SECONDS, CONNECT_SECONDS, Reply, Request, Wire, nothing
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

LOGIN_SECONDS = 8.0
LOGOUT_SECONDS = 1.0
LONG = 1 << 18
"""Bytes of an answer whose reading would hold up everything else: it is done in a thread."""
LOGIN_AGAIN = 60.0
"""Seconds for which a refused account is not tried again: managers lock accounts that fail often."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the manager, from one login on."""

    version: ApiVersion
    root: str
    """The API's address."""
    authorization: str = field(repr=False)
    cookie: str = field(default="", repr=False)
    number: int = 0
    """Tells logins apart."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the manager answered: an element, and the second of its clock in which it did."""

    root: ET.Element
    made_at: float | None


class Session:
    """One login at one manager, made when it is needed."""

    def __init__(self, settings: ManagerSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._address = dialect.address(settings.url)
        self._wire = Wire(settings.name)
        self._login: Login | None = None
        self._logins = 0
        self._lock = asyncio.Lock()
        self._refused: tuple[Deadline, ManagerError] | None = None

    async def call(
        self,
        method: str,
        path: Callable[[ApiVersion], str] | str,
        patience: Deadline,
        body: bytes | None = None,
        before: Callable[[], None] = nothing,
    ) -> Answer:
        """The answer to one request at ``path`` below the API; raises ManagerError.

        ``before`` is asked directly before each sending, and may forbid it by raising (S12).
        """
        try:
            async with asyncio.timeout(patience.remaining()):
                login = await self._logged_in(patience, stale=0)
                reply = await self._sent(login, method, path, patience, body, before)
                if reply.status == 401:
                    # The token or session has ended: once more with a new one (facts: managers 1.2).
                    login = await self._logged_in(patience, stale=login.number)
                    reply = await self._sent(login, method, path, patience, body, before)
        except TimeoutError:
            raise ManagerError(self._settings.name, Trouble.SILENT, "no answer in time") from None
        except ManagerError as error:
            if error.trouble is Trouble.UNTRUSTED:
                self._wire.believe(None)  # the file may be another one when it is read again
            raise
        self._keep_cookie(login, reply)
        if len(reply.content) < LONG:
            return Answer(self._element(reply), readings.http_date(reply.date))
        return Answer(await asyncio.to_thread(self._element, reply), readings.http_date(reply.date))

    async def close(self) -> None:
        """Log out, if the manager cares to hear it, and give the connections back; idempotent."""
        login, self._login = self._login, None
        kind, _, token = login.authorization.partition(" ") if login else ("", "", "")
        if kind == "Bearer":
            form = dialect.revocation(token)
            request = Request("POST", self._address.logout, {"Accept": "application/json"}, form=form)
            with contextlib.suppress(ManagerError):
                await self._wire.send(request, LOGOUT_SECONDS)
        await self._wire.close()

    async def _sent(
        self,
        login: Login,
        method: str,
        path: Callable[[ApiVersion], str] | str,
        patience: Deadline,
        body: bytes | None,
        before: Callable[[], None],
    ) -> Reply:
        where = path if isinstance(path, str) else path(login.version)
        said = dialect.headers(login.version, REQUEST.get(), self._settings.filter)
        said["Authorization"] = login.authorization
        if login.cookie:
            said["Cookie"] = f"JSESSIONID={login.cookie}"
        seconds = CONNECT_SECONDS if before is nothing else ACT_CONNECT_SECONDS
        request = Request(method, login.root + where, said, body, connect_seconds=seconds)
        return await self._wire.send(request, patience.remaining(), before)

    def _keep_cookie(self, login: Login, reply: Reply) -> None:
        now = self._login
        if reply.cookie and login.version is ApiVersion.V3 and now is not None and now.number == login.number:
            self._login = replace(now, cookie=reply.cookie)

    def _element(self, reply: Reply) -> ET.Element:
        """What the answer holds; raises ManagerError for one that says no, or that says nothing that can be read."""
        name, trouble = self._settings.name, trouble_of(reply.status)
        try:
            root = parse(reply.content)
        except MarkupError as error:
            if trouble is not None:  # error pages are HTML, or empty
                raise ManagerError(name, trouble, described(trouble, reply.status, None)) from None
            raise ManagerError(name, Trouble.STRANGE, str(error)) from None
        if trouble is None and readings.has_failed(root):
            trouble = Trouble.REFUSED
        if trouble is not None:
            raise ManagerError(name, trouble, described(trouble, reply.status, root))
        return root

    # -- logging in ----------

    async def _logged_in(self, patience: Deadline, stale: int) -> Login:
        """The login that counts, another one than number ``stale``; many may ask at once, and one logs in."""
        async with self._lock:
            if self._login is not None and self._login.number != stale:
                return self._login
            self._login = None
            self._raise_refusal()
            try:
                login = await self._new_login(patience.sooner(LOGIN_SECONDS))
            except ManagerError as error:
                if error.trouble is Trouble.LOGIN:
                    self._refused = (Deadline.after(LOGIN_AGAIN), error)
                raise
            self._logins += 1
            self._login = replace(login, number=self._logins)
            log.info("manager %s: logged in, API version %s", self._settings.name, self._login.version.value)
            return self._login

    def _raise_refusal(self) -> None:
        if self._refused is None:
            return
        until, error = self._refused
        if not until.expired:
            text = f"{error.detail}; not tried again for {until.remaining():.0f} s, lest the account gets locked"
            raise ManagerError(self._settings.name, Trouble.LOGIN, text)
        self._refused = None

    async def _new_login(self, patience: Deadline) -> Login:
        credentials = self._settings.credentials
        if credentials is None:
            raise ManagerError(self._settings.name, Trouble.LOGIN, "no credentials were read")
        if not self._wire.is_open:
            self._wire.believe(await context(self._settings, self._state_dir, self._wire.fetch))
        wanted = self._settings.api_version
        token = None if wanted is ApiVersion.V3 else await self._token(credentials, patience)
        authorization = f"Bearer {token}" if token else _basic(credentials)
        return await self._entered(authorization, wanted, patience)

    async def _token(self, credentials: Credentials, patience: Deadline) -> str | None:
        """A token; ``None`` if the manager has no sign-on service and so is v3.  Raises ManagerError."""
        form = dialect.password_grant(credentials.user, credentials.password)
        request = Request("POST", self._address.token, {"Accept": "application/json"}, form=form)
        reply = await self._wire.send(request, patience.remaining())
        name = self._settings.name
        if reply.status == 404 and self._settings.api_version is not ApiVersion.V4:
            return None
        token, why = _token_in(reply.content)
        if reply.status == 200 and token:
            return token
        if reply.status in (400, 401, 403):
            raise ManagerError(name, Trouble.LOGIN, f"the manager does not accept the account: {why or 'no reason'}")
        trouble = trouble_of(reply.status) or Trouble.STRANGE
        raise ManagerError(name, trouble, described(trouble, reply.status, None))

    async def _entered(self, authorization: str, wanted: ApiVersion, patience: Deadline) -> Login:
        """The login once the entry point has been seen with it: it says which version it is.  Raises ManagerError."""
        missing: ManagerError | None = None
        for entry in self._address.api:
            login = Login(wanted, self._address.origin + entry, authorization)
            try:
                # Asked as v3 for the sake of the cookie where there is no token: both versions understand that.
                asked = login if authorization.startswith("Bearer") else replace(login, version=_as_v3(wanted))
                reply = await self._sent(asked, "GET", "", patience, None, nothing)
                found = readings.api_version(self._element(reply))
            except ManagerError as error:
                if error.trouble is not Trouble.MISSING:
                    raise
                missing = error
                continue
            except MarkupError as error:
                raise ManagerError(self._settings.name, Trouble.STRANGE, str(error)) from None
            return self._checked(replace(login, version=found, cookie=reply.cookie), wanted)
        text = f"there is no API at {self._settings.url}: {missing}"
        raise ManagerError(self._settings.name, Trouble.STRANGE, text)

    def _checked(self, login: Login, wanted: ApiVersion) -> Login:
        if wanted not in (ApiVersion.AUTO, login.version):
            text = f"it speaks API version {login.version.value}, and the configuration says {wanted.value}"
            raise ManagerError(self._settings.name, Trouble.STRANGE, text)
        return login


def _as_v3(wanted: ApiVersion) -> ApiVersion:
    return ApiVersion.V3 if wanted is ApiVersion.AUTO else wanted


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _token_in(content: bytes) -> tuple[str, str]:
    """(token, the reason why there is none) of a sign-on service's answer."""
    try:
        said = json.loads(content)
    except ValueError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    token, why = said.get("access_token"), said.get("error_description") or said.get("error")
    return (token if isinstance(token, str) and token.isascii() and token.isprintable() else ""), str(why or "")[:400]
