"""Carries one HTTP request to a manager and brings back its answer, whole and within limits; the only user of aiohttp.

Nothing is followed elsewhere: a redirection is a strange answer, and the password goes nowhere but to the manager.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.markup import MOST_BYTES
from fencebus_host.routers.ovirt.trust import blind

MOST_AT_ONCE = 64
"""Requests under way at one manager; further ones wait."""
CONNECT_SECONDS = 4.0
ACT_CONNECT_SECONDS = 1.5
"""The same for what needs leave, which must not grow old on the way (S12).  A look went over the wire just before."""
KEPT_SECONDS = 55.0
"""For which an idle connection is kept; the manager may close it sooner."""
SMALL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it goes out."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    most_bytes: int = MOST_BYTES
    connect_seconds: float = CONNECT_SECONDS


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, as it came in."""

    status: int
    content: bytes
    date: str
    """The header ``Date``."""
    cookie: str = field(default="", repr=False)
    """The session that the manager gave: the value of ``JSESSIONID``."""


def nothing() -> None:
    """For requests that need no leave."""


class Wire:
    """The connections to one manager."""

    def __init__(self, manager: str) -> None:
        self._manager = manager
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._seats = asyncio.Semaphore(MOST_AT_ONCE)

    @property
    def is_open(self) -> bool:
        """Whether it is known how the manager is believed."""
        return self._context is not None

    def believe(self, context: ssl.SSLContext | None) -> None:
        """From now on servers have to be believed by this; ``None`` until somebody knows better."""
        self._context = context

    async def fetch(self, url: str) -> bytes:
        """What is at ``url``, from whomever.  Nothing is told there.  Raises ManagerError."""
        reply = await self._exchange(Request("GET", url, most_bytes=SMALL_BYTES), 2 * CONNECT_SECONDS, blind(), nothing)
        if reply.status != 200:
            raise ManagerError(self._manager, Trouble.MISSING, f"{url}: HTTP {reply.status}")
        return reply.content

    async def send(self, request: Request, seconds: float, before: Callable[[], None] = nothing) -> Reply:
        """The answer to ``request``; raises ManagerError if none comes within ``seconds``.

        ``before`` is called directly before the request goes out, and may forbid it by raising (S12).
        """
        if self._context is None:
            raise ManagerError(self._manager, Trouble.UNTRUSTED, "nothing says how it is to be believed")
        return await self._exchange(request, seconds, self._context, before)

    async def _exchange(
        self, request: Request, seconds: float, context: ssl.SSLContext, before: Callable[[], None]
    ) -> Reply:
        try:
            async with asyncio.timeout(seconds), self._seats:
                before()
                return await self._answered(request, context)
        except TimeoutError:
            text = f"no answer within {seconds:.1f} s"
            raise ManagerError(self._manager, Trouble.SILENT, text) from None
        except aiohttp.ClientConnectorCertificateError as error:
            text = f"its certificate is not believed: {error.certificate_error}"
            raise ManagerError(self._manager, Trouble.UNTRUSTED, text) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"no connection: {str(error) or type(error).__name__}"
            raise ManagerError(self._manager, Trouble.UNAVAILABLE, text) from error

    async def _answered(self, request: Request, context: ssl.SSLContext) -> Reply:
        async with self._opened().request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.form if request.form is not None else request.body,
            ssl=context,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=request.connect_seconds),
        ) as response:
            content = await self._content(response, request.most_bytes)
            cookie = response.cookies.get("JSESSIONID")
            return Reply(response.status, content, response.headers.get("Date", ""), cookie.value if cookie else "")

    async def _content(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """The body; its length is looked at while it comes, as a manager may say anything about it beforehand."""
        found = bytearray()
        async for part in response.content.iter_any():
            found += part
            if len(found) > most:
                raise ManagerError(self._manager, Trouble.STRANGE, f"an answer of more than {most} bytes")
        return bytes(found)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Cookies are handled by hand, and proxies of the environment are none of a manager's business.  A POST
            # whose connection was lost is not sent again by aiohttp, behind the back of those who decide (S4).
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Give the connections back; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
