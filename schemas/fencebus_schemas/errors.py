"""The roots of the error tree that all of fencebus shares.

Every error carries data; its text is made by ``__str__``.  This module is imported by the guest client on its fast
path, so it imports nothing.
"""

from __future__ import annotations


class FencebusError(Exception):
    """Root of every error that fencebus raises on purpose."""


class WireError(FencebusError):
    """Bytes from outside do not form a valid message.

    ``code`` is stable and fit for logs and tests (``"length"``, ``"magic"``, ``"utf8"``, ...); ``detail`` is for
    people and never contains key material.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"
