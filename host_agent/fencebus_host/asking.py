"""Says on whose behalf something is done: the id of the request, for what goes out to others."""

from __future__ import annotations

from contextvars import ContextVar

REQUEST: ContextVar[str] = ContextVar("fencebus_request", default="")
"""The id of the request that the running task serves; empty for what the daemon does by itself.  Tasks inherit it."""
