"""Decides what an HTTP answer of a manager means, by its status code, and carries it as an error.  Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from enum import Enum

from fencebus_host.routers.ovirt.readings import fault_of
from fencebus_schemas.errors import FencebusError


class Trouble(Enum):
    """Why a manager did not do, or did not say, what was asked."""

    DENIED = "denied"
    """403: the account lacks the permission."""
    LOGIN = "login"
    """The account or its password is not accepted."""
    UNTRUSTED = "untrusted"
    """The manager's certificate is not believed, or nothing says how it could be."""
    MISSING = "missing"
    """404: no such thing, or not visible to this account."""
    CONFLICT = "conflict"
    """409: not in this state; it may be otherwise in a moment."""
    REFUSED = "refused"
    """400, or a failed action: a bad request, or the general word for "it did not work"."""
    UNAVAILABLE = "unavailable"
    """5xx, or no connection: the manager is not there, or is starting."""
    SILENT = "silent"
    """No answer in time: it may or may not have been done."""
    STRANGE = "strange"
    """An answer that is none."""


class ManagerError(FencebusError):
    """What a manager's trouble was; ``detail`` is for people and holds its own words."""

    def __init__(self, manager: str, trouble: Trouble, detail: str) -> None:
        super().__init__(manager, trouble, detail)
        self.manager = manager
        self.trouble = trouble
        self.detail = detail

    @property
    def passes(self) -> bool:
        """True if asking again in a moment may bring an answer: a manager that starts says strange things too."""
        return self.trouble in (Trouble.UNAVAILABLE, Trouble.SILENT, Trouble.STRANGE)

    @property
    def is_hopeless(self) -> bool:
        """True if no request at all will succeed until somebody has mended something."""
        return self.trouble in (Trouble.LOGIN, Trouble.UNTRUSTED)

    def __str__(self) -> str:
        return f"{self.manager}: {self.detail}"


_BY_STATUS = {
    400: Trouble.REFUSED,
    401: Trouble.LOGIN,
    403: Trouble.DENIED,
    404: Trouble.MISSING,
    409: Trouble.CONFLICT,
    500: Trouble.UNAVAILABLE,
    502: Trouble.UNAVAILABLE,
    503: Trouble.UNAVAILABLE,
    504: Trouble.UNAVAILABLE,
}
_WORDS = {
    Trouble.DENIED: "the account lacks the permission",
    Trouble.LOGIN: "the manager does not accept the account",
    Trouble.MISSING: "the manager has no such thing, or does not show it to this account",
    Trouble.CONFLICT: "the manager refuses it in this state",
    Trouble.REFUSED: "the manager could not do it",
    Trouble.UNAVAILABLE: "the manager is not available",
    Trouble.STRANGE: "the manager gives a strange answer",
}


def trouble_of(status: int) -> Trouble | None:
    """What an HTTP status means; ``None`` if the request was accepted."""
    if status in (200, 201, 202):
        return None
    return _BY_STATUS.get(status, Trouble.UNAVAILABLE if status >= 500 else Trouble.STRANGE)


def described(trouble: Trouble, status: int, root: ET.Element | None) -> str:
    """The trouble in words: ours, the HTTP status, and what the manager itself says."""
    fault = fault_of(root)
    return f"{_WORDS[trouble]} (HTTP {status})" + (f": {fault}" if fault else "")
