"""Words for what the doctor finds: one finding with its fix, and the worst of many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from fencebus_host.ctl.exit_codes import ExitCode


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.  ``code`` is stable; ``fix`` is what to do, empty if all is well."""

    level: Level
    code: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f"\n         fix: {self.fix}" if self.fix else ""
        return f"{self.level.name:8} {self.code}: {self.text}{fix}"


def good(code: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, code, text)


def odd(code: str, text: str, fix: str) -> Finding:
    """A fence works, or may work; somebody should look."""
    return Finding(Level.WARNING, code, text, fix)


def bad(code: str, text: str, fix: str) -> Finding:
    """A fence will fail."""
    return Finding(Level.ERROR, code, text, fix)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """The exit status that says the worst."""
    worst = max((finding.level for finding in findings), default=Level.OK)
    return {Level.OK: ExitCode.OK, Level.WARNING: ExitCode.WARNING, Level.ERROR: ExitCode.BROKEN}[worst]


def as_text(findings: Sequence[Finding]) -> str:
    """For people."""
    counts = [sum(one.level is level for one in findings) for level in (Level.ERROR, Level.WARNING, Level.OK)]
    summary = f"{counted(counts[0], 'error')}, {counted(counts[1], 'warning')}, {counts[2]} fine"
    return "\n".join([*map(str, findings), summary])


def counted(count: int, what: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def as_json(findings: Sequence[Finding]) -> str:
    """For programs."""
    rows = [{"level": one.level.name, "code": one.code, "text": one.text, "fix": one.fix} for one in findings]
    return json.dumps({"version": 1, "worst": max(f.level for f in findings).name, "findings": rows}, indent=2)
