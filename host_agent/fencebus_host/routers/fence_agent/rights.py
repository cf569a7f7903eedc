"""Decides whether this daemon may run programs as another user, and end them: what cannot be ended is not begun."""

from __future__ import annotations

import os
from pathlib import Path

from fencebus_host.routers.fence_agent.process import Account

# linux/capability.h
_NEEDED = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_STATUS = Path("/proc/self/status")


def why_cannot_run_as(account: Account | None, status: Path = _STATUS) -> str:
    """What is missing to run agents as this user; empty if nothing is.  The service's unit leaves these away."""
    if account is None or account.uid == os.geteuid():
        return ""
    held = _effective(status.read_text("ascii"))
    missing = [name for name, bit in _NEEDED.items() if not held >> bit & 1]
    return f"fence_virtd lacks {', '.join(missing)} (see fence-agents.conf in docs/fence-agents.md)" if missing else ""


def _effective(status: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)
